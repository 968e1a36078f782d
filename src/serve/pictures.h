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
    SERVE_CHECK_NO_SPACE,   /* no disk space for what is made of it */
    SERVE_CHECK_UNAVAILABLE /* the child cannot be started, or the machine is busy */
};

/* What else than a thumbnail a check makes of a picture. */
enum serve_picture_part {
    SERVE_PICTURE_STRIP = 1, /* replace it by a copy without its metadata (strip.h),
                                which is then what the child decodes */
    SERVE_PICTURE_RENDITION = 2
};

/*
 * Decode the whole picture at path in a child, with the limits of s. The child makes
 * two versions that every browser shows, JPEGs in sRGB, upright, over white and without
 * metadata, no larger than the picture: the thumbnail, the store's thumbs/NAME.jpg, of
 * at most 256 pixels a side; and with SERVE_PICTURE_RENDITION renditions/NAME.jpg, of
 * at most 1600. parts: of enum serve_picture_part. On failure *error is a new string
 * without the path.
 */
enum serve_check serve_picture_check(const char *path, const char *name,
                                     const struct serve_settings *s, unsigned parts,
                                     char **error);

/* The child, nst-serve --thumbnail IN OUT PIXELS COPY RENDITION. COPY and RENDITION may
 * be empty. Returns its exit status. */
int serve_thumbnail(const char *in, const char *out, const char *pixels,
                    const char *copy, const char *rendition);

#endif
