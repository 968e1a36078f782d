/* SPDX-License-Identifier: MIT */
/*
 * reference.h - the operators of the network and its losses, as plain loops.
 *
 * This is the specification that all faster kernels are tested against: feature maps
 * are planar (C x H x W), sums are double, nothing is blocked, threaded or allocated.
 * relu != 0 applies max(x, 0) to each input value x.
 */
#ifndef NST_KERNELS_REFERENCE_H
#define NST_KERNELS_REFERENCE_H

#include <stddef.h>

#include "kernels/padding.h"

/*
 * 3x3 convolution, stride 1, padding 1 (applied after relu):
 *   y[o][i][j] = bias[o] + sum_{c,u,v} w[o][c][u][v] x[c][i+u-1][j+v-1]
 * x: cin x h x w   weight: cout x cin x 3 x 3   bias: cout or NULL   y: cout x h x w
 */
void nst_conv3x3_c(const float *x, int relu, const float *weight, const float *bias,
                   float *y, int cin, int cout, int h, int w, enum nst_padding padding);

/* Data gradient: gx[c][p][q] = sum_{o,u,v} w[o][c][u][v] sum gy[o][i][j] over the
 * outputs i, j whose tap u, v reads p, q: nst_padded_readers(). */
void nst_conv3x3_grad_c(const float *gy, const float *weight, float *gx, int cin,
                        int cout, int h, int w, enum nst_padding padding);

/*
 * 2x2 pooling, stride 2; an odd last row or column is dropped (floor).
 * x: c x h x w   y: c x h/2 x w/2
 */
void nst_maxpool_c(const float *x, int relu, float *y, int c, int h, int w);
void nst_avgpool_c(const float *x, int relu, float *y, int c, int h, int w);

/* Pooling gradients; gx is written in full. The first of equal maxima (in row order)
 * receives the gradient, as in PyTorch. */
void nst_maxpool_grad_c(const float *x, int relu, const float *gy, float *gx, int c,
                        int h, int w);
void nst_avgpool_grad_c(const float *gy, float *gx, int c, int h, int w);

/* g[i] = 0 where y[i] <= 0: the backward pass of ReLU, whether y is its output or its
 * input. */
void nst_relu_grad_c(const float *y, float *g, size_t n);

/* A mask holds one weight for each of area = H W pixels: the square of the guidance
 * channel of Gatys et al. 2017, eq. 4. NULL: all weights are 1. */

/* sums += sum_p mask[p] F[p] F[p]^T, c x c, in full, for f of c x area. Divided by
 * C H W it is the Gram matrix (Gatys et al. 2016, eq. 3). */
void nst_gram_c(const float *f, int relu, const float *mask, double *sums, int c,
                size_t area);

/* sums += sum_p mask[p] F[p], c values. */
void nst_channel_sums_c(const float *f, int relu, const float *mask, double *sums,
                        int c, size_t area);

/* g[p] += mask[p] (S F[p] + offset); S is c x c, offset is c or NULL. This is dL/dF for
 * S = (dL/dG + (dL/dG)^T) / (C H W), G the Gram matrix, and offset the gradient with
 * respect to the channel sums. With relu, F = max(f, 0). */
void nst_gram_grad_c(const float *f, int relu, const float *mask, const float *s,
                     const float *offset, float *g, int c, size_t area);

/* sum_i (f[i] - t[i])^2 */
double nst_squared_error_c(const float *f, int relu, const float *t, size_t n);
/* g[i] += scale (f[i] - t[i]) */
void nst_squared_error_grad_c(const float *f, int relu, const float *t, float scale,
                              float *g, size_t n);

#endif
