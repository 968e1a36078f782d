/* SPDX-License-Identifier: MIT */
/*
 * nchw16c.h - the inner loops of the fast CPU engine, one table of them per
 * instruction set.
 *
 * Channels come in blocks of 16 that lie together: a map is C/16 x rows x columns x 16.
 * The sources nchw16c_*.c are compiled for each instruction set, with vectors of its
 * width; nst_nchw16c_choose() takes the best one that this machine has.
 *
 * Convolution is Winograd's F(4x4, 3x3) (Lavin and Gray 2016): 6x6 inputs and the
 * weights are transformed, multiplied at each of 36 places as matrices over channels,
 * and transformed back to 4x4 outputs.
 */
#ifndef NST_KERNELS_NCHW16C_H
#define NST_KERNELS_NCHW16C_H

#include <stddef.h>

#include "base/err.h"

#define NST_BLOCK 16        /* channels of a block */
#define NST_WINOGRAD_TILE 4 /* outputs of a tile, each way */
#define NST_WINOGRAD_POINTS 36

struct nst_nchw16c_kernels {
    const char *name;
    int nr; /* columns (tiles or pixels) that product works on at once */

    /*
     * Transform the 6 x 6 pixels at x (pitch floats from row to row) of one block of
     * channels, seen through the ReLU if relu; place k goes to v + k * stride.
     */
    void (*winograd_input)(const float *x, size_t pitch, int relu, float *v,
                           size_t stride);
    /*
     * Transform 36 places (m + k * stride) of one block back, add the bias (16, or
     * NULL), apply the ReLU if relu, and write the first rows x columns of the 4 x 4
     * pixels at y.
     */
    void (*winograd_output)(const float *m, size_t stride, const float *bias, int relu,
                            float *y, size_t pitch, int rows, int columns);
    /*
     * c[o][n] = sum_i w[o][i] a[i][n] over blocks, n from 1: a is in x n x 16 with
     * a_stride floats from block to block, seen through the ReLU if relu; w is out x
     * (16 in) x 16 (o the last); c is out x n x 16 with c_stride. What lies behind w is
     * asked for in advance: the weights of the next product, if they are to come fast.
     */
    void (*gemm)(int n, int in, int out, const float *a, size_t a_stride, int relu,
                 const float *w, float *c, size_t c_stride);
    /* g[i][j] += sum_p a[p][i] b[p][j], 16 x 16, over rows of n pixels of two blocks,
     * pitch floats from row to row. */
    void (*gram)(int rows, int n, const float *a, const float *b, size_t pitch,
                 int relu, float *g);

    /*
     * The rest works on one row of one block. A row of n pooling windows: x0 and x1 are
     * the two rows above one another, of 2 n pixels, y has n.
     */
    void (*maxpool)(int n, const float *x0, const float *x1, int relu, float *y);
    void (*avgpool)(int n, const float *x0, const float *x1, int relu, float *y);
    /* The ways back: g0 and g1 are written; the first of equal maxima takes gy. */
    void (*maxpool_grad)(int n, const float *x0, const float *x1, int relu,
                         const float *gy, float *g0, float *g1);
    void (*avgpool_grad)(int n, const float *gy, float *g0, float *g1);
    /* y = (y > 0 ? up + after : 0) + before, n pixels; each of the three may be NULL,
     * which is 0. */
    void (*relu_grad)(int n, const float *upstream, const float *after,
                      const float *before, float *y);
    /* y = max(y, 0) */
    void (*relu)(int n, float *y);
    /* g += scale (f - t), f seen through the ReLU if relu */
    void (*add_difference)(int n, const float *f, int relu, const float *t, float scale,
                           float *g);
    /* The sum of (f - t)^2, f seen through the ReLU if relu */
    double (*squared_error)(int n, const float *f, int relu, const float *t);
};

/* The table that $NST_CPU names, or the best for this machine. NULL if it names none
 * that this machine has. */
const struct nst_nchw16c_kernels *nst_nchw16c_choose(void);
/* Says so: NST_ERR_ARG. */
enum nst_status nst_nchw16c_unknown_isa(struct nst_err *err);
/* All tables that this machine can run, the best first; NULL-terminated. */
const struct nst_nchw16c_kernels *const *nst_nchw16c_available(void);

#endif
