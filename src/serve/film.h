/* SPDX-License-Identifier: MIT */
/* film.h - films: tasks that paint all frames of an animated picture. The record of
 * such a task has the number of "frames", that of any other none. */
#ifndef NST_SERVE_FILM_H
#define NST_SERVE_FILM_H

#include <jansson.h>
#include <stdint.h>

#include "serve/settings.h"

/* Replace the "frames" of a record from serve_request_parse() by their number, or
 * remove them if the picture is a still. NULL, or the error of a film that is too long
 * or too large, a new string with what to change. Waits for a child process. */
char *serve_film_plan(json_t *record, const struct serve_settings *s);

/* The frames of the result; 0: it is a still. */
static inline int64_t serve_film_frames(const json_t *record)
{
    return json_integer_value(json_object_get(record, "frames"));
}

/* ".webp" for a film, or ".png". */
static inline const char *serve_film_result_extension(const json_t *record)
{
    return serve_film_frames(record) ? ".webp" : ".png";
}

#endif
