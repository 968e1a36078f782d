/* SPDX-License-Identifier: MIT */
/* input.h - opens a picture and reads its header; private to this folder. */
#ifndef NST_IMAGE_INPUT_H
#define NST_IMAGE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <vips/vips.h>

#include "base/err.h"

struct nst_input {
    const char *label; /* name for messages, borrowed */
    const char *path;  /* borrowed */
    int fd;            /* a regular file, or -1 */
    void *data;        /* contents of a pipe, or NULL */
    size_t size;
    long long max_pixels; /* as in struct nst_picture_size */
    bool animated;        /* load all pages of an animation, one below the other */
    /* Of the latest image opened by load.c: its upright size in the file, the pixels of
     * the file per decoded pixel, in both directions, and whether that may exceed 1. */
    int width, height, shrink;
    bool shrinkable, jpeg;
};

/* Open path ("-": standard input). A pipe is read completely, because many formats need
 * random access. Call nst_input_close() in any case, even after a failure. */
enum nst_status nst_input_open(struct nst_input *in, const char *path,
                               struct nst_err *err);
void nst_input_close(struct nst_input *in);

/* Read size bytes from at; false if the file is shorter. */
static inline bool nst_input_read_at(const struct nst_input *in, uint64_t at, void *to,
                                     size_t size)
{
    if (at > in->size || size > in->size - at)
        return false;
    if (in->data)
        memcpy(to, (const char *)in->data + at, size);
    else if (pread(in->fd, to, size, (off_t)at) != (ssize_t)size)
        return false;
    return true;
}

/*
 * Read the header of the first page without decoding it. *vector says whether the image
 * is a vector image (SVG, PDF). scale is the size to decode at, relative to the image's
 * own: any for a vector image, 1/2, 1/4 or 1/8 for a JPEG, at most 1 for a WebP; others
 * ignore it.
 * *out belongs to the caller, and in must outlive it. A damaged PNG may yield a size
 * alone, marked by the field NST_SIZE_ONLY, so that it can be refused for its size.
 */
#define NST_SIZE_ONLY "nst-size-only"
/* A field with what the file holds that is not used, as one line. */
#define NST_NOTE "nst-note"
/* A field of the images of TIFF files; see nst_input_alpha_band(). */
#define NST_ALPHA_FROM_END "nst-alpha-from-end"
enum nst_status nst_input_read_header(VipsImage **out, bool *vector,
                                      struct nst_input *in, double scale,
                                      struct nst_err *err);

/* The band of image that is alpha; -1 if there is none. */
int nst_input_alpha_band(VipsImage *image);

#endif
