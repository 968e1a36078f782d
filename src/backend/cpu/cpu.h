/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - what the files of the CPU backend share.
 *
 * A map of C x H x W lies as blocks of 16 channels, rows, columns, 16 floats, with a
 * frame of zeros around each block: one row and column before, and after it what it
 * takes to fill whole 4x4 tiles and one more. So a convolution reads its padding where
 * it stands and has no special case at the borders. Everything that writes a map
 * leaves the frame, and the channels that fill up the last block, zero. The row pitch
 * is odd, so that the rows of a tile do not fall on the same cache lines.
 *
 * Work is cut into pieces by the shapes alone, and each sum is made in one order, so
 * that a result does not depend on the number of threads.
 */
#ifndef NST_BACKEND_CPU_CPU_H
#define NST_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "kernels/nchw16c.h"

/* Scratch: each user says what it wants, and gets as much as the largest of them. */
struct nst_cpu_scratch {
    size_t tiles;   /* floats of transformed tiles, for each thread */
    size_t rows;    /* floats of rows of pixels, for each thread */
    size_t partial; /* floats of a part of a Gram matrix, for each thread */
    size_t shared;  /* floats of tiles that all threads work on together */
    size_t packed;  /* floats of the packed matrices on either side of a ReLU */
    size_t sums;    /* doubles of a Gram matrix of each group of rows */
};

struct nst_cpu {
    struct nst_backend base;
    const struct nst_nchw16c_kernels *kernels;
    struct nst_cpu_scratch reserved, conv_reserved; /* the latter: for convolutions */
    float **tiles, **rows, **partial;
    float *shared, *packed[2];
    double *sums;
};

/* A joint, and its matrices, region by region, as gemm() wants them. */
struct nst_cpu_step {
    const struct nst_backward_step *step;
    const float *before, *after;
};

struct nst_conv {
    struct nst_cpu_winograd *winograd; /* one of the two, the other is NULL */
    struct nst_cpu_first_conv_weights *first_conv;
};

static inline int nst_cpu_blocks(int channels)
{
    return (channels + NST_BLOCK - 1) / NST_BLOCK;
}

static inline int nst_cpu_tiles(int pixels)
{
    return (pixels + NST_WINOGRAD_TILE - 1) / NST_WINOGRAD_TILE;
}

/* Floats from row to row, and from block to block. */
static inline size_t nst_cpu_pitch(struct nst_shape s)
{
    return (size_t)(NST_WINOGRAD_TILE * nst_cpu_tiles(s.w) + 3) * NST_BLOCK;
}

static inline size_t nst_cpu_stride(struct nst_shape s)
{
    return (size_t)(NST_WINOGRAD_TILE * nst_cpu_tiles(s.h) + 2) * nst_cpu_pitch(s);
}

/* The first pixel of a row of a block. */
static inline float *nst_cpu_row(const struct nst_tensor *t, int block, int row)
{
    return t->data + (size_t)block * nst_cpu_stride(t->shape) +
           (size_t)(row + 1) * nst_cpu_pitch(t->shape) + NST_BLOCK;
}

/* Have at least this much scratch. NST_ERR_MEM. */
enum nst_status nst_cpu_scratch_reserve(struct nst_cpu *cpu,
                                        struct nst_cpu_scratch sizes,
                                        struct nst_err *err);

/* winograd.c */
enum nst_status nst_cpu_winograd_new(struct nst_cpu *cpu, struct nst_cpu_winograd **out,
                                     const float *weight, const float *bias, int cin,
                                     int cout, struct nst_err *err);
void nst_cpu_winograd_free(struct nst_cpu_winograd *w);
void nst_cpu_conv(struct nst_backend *be, const struct nst_conv *k,
                  const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                  bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled);
void nst_cpu_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_tensor *gy,
                       const struct nst_backward_step *step);

/* first_conv.c */
enum nst_status nst_cpu_first_conv_new(struct nst_cpu_first_conv_weights **out,
                                       const float *weight, const float *bias, int cout,
                                       const struct nst_normalisation *picture,
                                       struct nst_err *err);
void nst_cpu_first_conv_free(struct nst_cpu_first_conv_weights *p);
void nst_cpu_first_conv(struct nst_backend *be, const struct nst_conv *k,
                        const float *rgb, struct nst_tensor *y, bool out_relu);
void nst_cpu_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                             const struct nst_tensor *gy, float *rgb);

/* backward.c */

/* What joining pieces of at most NST_CPU_BACKWARD_WIDTH pixels of a row wants. */
#define NST_CPU_BACKWARD_WIDTH 113
struct nst_cpu_scratch nst_cpu_backward_scratch(int channels, int regions);
struct nst_cpu_step nst_cpu_step_pack(struct nst_cpu *cpu,
                                      const struct nst_backward_step *step);
/*
 * Turn y of the joint into the gradient for row row and columns first to last of the
 * gradient that comes from above. up is that row of the first block, upstream_stride
 * floats from block to block; NULL stands for zeros.
 */
void nst_cpu_backward_row(const struct nst_cpu *cpu, const struct nst_cpu_step *j,
                          const float *upstream, size_t upstream_stride, int row,
                          int first, int last, float *scratch);
void nst_cpu_head_grad(struct nst_backend *be, const struct nst_backward_step *step);

/* gram.c */
struct nst_cpu_scratch nst_cpu_gram_scratch(struct nst_shape s);
void nst_cpu_gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                  struct nst_window window, const float *mask, bool add, double *sums);

#endif
