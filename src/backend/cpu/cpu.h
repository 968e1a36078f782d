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
#include "kernels/blocked.h"

/* A Gram matrix is summed in this many groups of rows at most. */
#define NST_CPU_GRAM_GROUPS 16

struct nst_cpu {
    struct nst_backend base;
    const struct nst_blocked_kernels *kernels;
    float **scratch;       /* one for each thread, of scratch_floats */
    size_t scratch_floats; /* as much as the largest convolution wants */
    float *shared;         /* scratch that all threads work on together */
    size_t shared_floats;
    float *gram_parts; /* NST_CPU_GRAM_GROUPS matrices of gram_side squared */
    size_t gram_side;  /* channels, in whole blocks */
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

/* How many threads a pass over a map is worth: waking them takes some microseconds. */
static inline int nst_cpu_threads(const struct nst_backend *be, struct nst_shape s)
{
    return nst_shape_count(s) > 16384 ? be->threads : 1;
}

/* The first pixel of a row of a block. */
static inline float *nst_cpu_row(const struct nst_tensor *t, int block, int row)
{
    return t->data + (size_t)block * nst_cpu_stride(t->shape) +
           (size_t)(row + 1) * nst_cpu_pitch(t->shape) + NST_BLOCK;
}

/* Have at least this many floats of scratch for each thread, or for all together.
 * NST_ERR_MEM. */
enum nst_status nst_cpu_want_scratch(struct nst_cpu *cpu, size_t floats,
                                     struct nst_err *err);
enum nst_status nst_cpu_want_shared(struct nst_cpu *cpu, size_t floats,
                                    struct nst_err *err);

enum nst_status nst_cpu_conv_new(struct nst_backend *be, struct nst_conv **out,
                                 const float *weight, const float *bias, int cin,
                                 int cout, bool gradient, struct nst_err *err);
void nst_cpu_conv_free(struct nst_backend *be, struct nst_conv *k);
void nst_cpu_conv(struct nst_backend *be, const struct nst_conv *k,
                  const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                  bool out_relu);
void nst_cpu_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_tensor *gy, struct nst_tensor *gx);
void nst_cpu_gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                  float *gram);
void nst_cpu_gram_grad(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                       const float *s, struct nst_tensor *g);

#endif
