/* SPDX-License-Identifier: MIT */
/*
 * request_value.h - values in the JSON of requests, by one rule for all fields: a whole
 * number may be written 100 or 100.0, a string is never a number, and null is the same
 * as nothing.
 */
#ifndef NST_SERVE_REQUEST_VALUE_H
#define NST_SERVE_REQUEST_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "nst.h"

/* A member of an object; NULL if it is missing or null. */
const json_t *serve_value_get(const json_t *object, const char *name);

/* A value for a message, truncated: a new string. */
char *serve_value_text(const json_t *v);

/* True if v is a number from min to max, and whole if it must be. */
bool serve_value_is_number(const json_t *v, double min, double max, bool whole);

/* A number as an option of nst, a new string, and in JSON, a new reference: an integer
 * if it is whole. */
char *serve_value_number_text(double v);
json_t *serve_value_number_json(double v);

/* The value of an option for the command line of nst, a new string, whose range is not
 * checked. NULL if its type is wrong: *wanted is then the right one, for a message. */
char *serve_value_option_text(const struct nst_option *o, const json_t *v,
                              const char **wanted);

/* The value for such a text: a new reference. */
json_t *serve_value_option_json(const struct nst_option *o, const char *text);

/* The name of an option in JSON, with _ instead of -: a new string. */
char *serve_value_option_name(const char *option);

#endif
