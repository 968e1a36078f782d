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

/* Elements first to first + n of a pass: does what it does and returns this part of
 * the sum, or of the maximum. */
typedef double nst_vector_part(const struct nst_vector_kernels *k, const void *ctx,
                               size_t first, size_t n);

/* The sum of part over all blocks. */
double nst_vector_sum(const struct nst_vectors *v, nst_vector_part *part,
                      const void *ctx);
/* The largest of part over all blocks; NaN if one of them is. */
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
