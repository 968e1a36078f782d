/* SPDX-License-Identifier: MIT */
/* json.h - converts values to JSON. */
#ifndef NST_OPTIONS_JSON_H
#define NST_OPTIONS_JSON_H

#include <jansson.h>

#include "options/params.h"

/* JSON has no infinity or NaN: null replaces them. */
json_t *nst_json_number(double v);

/* Text of any bytes, such as a file name; replaces invalid UTF-8. NULL gives null. */
json_t *nst_json_text(const char *s);

/* The options of the recipe that are set, except the model, by name; paths as typed. */
json_t *nst_json_recipe(const struct nst_params *p);

#endif
