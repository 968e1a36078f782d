/* SPDX-License-Identifier: MIT */
/*
 * host_passes.h - passes over long vectors on the CPU, threaded. A vector is cut into
 * blocks by its length alone; sums are made block by block, in double, and the blocks'
 * in order, so that they are the same for any number of threads.
 */
#ifndef NST_BACKEND_HOST_PASSES_H
#define NST_BACKEND_HOST_PASSES_H

#include "backend/host.h"

#include "backend/vectors.h"
#include "kernels/vectors.h"

/* host_direction.c */
size_t nst_host_work_bytes(size_t n, int pairs);
struct nst_downhill nst_host_direction(struct nst_backend *be, size_t n,
                                       const struct nst_descent *c);

/* What the passes over some vectors have in common. */
struct vectors {
    size_t n; /* floats of each */
    struct nst_threads *threads;
    const struct nst_vector_kernels *kernels;
};

struct vectors nst_passes_of(struct nst_backend *be, size_t n);

/* Elements first to first + n of a pass: does what it does, and sets its results to
 * this part of the maximum, or of the sums. */
typedef void nst_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *results);

/* results[] become those of all blocks: the first maxima of them the largest, or NaN if
 * one of them is, the others sums. */
void nst_reduce(const struct vectors *v, nst_part *part, const void *ctx, int maxima,
                int count, double *results);
void nst_sums(const struct vectors *v, nst_part *part, const void *ctx, int count,
              double *results);
void nst_pass(const struct vectors *v, nst_part *part, const void *ctx);

struct operands {
    float *y;
    const float *a, *b;
    float alpha;
    struct nst_box box;
};

#endif
