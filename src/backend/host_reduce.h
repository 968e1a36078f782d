/* SPDX-License-Identifier: MIT */
/*
 * host_reduce.h - threaded passes over long vectors on the CPU. The length alone
 * decides the blocks. Each block is summed in double, and the block sums are added in
 * order, so the result is the same for any number of threads.
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

/* Processes elements first to first + n - 1; results[] become their maxima or sums. */
typedef void nst_range_fn(const struct nst_vector_kernels *k, const void *ctx,
                          size_t first, size_t n, double *results);

#define NST_REDUCE_MAX 14 /* results of a pass, at most */

/* Passes over vectors of n floats. Reduces results[] over all blocks: the first maxima
 * of them by maximum (NaN if any is NaN), the others by sum. */
void nst_reduce(struct nst_backend *be, size_t n, nst_range_fn *fn, const void *ctx,
                int maxima, int count, double *results);
void nst_reduce_sum(struct nst_backend *be, size_t n, nst_range_fn *fn, const void *ctx,
                    int count, double *results);
void nst_parallel_for(struct nst_backend *be, size_t n, nst_range_fn *fn,
                      const void *ctx);

struct operands {
    float *y;
    const float *a, *b;
    float alpha;
    struct nst_box box;
};

#endif
