/* SPDX-License-Identifier: MIT */
/*
 * layout.h - layout, scratch memory and internal functions of the CPU backend.
 *
 * A map of C x H x W is stored as blocks of 16 channels x rows x columns x 16 floats.
 * Zero padding surrounds each block: one row and column before it; after it, enough to
 * complete the 4x4 tiles, and one more. A convolution reads one pixel around the map
 * and needs no special case at the borders; it first sets these pixels to what its
 * padding reads (nst_cpu_set_border()). All writers keep the others, and the unused
 * channels of the last block, at zero. The row pitch is odd, so that the rows of a tile
 * do not fall on the same cache lines.
 *
 * The order of each sum depends on the shapes alone, so results do not depend on the
 * number of threads.
 */
#ifndef NST_BACKEND_CPU_LAYOUT_H
#define NST_BACKEND_CPU_LAYOUT_H

#include "backend/host.h"
#include "kernels/nchw16c.h"

/* Sizes of scratch memory: the maximum over all users. */
struct nst_cpu_scratch {
    size_t tiles;   /* floats per thread: transformed tiles */
    size_t rows;    /* floats per thread: rows of pixels */
    size_t partial; /* floats per thread: part of a Gram matrix */
    size_t shared;  /* floats: tiles, or pixels of taps, that all threads share */
    size_t borders; /* floats: gradient of the padding of a map */
    size_t packed;  /* floats for each side of a ReLU: packed matrices */
    size_t sums;    /* doubles: one Gram matrix per group of rows */
};

struct nst_cpu {
    struct nst_backend base;
    const struct nst_nchw16c_kernels *kernels;
    struct nst_cpu_scratch reserved, conv_reserved; /* now; at the last conv_new() */
    float **tiles, **rows, **partial;
    float *shared, *borders, *packed[2];
    double *sums;
};

/* A backward step, and its matrices packed for gemm(), region by region. */
struct nst_cpu_step {
    const struct nst_backward_step *step;
    const float *before, *after;
};

/* Where a convolution writes its result; see conv() in backend.h. */
struct nst_cpu_output {
    struct nst_tensor *y;
    bool relu;
    struct nst_tensor *pooled; /* or NULL */
    enum nst_pooling pooling;
};

static inline int nst_cpu_blocks(int channels)
{
    return (channels + NST_BLOCK - 1) / NST_BLOCK;
}

static inline int nst_cpu_tiles(int pixels)
{
    return (pixels + NST_MAX_TILE - 1) / NST_MAX_TILE;
}

/* Floats per row, and per block (stride). */
static inline size_t nst_cpu_pitch(struct nst_shape s)
{
    return (size_t)(NST_MAX_TILE * nst_cpu_tiles(s.w) + 3) * NST_BLOCK;
}

static inline size_t nst_cpu_stride(struct nst_shape s)
{
    return (size_t)(NST_MAX_TILE * nst_cpu_tiles(s.h) + 2) * nst_cpu_pitch(s);
}

/* First pixel of a row of a block. */
static inline float *nst_cpu_row(const struct nst_tensor *t, int block, int row)
{
    return nst_floats(t->data) + (size_t)block * nst_cpu_stride(t->shape) +
           (size_t)(row + 1) * nst_cpu_pitch(t->shape) + NST_BLOCK;
}

/* Add the channels of one pixel of a block. */
static inline void nst_cpu_add_pixel(const float *from, float *to)
{
    for (int k = 0; k < NST_BLOCK; k++)
        to[k] += from[k];
}

/* Pool n windows of one row of a block, from window first on. */
static inline void nst_cpu_pool_row(const struct nst_cpu *cpu,
                                    const struct nst_cpu_output *y, int b, int row,
                                    int first, int n)
{
    const float *x0 = nst_cpu_row(y->y, b, 2 * row) + (size_t)2 * first * NST_BLOCK;
    const float *x1 = nst_cpu_row(y->y, b, 2 * row + 1) + (size_t)2 * first * NST_BLOCK;
    float *to = nst_cpu_row(y->pooled, b, row) + (size_t)first * NST_BLOCK;

    if (y->pooling == NST_POOLING_MAX)
        cpu->kernels->maxpool(n, x0, x1, !y->relu, to);
    else
        cpu->kernels->avgpool(n, x0, x1, !y->relu, to);
}

/* Grow the scratch memory to at least these sizes; contents are lost. NST_ERR_MEM. */
enum nst_status nst_cpu_scratch_reserve(struct nst_cpu *cpu,
                                        struct nst_cpu_scratch sizes,
                                        struct nst_err *err);

/* conv.c */
enum nst_status nst_cpu_conv_new(struct nst_backend *be, struct nst_conv **out,
                                 const struct nst_filters *filters,
                                 struct nst_err *err);
enum nst_status nst_cpu_conv_prepare(struct nst_backend *be, struct nst_conv *k,
                                     int height, int width, struct nst_err *err);
size_t nst_cpu_conv_plan(struct nst_backend *be, struct nst_conv *k, int height,
                         int width);
void nst_cpu_conv_free(struct nst_backend *be, struct nst_conv *k);
void nst_cpu_conv(struct nst_backend *be, const struct nst_conv *k,
                  const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                  bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled);
void nst_cpu_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_tensor *gy,
                       const struct nst_backward_step *step);

/* border.c */
/* Set the pixels around a map to its padding. */
void nst_cpu_set_border(struct nst_cpu *cpu, const struct nst_tensor *t,
                        enum nst_padding padding);

/* first_conv.c */
struct nst_cpu_first_conv_weights;
enum nst_status nst_cpu_first_conv_new(struct nst_cpu_first_conv_weights **out,
                                       const struct nst_filters *f,
                                       struct nst_err *err);
void nst_cpu_first_conv_free(struct nst_cpu_first_conv_weights *p);
void nst_cpu_first_conv(struct nst_backend *be, const struct nst_conv *k,
                        const struct nst_buffer *rgb, struct nst_tensor *y,
                        bool out_relu);
void nst_cpu_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                             const struct nst_tensor *gy, struct nst_buffer *rgb);

/* backward.c */

/* Scratch for row segments of up to NST_CPU_BACKWARD_WIDTH pixels. */
#define NST_CPU_BACKWARD_WIDTH 113
struct nst_cpu_scratch nst_cpu_backward_scratch(int channels, int regions);
struct nst_cpu_step nst_cpu_step_pack(struct nst_cpu *cpu,
                                      const struct nst_backward_step *step);
/*
 * Replace y by its gradient where columns first to last - 1 of one row of the upstream
 * gradient reach it (if pooled, twice the columns of two rows, and an odd rest).
 * upstream is that row segment in the first block, upstream_stride floats per block.
 */
void nst_cpu_backward_row(const struct nst_cpu *cpu, const struct nst_cpu_step *j,
                          const float *upstream, size_t upstream_stride, int row,
                          int first, int last, float *scratch);
void nst_cpu_head_grad(struct nst_backend *be, const struct nst_backward_step *step);

/* gram.c */
struct nst_cpu_scratch nst_cpu_gram_scratch(struct nst_shape s);
void nst_cpu_layer_sums(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                        struct nst_window window, const struct nst_buffer *mask,
                        bool add, struct nst_layer_sums sums);

#endif
