/* SPDX-License-Identifier: MIT */
/*
 * pictures.h - what clients send as pictures: what it is, by its content, and whether
 * it is sound, which a child finds out (sandbox.h).
 */
#ifndef NST_SERVE_PICTURES_H
#define NST_SERVE_PICTURES_H

#include <stdbool.h>

/* The ending for the kind of picture that the file begins as, and is to its end:
 * ".png", ".jpg", ".gif", ".webp", ".tif", ".heic" or ".avif". NULL for anything else:
 * *error is then a new string. */
const char *serve_picture_extension(const char *path, char **error);

/* The media type of such an ending. */
const char *serve_picture_media_type(const char *name);

enum serve_check {
    SERVE_CHECK_OK,
    SERVE_CHECK_INVALID,    /* it is none, is damaged or has more pixels than that */
    SERVE_CHECK_NO_SPACE,   /* for the small one */
    SERVE_CHECK_UNAVAILABLE /* there is no process to look at it */
};

/*
 * Decode all of the picture at path in a child, and leave a small one in the store's
 * thumbs/NAME.jpg. *error is a new string, without the path, unless it is sound.
 */
enum serve_check serve_picture_check(const char *path, const char *name,
                                     long long max_pixels, char **error);

/* What the child does: nst-serve --thumbnail IN OUT PIXELS. Its exit status. */
int serve_thumbnail(const char *in, const char *out, const char *pixels);

#endif
