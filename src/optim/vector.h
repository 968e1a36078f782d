/* SPDX-License-Identifier: MIT */
/*
 * vector.h - passes over long vectors, threaded. A vector is cut into blocks by its
 * length alone; sums are made block by block, in double, and the blocks' in order, so
 * that they are the same for any number of threads.
 */
#ifndef NST_OPTIM_VECTOR_H
#define NST_OPTIM_VECTOR_H

#include <stddef.h>

#include "base/err.h"
#include "base/threads.h"
#include "kernels/vectors.h"

/* What an optimiser's vectors have in common. */
struct nst_vectors {
    size_t n; /* floats of each */
    struct nst_threads *threads;
    const struct nst_vector_kernels *kernels;
};

/* NST_ERR_ARG ($NST_CPU names an instruction set that is not there). */
enum nst_status nst_vectors_init(struct nst_vectors *v, size_t n,
                                 struct nst_threads *threads, struct nst_err *err);

/* Elements first to first + n of a pass: does what it does, and sets its results to
 * this part of the sums, or of the maximum. */
typedef void nst_vector_part(const struct nst_vector_kernels *k, const void *ctx,
                             size_t first, size_t n, double *results);

#define NST_VECTOR_SUMS 16 /* of one pass at most */

/* A pass over all blocks that makes no sum. */
void nst_vector_pass(const struct nst_vectors *v, nst_vector_part *part,
                     const void *ctx);
/* sums[i], count of them, become the sums of part's results over all blocks. */
void nst_vector_sums(const struct nst_vectors *v, nst_vector_part *part,
                     const void *ctx, int count, double *sums);
/* The largest of part's one result over all blocks; NaN if one of them is. */
double nst_vector_max(const struct nst_vectors *v, nst_vector_part *part,
                      const void *ctx);

/* sum_i a[i] b[i] */
double nst_vector_dot(const struct nst_vectors *v, const float *a, const float *b);
/* y += alpha x */
void nst_vector_add(const struct nst_vectors *v, float *y, double alpha,
                    const float *x);
/* x *= alpha */
void nst_vector_scale(const struct nst_vectors *v, float *x, double alpha);
/* max_i |a[i]|; NaN if one of them is */
double nst_vector_max_abs(const struct nst_vectors *v, const float *a);
/* sum_i |a[i]| */
double nst_vector_sum_abs(const struct nst_vectors *v, const float *a);

#endif
