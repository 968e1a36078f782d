/* SPDX-License-Identifier: MIT */
/* samples.h - pictures in the memory of a program, at several precisions. */
#ifndef NST_IMAGE_SAMPLES_H
#define NST_IMAGE_SAMPLES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/image.h"
#include "image/picture.h"

/* Full scale, which is white or opaque, is 255, 65535 or 1. */
enum nst_sample_type { NST_SAMPLE_U8, NST_SAMPLE_U16, NST_SAMPLE_F32 };

/* A picture in memory. Rows follow each other from the top, without gaps. */
struct nst_samples {
    void *data; /* borrowed; NULL: no picture */
    int width, height;
    int channels; /* 1: a mask; 3: RGB; 4: RGBA, with colours not multiplied by alpha */
    enum nst_sample_type type;
    bool
        planar; /* one plane per channel; else the channels of a pixel are neighbours */
    bool linear; /* colours are linear light with the primaries of sRGB; else sRGB */
};

/* Not in nst.h. */

/* The nearest integer to v times max, for v within 0 to 1; NaN is 0. */
static inline unsigned nst_quantise(float v, unsigned max)
{
    return v > 0 ? v < 1 ? (unsigned)(v * (double)max + 0.5) : max : 0;
}

/* NST_ERR_ARG unless s has the channels of a mask, or else of a picture. label begins
 * the message. */
enum nst_status nst_samples_check(const struct nst_samples *s, const char *label,
                                  bool mask, struct nst_err *err);

/*
 * Make the picture that a file with these samples gives: resized as requested, and with
 * a small copy. A mask becomes grey. label names it in messages. *out belongs to the
 * caller: nst_picture_free(). On failure *out is NULL. NST_ERR_FORMAT (its size),
 * NST_ERR_MEM.
 */
enum nst_status nst_picture_from_samples(struct nst_picture **out, const char *label,
                                         const struct nst_samples *from,
                                         const struct nst_picture_size *size,
                                         struct nst_err *err);

/* Store an image, 0 to 1, resampled to the size of to; an alpha there stays as it is.
 * NST_ERR_MEM. */
enum nst_status nst_samples_store(const struct nst_samples *to, struct nst_image image,
                                  struct nst_err *err);

#endif
