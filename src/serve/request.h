/* SPDX-License-Identifier: MIT */
/*
 * request.h - what a client asks for of a task, checked against the option table, and
 * the arguments of nst that it comes to.
 */
#ifndef NST_SERVE_REQUEST_H
#define NST_SERVE_REQUEST_H

#include <jansson.h>

#include "serve/settings.h"

#define SERVE_STYLE_WEIGHT_MIN 5000
#define SERVE_STYLE_WEIGHT_MAX 10000
#define SERVE_STYLE_WEIGHT_DEFAULT 7000
#define SERVE_STEPS_MAX 1000
#define SERVE_STEPS_DEFAULT 300

/*
 * The record of a task that is asked for so: "content_img", "style_img",
 * "style_weight", "steps", "styles", "preset", "options". A new reference; NULL if it
 * is not sound: *error is then a new string that names the field, the value and the
 * range.
 */
json_t *serve_request_parse(const json_t *body, const struct serve_settings *s,
                            char **error);

/* An argument list that ends with NULL, all of it new: g_strfreev(). Beginning with
 * options of nst that say what is made; NULL if a picture is gone: *error. */
char **serve_request_arguments(const json_t *record, char **error);

#endif
