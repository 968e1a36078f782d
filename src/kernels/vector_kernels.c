/* SPDX-License-Identifier: MIT */
/* vector_kernels.c - plain loops, compiled once per instruction set. */
#include "config.h"

#include "kernels/vector_kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/nchw16c_isa.h"

static double dot(size_t n, const float *a, const float *b)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static double masked_dot(size_t n, const float *a, const float *b, const uint8_t *fixed)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += fixed[i] ? 0 : (double)a[i] * b[i];
    return sum;
}

static double sum_abs(size_t n, const float *a)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += fabsf(a[i]);
    return sum;
}

union float_bits {
    float f;
    int32_t bits;
};

/* Without the sign, floats order like the integers of their bits; NaN is largest. */
static float max_abs(size_t n, const float *a)
{
    union float_bits largest = {0};
    int32_t bits = 0;

#pragma omp simd reduction(max : bits)
    for (size_t i = 0; i < n; i++) {
        union float_bits v = {a[i]};

        v.bits &= INT32_MAX;
        bits = v.bits > bits ? v.bits : bits;
    }
    largest.bits = bits;
    return largest.f;
}

static void axpy(size_t n, float *restrict y, float alpha, const float *restrict x)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] += alpha * x[i];
}

static void scale(size_t n, float *x, float alpha)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] *= alpha;
}

typedef uint8_t bytes __attribute__((vector_size(NST_LANES), aligned(1)));

enum { GROUP = 4, SUMS = GROUP + GROUP * (GROUP + 1) / 2 };

/* lbfgs_recurse4() for the vector at i; adds the products to sums. */
INLINE void recurse_vec(size_t i, float *d, float scale, const float *factor,
                        const float *const *x, const uint8_t *fixed,
                        const float *const *z, const float *const *w, vec *sums)
{
    ivec free_mask = ~(ivec){0};
    vec v = scale * load(d + i), right[GROUP];

    if (fixed)
        free_mask = __builtin_convertvector(*(const bytes *)(fixed + i), ivec) == 0;
    UNROLL for (int k = 0; k < GROUP; k++) v += factor[k] * load(x[k] + i);
    v = (vec)((ivec)v & free_mask);
    store(d + i, v);
    if (w)
        UNROLL for (int k = 0; k < GROUP; k++) right[k] =
            (vec)((ivec)load(w[k] + i) & free_mask);
    UNROLL for (int k = 0; k < GROUP; k++)
    {
        vec left = load(z[k] + i);

        sums[k] += v * left;
        if (w)
            UNROLL for (int j = 0; j <= k; j++) sums[GROUP + k * (k + 1) / 2 + j] +=
                left * right[j];
    }
}

INLINE void recurse_vecs(size_t n, float *d, float scale, const float *factor,
                         const float *const *x, const uint8_t *fixed,
                         const float *const *z, const float *const *w, double *sums)
{
    enum { RUN = 32 * NST_LANES };
    double lanes[SUMS][NST_LANES] = {{0}};
    int count = w ? SUMS : GROUP;

    for (size_t first = 0; first < n; first += RUN) {
        vec run[SUMS] = {{0}};

        for (size_t i = first; i < n && i < first + RUN; i += NST_LANES)
            recurse_vec(i, d, scale, factor, x, fixed, z, w, run);
        for (int k = 0; k < count; k++)
            for (int l = 0; l < NST_LANES; l++)
                lanes[k][l] += run[k][l];
    }
    for (int k = 0; k < count; k++) {
        sums[k] = 0;
        for (int l = 0; l < NST_LANES; l++)
            sums[k] += lanes[k][l];
    }
}

/* The remaining n elements, less than a vector. */
static void recurse_tail(size_t n, float *d, float scale, const float *factor,
                         const float *const *x, const uint8_t *fixed,
                         const float *const *z, const float *const *w, double *sums)
{
    for (size_t i = 0; i < n; i++) {
        int is_free = !fixed || !fixed[i];
        float v = scale * d[i];

        for (int k = 0; k < GROUP; k++)
            v += factor[k] * x[k][i];
        d[i] = is_free ? v : 0;
        for (int k = 0; k < GROUP; k++) {
            sums[k] += (double)d[i] * z[k][i];
            for (int j = 0; w && is_free && j <= k; j++)
                sums[GROUP + k * (k + 1) / 2 + j] += (double)z[k][i] * w[j][i];
        }
    }
}

static void lbfgs_recurse4(size_t n, float *d, float scale, const float factor[4],
                           const float *const x[4], const uint8_t *fixed,
                           const float *const z[4], const float *const w[4],
                           double sums[14])
{
    const float *xr[GROUP], *zr[GROUP], *wr[GROUP];
    size_t whole = n - n % NST_LANES;

    if (scale == 0)
        memset(d, 0, n * sizeof *d);
    if (fixed && w)
        recurse_vecs(whole, d, scale, factor, x, fixed, z, w, sums);
    else if (fixed)
        recurse_vecs(whole, d, scale, factor, x, fixed, z, NULL, sums);
    else if (w)
        recurse_vecs(whole, d, scale, factor, x, NULL, z, w, sums);
    else
        recurse_vecs(whole, d, scale, factor, x, NULL, z, NULL, sums);
    for (int k = 0; k < GROUP; k++) {
        xr[k] = x[k] + whole;
        zr[k] = z[k] + whole;
        wr[k] = w ? w[k] + whole : NULL;
    }
    recurse_tail(n - whole, d + whole, scale, factor, xr, fixed ? fixed + whole : NULL,
                 zr, w ? wr : NULL, sums);
}

static inline float clampf(float v, float lower, float upper)
{
    v = v > lower ? v : lower;
    return v < upper ? v : upper;
}

static size_t active_set(size_t n, const float *x, const float *g, float lower,
                         float upper, uint8_t *restrict fixed)
{
    unsigned count = 0;

#pragma omp simd reduction(+ : count)
    for (size_t i = 0; i < n; i++) {
        fixed[i] = (x[i] <= lower && g[i] > 0) | (x[i] >= upper && g[i] < 0);
        count += fixed[i];
    }
    return count;
}

static double project(size_t n, float *restrict d, const float *restrict x, float lower,
                      float upper, const float *restrict g)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        d[i] = clampf(x[i] + d[i], lower, upper) - x[i];
    return dot(n, d, g);
}

static void projected_step(size_t n, float *restrict to, const float *restrict x,
                           float t, const float *restrict d, float lower, float upper)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        to[i] = clampf(x[i] + t * d[i], lower, upper);
}

static float max_step(size_t n, const float *x, const float *d, float lower,
                      float upper)
{
    union float_bits smallest = {1e10f};
    int32_t bits = smallest.bits; /* no limit is negative: compare as integers */

#pragma omp simd reduction(min : bits)
    for (size_t i = 0; i < n; i++) {
        float room = d[i] > 0 ? upper - x[i] : x[i] - lower;
        union float_bits limit = {d[i] != 0 ? room / fabsf(d[i]) : 1e10f};

        bits = limit.bits < bits ? limit.bits : bits;
    }
    smallest.bits = bits;
    return smallest.f;
}

static void accept(size_t n, float *restrict x, float *restrict s, float *restrict y,
                   const float *restrict g_new, const float *restrict g, double *sy,
                   double *yy)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float to = s[i];

        s[i] = to - x[i];
        x[i] = to;
        y[i] = g_new[i] - g[i];
    }
    *sy = dot(n, s, y);
    *yy = dot(n, y, y);
}

extern const struct nst_vector_kernels ISA(vector_kernels);
const struct nst_vector_kernels ISA(vector_kernels) = {
    .dot = dot,
    .masked_dot = masked_dot,
    .sum_abs = sum_abs,
    .max_abs = max_abs,
    .axpy = axpy,
    .scale = scale,
    .lbfgs_recurse4 = lbfgs_recurse4,
    .active_set = active_set,
    .project = project,
    .projected_step = projected_step,
    .max_step = max_step,
    .accept = accept,
};
