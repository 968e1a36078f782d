/* SPDX-License-Identifier: MIT */
/*
 * variation.h - total variation, the regulariser that smooths noise (Mahendran and
 * Vedaldi 2015, with beta = 2): the mean over pixels and channels of the squared
 * differences to the neighbours at the right and below.
 */
#ifndef NST_STYLE_VARIATION_H
#define NST_STYLE_VARIATION_H

#include "base/threads.h"

/* The variation of rgb (3 x h x w), and unless grad is NULL, grad += weight times its
 * gradient. sums: room for 3 h doubles. */
double nst_variation(const float *rgb, int h, int w, double weight, float *grad,
                     double *sums, struct nst_threads *threads);

#endif
