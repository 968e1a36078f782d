/* SPDX-License-Identifier: MIT */
/*
 * host_reduce.h - passes over long vectors on the CPU, threaded. A vector is cut into
 * blocks by its length alone; sums are made block by block, in double, and the blocks'
 * in order, so that they are the same for any number of threads.
 */
#ifndef NST_BACKEND_HOST_REDUCE_H
#define NST_BACKEND_HOST_REDUCE_H

#include "backend/host.h"

#include "backend/vector_ops.h"
#include "kernels/vector_kernels.h"

/* host_direction.c */
size_t nst_host_workspace_bytes(size_t n, int pairs);
struct nst_direction nst_host_direction(struct nst_backend *be, size_t n,
                                        const struct nst_direction_args *c);

/* What the passes over some vectors have in common. */
struct vector_ctx {
    size_t n; /* floats of each */
    struct nst_threads *threads;
    const struct nst_vector_kernels *kernels;
};

struct vector_ctx nst_vector_ctx(struct nst_backend *be, size_t n);

/* Elements first to first + n of a pass: does what it does, and sets its results to
 * this part of the maximum, or of the sums. */
typedef void nst_range_fn(const struct nst_vector_kernels *k, const void *ctx,
                          size_t first, size_t n, double *results);

/* results[] become those of all blocks: the first maxima of them the largest, or NaN if
 * one of them is, the others sums. */
void nst_reduce(const struct vector_ctx *v, nst_range_fn *fn, const void *ctx,
                int maxima, int count, double *results);
void nst_reduce_sum(const struct vector_ctx *v, nst_range_fn *fn, const void *ctx,
                    int count, double *results);
void nst_parallel_for(const struct vector_ctx *v, nst_range_fn *fn, const void *ctx);

struct operands {
    float *y;
    const float *a, *b;
    float alpha;
    struct nst_box box;
};

#endif
