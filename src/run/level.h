/* SPDX-License-Identifier: MIT */
/*
 * level.h - what one scale of a picture's making is given: content, masks and styles at
 * its size.
 */
#ifndef NST_RUN_LEVEL_H
#define NST_RUN_LEVEL_H

#include "run/styles.h"
#include "job/plan.h"

/* A picture at the size of a scale: its own pixels, or borrowed where it has that size.
 */
struct nst_resampled {
    struct nst_image image;
    float *owned;
};

/* A scale of the picture that is made by p: its longest side as a part of what the
 * largest has, and the fingerprint of the network that works there. */
struct nst_level_config {
    const struct nst_params *p;
    double ratio;
    uint64_t fingerprint;
};

/* A length at that scale. */
int nst_level_length(const struct nst_level_config *level, int length);

/* The picture at the scale, extended by the border if there is one. Free own.
 * NST_ERR_MEM, as of all of these. */
enum nst_status nst_level_content(const struct nst_level_config *level,
                                  const struct nst_picture *p,
                                  struct nst_resampled *out, struct nst_err *err);

/* A row of the three planes (0 to 3 h - 1) of an image that was extended by border,
 * without its border. */
const float *nst_padded_row(struct nst_image padded, int border, int row);

/*
 * Add to x share of the detail that the picture p has at a scale, content (which is
 * extended), and lacks at the scale before. x is 3 x h x w of 0 to 1, of content's size
 * without its border: with a share of 1, what was p at the scale before is p at this
 * one.
 */
enum nst_status nst_level_add_detail(const struct nst_level_config *previous,
                                     const struct nst_picture *p,
                                     struct nst_image content, float amount, float *x,
                                     struct nst_err *err);

/* A mask at h x w: the mean of its channels. NULL of NULL. Free it. */
enum nst_status nst_level_mask(const struct nst_picture *mask, int h, int w,
                               float **out, struct nst_err *err);

/* Planes of h x w, extended by the border if there is one: *planes is replaced. NULL
 * stays. */
enum nst_status nst_level_pad(const struct nst_level_config *level, float **planes,
                              int count, int h, int w, struct nst_err *err);

/* What a scale's objective aims at. */
struct nst_level_style {
    struct nst_style style;
    struct nst_style_image painting[NST_STYLES_MAX];
    struct nst_resampled size[NST_STYLES_MAX];
    float *guide[NST_STYLES_MAX]; /* of each region */
};

/* Say what sizes the paintings will have; the largest is height x width. */
void nst_level_style_size(const struct nst_level_config *level,
                          const struct nst_style_set *styles, int *height, int *width);

/*
 * The styles for a content of h x w (before it is extended; of the largest scale, its
 * longest side is longest), whose objective works in tiles of that size. Free with the
 * clear function, after a failure too. Errors of nst_style_set_picture() besides.
 */
enum nst_status nst_level_style_init(const struct nst_level_config *level,
                                     struct nst_style_set *styles, int h, int w,
                                     int longest, int tile, struct nst_level_style *out,
                                     struct nst_err *err);
void nst_level_style_clear(struct nst_level_style *s);

#endif
