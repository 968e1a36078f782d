/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/vector.h"

#include <math.h>

#define BLOCK ((size_t)4096)
#define BLOCKS_AT_ONCE 512 /* partial sums kept on the stack */

static double block_dot(const float *a, const float *b, size_t n)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static double block_sum_abs(const float *a, const float *b, size_t n)
{
    double sum = 0;

    (void)b;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += fabsf(a[i]);
    return sum;
}

/* Written so that a NaN is kept, not passed over. */
static double block_max_abs(const float *a, const float *b, size_t n)
{
    float m = 0;

    (void)b;
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i]) <= m))
            m = fabsf(a[i]);
    return m;
}

static double add(double a, double b)
{
    return a + b;
}

static double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

/* block() of every block, threaded, joined in order. */
static double reduce(double (*block)(const float *, const float *, size_t),
                     double (*join)(double, double), const float *a, const float *b,
                     size_t n, int threads)
{
    double part[BLOCKS_AT_ONCE], result = 0;

    for (size_t first = 0; first < n; first += BLOCK * BLOCKS_AT_ONCE) {
        size_t left = n - first, blocks = (left + BLOCK - 1) / BLOCK;

        if (blocks > BLOCKS_AT_ONCE)
            blocks = BLOCKS_AT_ONCE;
#pragma omp parallel for num_threads(nst_vector_threads(n, threads)) schedule(static)
        for (size_t k = 0; k < blocks; k++) {
            size_t at = first + k * BLOCK;

            part[k] = block(a + at, b + at, n - at < BLOCK ? n - at : BLOCK);
        }
        for (size_t k = 0; k < blocks; k++)
            result = join(result, part[k]);
    }
    return result;
}

double nst_vector_dot(const float *a, const float *b, size_t n, int threads)
{
    return reduce(block_dot, add, a, b, n, threads);
}

double nst_vector_sum_abs(const float *a, size_t n, int threads)
{
    return reduce(block_sum_abs, add, a, a, n, threads);
}

double nst_vector_max_abs(const float *a, size_t n, int threads)
{
    return reduce(block_max_abs, larger, a, a, n, threads);
}

void nst_vector_add(float *y, double alpha, const float *x, size_t n, int threads)
{
    float c = (float)alpha;

#pragma omp parallel for simd num_threads(nst_vector_threads(n, threads))              \
    schedule(static)
    for (size_t i = 0; i < n; i++)
        y[i] += c * x[i];
}

void nst_vector_scale(float *x, double alpha, size_t n, int threads)
{
    float c = (float)alpha;

#pragma omp parallel for simd num_threads(nst_vector_threads(n, threads))              \
    schedule(static)
    for (size_t i = 0; i < n; i++)
        x[i] *= c;
}
