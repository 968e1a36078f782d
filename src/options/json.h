/* SPDX-License-Identifier: MIT */
/* json.h - converts values to JSON. */
#ifndef NST_OPTIONS_JSON_H
#define NST_OPTIONS_JSON_H

#include <jansson.h>

#include "options/params.h"

/* JSON has no infinity or NaN: null replaces them. */
json_t *nst_json_number(double v);

/* Text of any bytes, such as a file name; NULL gives null. A byte that is no UTF-8
 * becomes the character U+EF00 + byte, and so does each byte of a character from U+EF80
 * to U+EFFF. */
json_t *nst_json_text(const char *s);

/* The bytes that nst_json_text() was given, from the text in JSON: a new string. */
char *nst_json_text_bytes(const char *text);

/* A copy of j whose strings are bytes, as nst_json_text_bytes() gives them. It cannot
 * be written as JSON. */
json_t *nst_json_with_bytes(const json_t *j);

/* The options of the recipe that are set, except the model, by name; paths as typed. */
json_t *nst_json_recipe(const struct nst_params *p);

#endif
