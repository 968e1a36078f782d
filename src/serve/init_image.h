/* SPDX-License-Identifier: MIT */
/*
 * init_image.h - the picture that a task begins with: "init_image" of its record, which
 * is "content", "noise", or the name of an upload or a result. A result is copied when
 * the task is created, so that it may be deleted while the task waits.
 */
#ifndef NST_SERVE_INIT_IMAGE_H
#define NST_SERVE_INIT_IMAGE_H

#include <jansson.h>
#include <stdbool.h>

#include "serve/identity.h"

/* True for the words, which name no picture. */
bool serve_init_is_word(const char *name);

/* The path of the picture, a new string; NULL: the record names none, or it does not
 * exist. */
char *serve_init_path(const json_t *record);

/* Whether who may begin with this: a word, or a picture that who sees (owners.h). */
bool serve_init_is_allowed(const struct serve_identity *who, const char *name);

/* If the record names a result, make an upload of who from it and name that instead.
 * *held: the name of the upload, a new string, or NULL; if the task is not created,
 * serve_store_remove_picture() removes it. False: errno; ENOENT: the result was
 * deleted. */
bool serve_init_hold(json_t *record, const struct serve_identity *who, char **held);

#endif
