/* SPDX-License-Identifier: MIT */
/*
 * request.h - validates the JSON of a transfer request against the option table, and
 * turns the task's record into command-line arguments of nst.
 */
#ifndef NST_SERVE_REQUEST_H
#define NST_SERVE_REQUEST_H

#include <jansson.h>

#include "serve/identity.h"
#include "serve/settings.h"

#define SERVE_STYLE_WEIGHT_MIN 5000
#define SERVE_STYLE_WEIGHT_MAX 10000
#define SERVE_STYLE_WEIGHT_DEFAULT 7000
#define SERVE_STEPS_MAX 1000
#define SERVE_STEPS_DEFAULT 300

/*
 * The record of the requested task: "content_img", "style_img", "style_weight",
 * "steps", "styles", "preset", "keep_mask", "options". A new reference; NULL if the
 * body is invalid: *error is then a new string with the field, value and range.
 * Pictures that who does not see (owners.h) do not exist.
 */
json_t *serve_request_parse(const json_t *body, const struct serve_settings *s,
                            const struct serve_identity *who, char **error);

/* The options of nst for a record, a new list that ends with NULL: g_strfreev(). NULL
 * if a picture no longer exists: *error is then a new string. */
char **serve_request_arguments(const json_t *record, char **error);

#endif
