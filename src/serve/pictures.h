/* SPDX-License-Identifier: MIT */
/*
 * pictures.h - checks of uploaded pictures: the format by its magic bytes, then a full
 * decode in a child process (sandbox.h).
 */
#ifndef NST_SERVE_PICTURES_H
#define NST_SERVE_PICTURES_H

#include <stdbool.h>

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
    SERVE_CHECK_INVALID,    /* not a picture, damaged, or too many pixels */
    SERVE_CHECK_NO_SPACE,   /* no disk space for the thumbnail */
    SERVE_CHECK_UNAVAILABLE /* the child process cannot be started */
};

/*
 * Decode the whole picture at path in a child, which writes the thumbnail to the
 * store's thumbs/NAME.jpg. On failure *error is a new string without the path.
 */
enum serve_check serve_picture_check(const char *path, const char *name,
                                     long long max_pixels, char **error);

/* The child, nst-serve --thumbnail IN OUT PIXELS. Returns its exit status. */
int serve_thumbnail(const char *in, const char *out, const char *pixels);

#endif
