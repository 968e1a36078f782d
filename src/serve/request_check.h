/* SPDX-License-Identifier: MIT */
/* request_check.h - refuses a request whose task would fail, before it becomes one: a
 * picture is too small or too narrow for its size, or a style pack or the network lacks
 * a layer. */
#ifndef NST_SERVE_REQUEST_CHECK_H
#define NST_SERVE_REQUEST_CHECK_H

#include <jansson.h>

#include "serve/settings.h"

/* The error of a record from serve_request_parse(), a new string with what to change;
 * NULL if there is none, or a file cannot be read now. Waits for a child process. */
char *serve_request_check(const json_t *record, const struct serve_settings *s);

#endif
