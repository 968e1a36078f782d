/* SPDX-License-Identifier: MIT */
/*
 * nchw16c.h - the kernels of the CPU backend: one table per instruction set.
 *
 * Channels are stored in blocks of 16: a map is C/16 x rows x columns x 16. The sources
 * nchw16c_*.c are compiled once per instruction set, with its vector width;
 * nst_nchw16c_choose() returns the best table for this machine.
 *
 * Convolution is Winograd's F(4x4, 3x3) or F(2x2, 3x3) (Lavin and Gray 2016): 6x6 input
 * tiles and the weights are transformed, multiplied at each of the 36 Winograd points
 * as matrices over channels, and transformed back to 4x4 output tiles; or 4x4, 16 and
 * 2x2. Where a kernel takes relu, relu != 0 applies max(x, 0) to its input, unless
 * stated otherwise.
 */
#ifndef NST_KERNELS_NCHW16C_H
#define NST_KERNELS_NCHW16C_H

#include <stddef.h>

#include "base/err.h"

#define NST_BLOCK 16   /* channels per block */
#define NST_MAX_TILE 4 /* rows and columns of an output tile */
#define NST_MAX_POINTS 36
/* Values that a row of a 9x9 filter of a picture multiplies: 9 pixels of RGB. */
#define NST_PICTURE_TAPS 27

/*
 * A product c[o][n] = sum_i w[o][i] a[i][n], of n >= 1 columns (tiles or pixels); in
 * and out count blocks. a: in x n x 16, a_stride floats per block   c: out x n x 16,
 * c_stride w: out x (16 in) x 16, output channel last
 */
struct nst_gemm {
    int n, in, out;
    const float *a, *w;
    size_t a_stride, c_stride;
    int relu;          /* of a */
    const float *bias; /* added to each output channel; or NULL */
    int add;           /* to c */
    float *c;
};

/* The transforms of one size of tiles: F(tile x tile, 3x3) with (tile + 2)^2 points. */
struct nst_winograd {
    int tile, points;
    /* Transform 16 filters: g is 9 taps x 16. Point k goes to u + k * stride. */
    void (*weight)(const float *g, float *u, size_t stride);
    /* Transform the pixels at x (pitch floats per row) of one block. Point k goes to v
     * + k * stride. */
    void (*input)(const float *x, size_t pitch, int relu, float *v, size_t stride);
    /* Transform the points (m + k * stride) of one block back, add bias (16 values, or
     * NULL), apply ReLU to the result if relu, and write the first rows x columns of
     * the tile at y. */
    void (*output)(const float *m, size_t stride, const float *bias, int relu, float *y,
                   size_t pitch, int rows, int columns);
};

enum { NST_WINOGRAD_2, NST_WINOGRAD_4, NST_WINOGRADS };

/* One block of a map as its reader sees it: scale x + shift, 16 values each, then
 * max(y, 0) with relu. */
struct nst_block_view {
    float scale[NST_BLOCK], shift[NST_BLOCK];
    int relu;
};

/* 9x9 convolution of planar channels to RGB. */
struct nst_to_picture {
    int n, channels;
    const float *x;      /* channel 0 of the first of nine rows; n + 8 values of each */
    size_t row, channel; /* floats from one to the next */
    const float *w;      /* 9 x channels x 9 x 3 */
    float *y;            /* n values per colour are added to */
    size_t colour;       /* floats from one to the next */
};

/* Kernels of feed-forward networks (backend/net_ops.h), for one block. */
struct nst_net_kernels {
    /* Transform the input of a tile of F(4x4, 3x3), as struct nst_winograd has it. With
     * doubled, each pixel of x stands for 2 x 2, and the tile reads 4 x 4 of them. */
    void (*input)(const float *x, size_t pitch, const struct nst_block_view *view,
                  int doubled, float *v, size_t stride);
    /* Transform back, as there; add the sum of each channel of what is written to
     * sums[0], and of the squares to sums[1]. */
    void (*output)(const float *m, size_t stride, float *y, size_t pitch, int rows,
                   int columns, float sums[2][NST_BLOCK]);
    /* y = view of n pixels of x, step pixels apart. */
    void (*view)(int n, const float *x, int step, const struct nst_block_view *view,
                 float *y);
    /* The same to planes, plane floats apart. */
    void (*planar)(int n, const float *x, const struct nst_block_view *view, float *y,
                   size_t plane);
    /* z = view of x + view of y */
    void (*add)(int n, const float *x, const struct nst_block_view *x_view,
                const float *y, const struct nst_block_view *y_view, float *z);
    /* Add n pixels to sums, as output() does. */
    void (*sums)(int n, const float *y, float sums[2][NST_BLOCK]);
    /* gemm() with NST_PICTURE_TAPS inputs in place of 16, and columns of pixels of RGB:
     * in rows of a picture, a_stride floats apart. */
    void (*from_picture)(const struct nst_gemm *g);
    /* n is a multiple of group. */
    int group;
    void (*to_picture)(const struct nst_to_picture *t);
};

/* Factors of one block in the gradient of instance norm. */
struct nst_norm_factors {
    float gradient[NST_BLOCK], map[NST_BLOCK], offset[NST_BLOCK], centre[NST_BLOCK];
};

/* Kernels of the gradients of feed-forward networks (backend/net_grad_ops.h), for one
 * block. */
struct nst_net_grad_kernels {
    /* The transpose of a tile's output transform: 4x4 pixels of a gradient to 36
     * points. */
    void (*tile)(const float *gy, size_t pitch, float *v, size_t stride);
    /* The transpose of the weights' transform: 36 points (m + k * stride) of 16 values
     * to g, 9 taps x 16. */
    void (*taps)(const float *m, size_t stride, float *g);
    /* g[i][k] += sum over n pixels of a[i] b[k], i < values; a of each is step floats
     * further. */
    void (*outer)(int n, int values, const float *a, int step, const float *b,
                  float *g);
    /* With h the gradient g where the view's ReLU passes it, else 0, over n pixels: add
     * h to sums[0], and h (x - centre) to sums[1]. */
    void (*norm_sums)(int n, const float *x, const struct nst_block_view *view,
                      const float *centre, const float *g, float sums[2][NST_BLOCK]);
    /* gx = gradient h + map (x - centre) + offset */
    void (*norm)(int n, const float *x, const struct nst_block_view *view,
                 const struct nst_norm_factors *f, const float *g, float *gx);
};

struct nst_nchw16c_kernels {
    const char *name;
    int nr;            /* NR of gemm: columns (tiles or pixels) per micro-kernel call */
    int direct_pixels; /* convolve maps of up to this many as nine products */
    const struct nst_winograd *winograd; /* NST_WINOGRADS */
    const struct nst_net_kernels *net;
    const struct nst_net_grad_kernels *net_grad;

    /* Prefetches past the end of w, where the weights of the next product should be. */
    void (*gemm)(const struct nst_gemm *g);
    /* g[i][j] += sum_p a[p][i] b[p][j], 16 x 16, over rows x n pixels of two blocks;
     * pitch floats per row. Unless NULL, sums[i] += sum_p a[p][i]. */
    void (*gram)(int rows, int n, const float *a, const float *b, size_t pitch,
                 int relu, float *g, float *sums);

    /* The other kernels process one row of one block. Pooling of n windows: x0 and x1
     * are two adjacent rows of 2 n pixels; y has n. */
    void (*maxpool)(int n, const float *x0, const float *x1, int relu, float *y);
    void (*avgpool)(int n, const float *x0, const float *x1, int relu, float *y);
    /* Pooling gradients, written to g0 and g1. The first of equal maxima gets gy. */
    void (*maxpool_grad)(int n, const float *x0, const float *x1, int relu,
                         const float *gy, float *g0, float *g1);
    void (*avgpool_grad)(int n, const float *gy, float *g0, float *g1);
    /* y = (y > 0 ? upstream + after : 0) + before; NULL stands for 0. */
    void (*relu_grad)(int n, const float *upstream, const float *after,
                      const float *before, float *y);
    /* y = max(y, 0) */
    void (*relu)(int n, float *y);
    /* g += scale (f - t) */
    void (*add_difference)(int n, const float *f, int relu, const float *t, float scale,
                           float *g);
    /* sum (f - t)^2 */
    double (*squared_error)(int n, const float *f, int relu, const float *t);
};

/* The table that $NST_CPU names (default: the best one). NULL if this machine lacks it.
 */
const struct nst_nchw16c_kernels *nst_nchw16c_choose(void);
/* Report that $NST_CPU is not available: NST_ERR_ARG. */
enum nst_status nst_nchw16c_unknown_isa(struct nst_err *err);
/* All tables that this machine can run, best first; NULL-terminated. */
const struct nst_nchw16c_kernels *const *nst_nchw16c_available(void);

#endif
