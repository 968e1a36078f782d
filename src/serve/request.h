/* SPDX-License-Identifier: MIT */
/*
 * request.h - validates the JSON of a transfer request against the option table
 * (request.c), and turns the task's record into command-line arguments of nst, and into
 * the request again (request_record.c).
 */
#ifndef NST_SERVE_REQUEST_H
#define NST_SERVE_REQUEST_H

#include <jansson.h>

#include "nst.h"
#include "serve/identity.h"
#include "serve/settings.h"

#define SERVE_STYLE_WEIGHT_MIN 5000
#define SERVE_STYLE_WEIGHT_MAX 10000
#define SERVE_STEPS_MAX 1000
#define SERVE_SETTINGS_KEYWORD "nst-request" /* of the text in a result */

/*
 * The record of the requested task: "content_img", "style_img", "style_weight",
 * "steps", "styles", "preset", "keep_mask", "frames", "init_image", "options". A new
 * reference; NULL if the body is invalid: *error is then a new string with the field,
 * value and range. Pictures that who does not see (owners.h) do not exist.
 */
json_t *serve_request_parse(const json_t *body, const struct serve_settings *s,
                            const struct serve_identity *who, char **error);

/* The options of nst for a record, a new list that ends with NULL: g_strfreev(). NULL
 * if a picture no longer exists: *error is then a new string. */
char **serve_request_arguments(const json_t *record, char **error);

/* Whether the style of a record is a network that paints in one pass. */
bool serve_request_is_net(const json_t *record);

/* The request for a record, to be posted again: a new reference. */
json_t *serve_request_json(const json_t *record);

/* The settings of a record, for everybody who has its result: the request without the
 * names of pictures. The name of an uploaded style is null. A new reference. */
json_t *serve_request_settings(const json_t *record);

/* Set the options of a record; nst_params_init() comes first. NST_ERR_ARG,
 * NST_ERR_FORMAT, NST_ERR_IO: its preset. */
enum nst_status serve_request_params(const json_t *record, struct nst_params *p,
                                     struct nst_err *err);

#endif
