/* SPDX-License-Identifier: MIT */
/*
 * pixel_losses.h - the losses that look at pixels alone, means over pixels and
 * channels: total variation, the regulariser that smooths noise (Mahendran and Vedaldi
 * 2015, with beta = 2): of the squared differences to the neighbours at the right and
 * below; temporal, which holds a frame to the one before it where the scene is still
 * (Ruder, Dosovitskiy and Brox 2016, section 3.2, without motion): of still (x -
 * before)^2.
 */
#ifndef NST_STYLE_PIXEL_LOSSES_H
#define NST_STYLE_PIXEL_LOSSES_H

#include "backend/backend.h"

/* What a frame is held to. Borrowed. */
struct nst_temporal_target {
    const float *previous;    /* 3 x h x w: the result before it */
    const float *static_mask; /* h x w: 1 where the scene has not changed, to 0 */
};

struct nst_pixel_losses {
    struct nst_backend *be;
    struct nst_image_size size; /* the pictures */
    double tv_weight, temporal_weight;
    struct nst_temporal_target temporal;        /* or NULLs */
    struct nst_temporal_target temporal_device; /* the same as the backend's numbers */
};

/* From now on there is a frame before; the one of earlier calls is forgotten.
 * NST_ERR_MEM: then there is none. */
enum nst_status nst_pixel_losses_set_temporal_target(struct nst_pixel_losses *l,
                                                     struct nst_temporal_target target,
                                                     double weight,
                                                     struct nst_err *err);
void nst_pixel_losses_clear(struct nst_pixel_losses *l);

/* The sums of rgb to sums[0] and sums[1], which like rgb and grad are the backend's
 * numbers; unless grad is NULL, grad += weight times the gradient, for each. */
void nst_pixel_losses_evaluate(const struct nst_pixel_losses *l, const float *rgb,
                               float *grad, double *sums);

/* Pixels times channels: what the sums are divided by to be the losses. */
double nst_pixel_losses_count(const struct nst_pixel_losses *l);

#endif
