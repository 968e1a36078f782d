/* SPDX-License-Identifier: MIT */
/*
 * vector.h - sums over long vectors, threaded. Each sum is made block by block, the
 * blocks in order and in double, so that it is the same for any number of threads.
 */
#ifndef NST_OPTIM_VECTOR_H
#define NST_OPTIM_VECTOR_H

#include <stddef.h>

/* How many of threads a loop over n elements is worth: waking them takes some
 * microseconds. */
static inline int nst_vector_threads(size_t n, int threads)
{
    return n > 16384 ? threads : 1;
}

/* sum_i a[i] b[i] */
double nst_vector_dot(const float *a, const float *b, size_t n, int threads);
/* y += alpha x */
void nst_vector_add(float *y, double alpha, const float *x, size_t n, int threads);
/* x *= alpha */
void nst_vector_scale(float *x, double alpha, size_t n, int threads);
/* max_i |a[i]|; NaN if one of them is */
double nst_vector_max_abs(const float *a, size_t n, int threads);
/* sum_i |a[i]| */
double nst_vector_sum_abs(const float *a, size_t n, int threads);

#endif
