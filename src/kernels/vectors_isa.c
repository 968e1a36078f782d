/* SPDX-License-Identifier: MIT */
/* Plain loops, compiled once for each instruction set: see vectors.h. */
#include "config.h"

#include "kernels/vectors.h"

#include <math.h>
#include <string.h>

#include "kernels/blocked_isa.h"

static double dot(size_t n, const float *a, const float *b)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static double free_dot(size_t n, const float *a, const float *b, const uint8_t *fixed)
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

union value {
    float f;
    int32_t bits;
};

/* Without their sign, floats are ordered as the integers of the same bits, and a NaN
 * is larger than all that are none. */
static float max_abs(size_t n, const float *a)
{
    union value most = {0};
    int32_t bits = 0;

#pragma omp simd reduction(max : bits)
    for (size_t i = 0; i < n; i++) {
        union value v = {a[i]};

        v.bits &= INT32_MAX;
        bits = v.bits > bits ? v.bits : bits;
    }
    most.bits = bits;
    return most.f;
}

static void add(size_t n, float *restrict y, float alpha, const float *restrict x)
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

static double recurse(size_t n, float *restrict d, float factor, float alpha,
                      const float *restrict x, const uint8_t *restrict fixed,
                      const float *restrict z)
{
    if (factor == 0)
        memset(d, 0, n * sizeof *d);
    if (fixed) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            d[i] = fixed[i] ? 0 : factor * d[i] + alpha * x[i];
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            d[i] = factor * d[i] + alpha * x[i];
    }
    return dot(n, d, z);
}

static inline float into(float v, float lower, float upper)
{
    v = v > lower ? v : lower;
    return v < upper ? v : upper;
}

static size_t fix(size_t n, const float *x, const float *g, float lower, float upper,
                  uint8_t *restrict fixed)
{
    unsigned count = 0;

#pragma omp simd reduction(+ : count)
    for (size_t i = 0; i < n; i++) {
        fixed[i] = (x[i] <= lower && g[i] > 0) | (x[i] >= upper && g[i] < 0);
        count += fixed[i];
    }
    return count;
}

static void cut(size_t n, float *restrict d, const float *restrict x, float lower,
                float upper)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        d[i] = into(x[i] + d[i], lower, upper) - x[i];
}

static void move(size_t n, float *restrict to, const float *restrict x, float t,
                 const float *restrict d, float lower, float upper)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        to[i] = into(x[i] + t * d[i], lower, upper);
}

static float longest(size_t n, const float *x, const float *d, float lower, float upper)
{
    union value least = {1e10f};
    int32_t bits = least.bits; /* none is negative: ordered as integers again */

#pragma omp simd reduction(min : bits)
    for (size_t i = 0; i < n; i++) {
        float room = d[i] > 0 ? upper - x[i] : x[i] - lower;
        union value limit = {d[i] != 0 ? room / fabsf(d[i]) : 1e10f};

        bits = limit.bits < bits ? limit.bits : bits;
    }
    least.bits = bits;
    return least.f;
}

static void accept(size_t n, float *restrict x, float *restrict s, float *restrict y,
                   const float *restrict g_new, const float *restrict g)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float to = s[i];

        s[i] = to - x[i];
        x[i] = to;
        y[i] = g_new[i] - g[i];
    }
}

extern const struct nst_vector_kernels ISA(vectors);
const struct nst_vector_kernels ISA(vectors) = {
    .dot = dot,
    .free_dot = free_dot,
    .sum_abs = sum_abs,
    .max_abs = max_abs,
    .add = add,
    .scale = scale,
    .recurse = recurse,
    .fix = fix,
    .cut = cut,
    .move = move,
    .longest = longest,
    .accept = accept,
};
