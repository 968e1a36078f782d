/* SPDX-License-Identifier: MIT */
/*
 * pictures.h - checks of uploaded pictures: the format by its magic bytes, then a full
 * decode in a child process (sandbox.h).
 */
#ifndef NST_SERVE_PICTURES_H
#define NST_SERVE_PICTURES_H

#include <stdbool.h>

#include "serve/settings.h"

/* The extension for the format of a file: ".png", ".jpg", ".gif", ".webp", ".tif",
 * ".heic" or ".avif", by its first bytes. NULL for any other file: *error is then a new
 * string. */
const char *serve_picture_extension(const char *path, char **error);

/* The name of a picture without its extension, a new string. */
char *serve_picture_stem(const char *name);

/* The file name of a picture in a folder of the store, by its name or its stem: a new
 * string, or NULL. */
char *serve_picture_find(const char *folder, const char *name_or_stem);

/* The media type for the extension of a file name. */
const char *serve_picture_media_type(const char *name);

enum serve_check {
    SERVE_CHECK_OK,
    SERVE_CHECK_INVALID,    /* damaged, or takes too much to decode */
    SERVE_CHECK_NO_SPACE,   /* no disk space for the thumbnail or the copy */
    SERVE_CHECK_UNAVAILABLE /* the child cannot be started, or the machine is busy */
};

/*
 * Decode the whole picture at path in a child, with the limits of s. The child makes
 * the thumbnail: the store's thumbs/NAME.jpg. strip: replace the picture by a copy
 * without its metadata (strip.h), which is then what the child decodes. On failure
 * *error is a new string without the path.
 */
enum serve_check serve_picture_check(const char *path, const char *name,
                                     const struct serve_settings *s, bool strip,
                                     char **error);

/* The child, nst-serve --thumbnail IN OUT PIXELS COPY. COPY may be empty. Returns its
 * exit status. */
int serve_thumbnail(const char *in, const char *out, const char *pixels,
                    const char *copy);

#endif
