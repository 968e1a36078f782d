/* SPDX-License-Identifier: MIT */
/*
 * temporal_loss.h - what holds a frame to the one before it, where the scene is still
 * (Ruder, Dosovitskiy and Brox 2016, section 3.2, without motion): the mean over pixels
 * and channels of still (x - before)^2.
 */
#ifndef NST_STYLE_TEMPORAL_LOSS_H
#define NST_STYLE_TEMPORAL_LOSS_H

#include "base/threads.h"

/* What a frame is held to. Borrowed. */
struct nst_before {
    const float *rgb;   /* 3 x h x w: the result before it */
    const float *still; /* h x w: 1 where the scene has not changed, to 0 */
};

/* The loss of rgb (3 x h x w), and unless grad is NULL, grad += weight times its
 * gradient. sums: room for 3 h doubles. */
double nst_temporal_loss(const float *rgb, const struct nst_before *before, int h,
                         int w, double weight, float *grad, double *sums,
                         struct nst_threads *threads);

#endif
