/* SPDX-License-Identifier: MIT */
/*
 * pixel_losses.h - losses on the pixels themselves, means over pixels and channels:
 * - total variation V: squared differences to the right and lower neighbours. It
 *   smooths noise (Mahendran and Vedaldi 2015, with beta = 2).
 * - temporal T: static_mask (x - previous)^2. It keeps static areas stable from frame
 *   to frame (Ruder, Dosovitskiy and Brox 2016, section 3.2, without optical flow).
 */
#ifndef NST_STYLE_PIXEL_LOSSES_H
#define NST_STYLE_PIXEL_LOSSES_H

#include "backend/backend.h"

/* Target of the temporal loss. Borrowed. */
struct nst_temporal_target {
    const float *previous;    /* 3 x h x w: result of the previous frame */
    const float *static_mask; /* h x w: 1 (static) to 0 (changed) */
};

struct nst_pixel_losses {
    struct nst_backend *be;
    struct nst_image_size size; /* of the pictures */
    double tv_weight, temporal_weight;
    const struct nst_buffer *previous, *static_mask; /* of the temporal loss; or NULL */
};

/* Replace the target of the temporal loss and its weight. NST_ERR_MEM: then there is no
 * target. */
enum nst_status nst_pixel_losses_set_temporal_target(struct nst_pixel_losses *l,
                                                     struct nst_temporal_target target,
                                                     double weight,
                                                     struct nst_err *err);
void nst_pixel_losses_clear(struct nst_pixel_losses *l);

/* Store the sums of V and T. Unless grad is NULL, add the gradient of the weighted
 * losses to it. */
void nst_pixel_losses_evaluate(const struct nst_pixel_losses *l,
                               const struct nst_buffer *rgb, struct nst_buffer *grad,
                               struct nst_scalar tv_sum,
                               struct nst_scalar temporal_sum);

/* Pixels times channels, the divisor from sums to losses. */
double nst_pixel_losses_count(const struct nst_pixel_losses *l);

#endif
