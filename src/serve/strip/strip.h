/* SPDX-License-Identifier: MIT */
/*
 * strip.h - copies a picture file without its metadata, so that what a service shows to
 * others tells nothing of the camera, the place and the author.
 *
 * It decodes nothing: it walks the container (JPEG segments, chunks of PNG and WebP,
 * GIF blocks, TIFF directories, HEIF items) and copies what is on a list of parts that
 * a decoder needs. The coded pixels stay as they are, with the colour profile and the
 * orientation. Files with absurd numbers of such parts are refused, because decoders
 * take minutes or gigabytes for them.
 *
 * A damaged file yields a damaged copy, which its decoder refuses.
 */
#ifndef NST_SERVE_STRIP_H
#define NST_SERVE_STRIP_H

enum serve_strip {
    SERVE_STRIP_OK,
    SERVE_STRIP_REFUSED, /* too many parts, or to and an unknown format */
    SERVE_STRIP_UNREADABLE,
    SERVE_STRIP_UNWRITABLE,
};

/*
 * Write the picture at from without its metadata to the new file to, and sync it. to
 * NULL: only count its parts. On failure *error is a new string without a path.
 */
enum serve_strip serve_strip(const char *from, const char *to, char **error);

#endif
