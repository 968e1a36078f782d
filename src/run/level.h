/* SPDX-License-Identifier: MIT */
/* level.h - inputs of one scale: content, masks and styles, resampled. */
#ifndef NST_RUN_LEVEL_H
#define NST_RUN_LEVEL_H

#include "run/plan.h"
#include "run/styles.h"

/* A picture at the size of a scale; its pixels are borrowed if they need no resize. */
struct nst_resampled {
    struct nst_image image;
    float *owned;
};

/* A scale of a run by p: ratio of its longest side to that of the largest scale, and
 * fingerprint of its network. */
struct nst_level_config {
    const struct nst_params *p;
    double ratio;
    uint64_t fingerprint;
};

/* A length at this scale. */
int nst_level_length(const struct nst_level_config *level, int length);

/* Resample content p to the scale. Free out->owned. NST_ERR_MEM, as for all functions
 * here. */
enum nst_status nst_level_content(const struct nst_level_config *level,
                                  const struct nst_picture *p,
                                  struct nst_resampled *out, struct nst_err *err);

/*
 * Add amount times the detail that picture p has at the scale of content and lacks at
 * the previous scale to x. x is 3 x h x w, 0 to 1, with the size of content. An amount
 * of 1 turns p at the previous scale into p at this one.
 */
enum nst_status nst_level_add_detail(const struct nst_level_config *previous,
                                     const struct nst_picture *p,
                                     struct nst_image content, float amount, float *x,
                                     struct nst_err *err);

/* Resample a mask and average its channels. NULL gives NULL. Free *out. */
enum nst_status nst_level_mask(const struct nst_picture *mask, struct nst_size size,
                               float **out, struct nst_err *err);

/* Styles and guidance masks of a scale's objective. */
struct nst_level_style {
    struct nst_style style;
    struct nst_style_image painting[NST_STYLES_MAX];
    struct nst_resampled size[NST_STYLES_MAX];
    float *guide[NST_STYLES_MAX]; /* one per region */
};

/* Size of the largest style image at this scale. */
struct nst_size nst_level_style_size(const struct nst_level_config *level,
                                     const struct nst_style_set *styles);

/*
 * Prepare the styles for a content of that size. longest: longest side of the content
 * at the largest scale; tile: tile size of the objective. Free with the clear function,
 * also after a failure. Errors also as for nst_style_set_picture().
 */
enum nst_status nst_level_style_init(const struct nst_level_config *level,
                                     struct nst_style_set *styles, struct nst_size size,
                                     int longest, int tile, struct nst_level_style *out,
                                     struct nst_err *err);
void nst_level_style_clear(struct nst_level_style *s);

#endif
