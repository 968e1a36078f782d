/* SPDX-License-Identifier: MIT */
/* input.h - the bytes of a picture, found and opened; private to this folder. */
#ifndef NST_IMAGE_INPUT_H
#define NST_IMAGE_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include <vips/vips.h>

#include "base/err.h"

struct nst_input {
    const char *label; /* how messages call it, borrowed */
    const char *path;  /* borrowed */
    int fd;            /* a regular file, or -1 */
    void *data;        /* all of a pipe, or NULL */
    size_t size;
    long long max_pixels; /* as in struct nst_picture_size */
    bool animated;        /* take all pages of an animation, one below the other */
};

/* Open path ("-": standard input). A pipe is read to its end, because many formats are
 * read out of order. in is caller-owned: nst_input_close(), after a failure too. */
enum nst_status nst_input_open(struct nst_input *in, const char *path,
                               struct nst_err *err);
void nst_input_close(struct nst_input *in);

/*
 * Read the header of the first page; nothing is decoded yet. scale is for a drawing
 * (SVG, PDF): pixels per pixel of its own size. in outlives *out, which belongs to the
 * caller. *vector is set for a drawing. Of a damaged PNG there may be a size and no
 * more, so that it can be refused for that: NST_SIZE_ONLY is then among its fields.
 */
#define NST_SIZE_ONLY "nst-size-only"
enum nst_status nst_input_read_header(VipsImage **out, bool *vector,
                                      struct nst_input *in, double scale,
                                      struct nst_err *err);

#endif
