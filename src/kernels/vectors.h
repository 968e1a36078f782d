/* SPDX-License-Identifier: MIT */
/*
 * vectors.h - the inner loops of the optimiser over n floats, one table of them per
 * instruction set, as in blocked.h. Sums are made in double.
 */
#ifndef NST_KERNELS_VECTORS_H
#define NST_KERNELS_VECTORS_H

#include <stddef.h>
#include <stdint.h>

struct nst_vector_kernels {
    /* sum a b, and the same over those i with fixed[i] == 0 */
    double (*dot)(size_t n, const float *a, const float *b);
    double (*free_dot)(size_t n, const float *a, const float *b, const uint8_t *fixed);
    double (*sum_abs)(size_t n, const float *a);
    float (*max_abs)(size_t n, const float *a); /* NaN if one of them is */
    void (*add)(size_t n, float *y, float alpha, const float *x); /* y += alpha x */
    void (*scale)(size_t n, float *x, float alpha);

    /* d = scale d + alpha x, then 0 where fixed (or NULL); the sum of d z. A scale of 0
     * does not read d. */
    double (*recurse)(size_t n, float *d, float scale, float alpha, const float *x,
                      const uint8_t *fixed, const float *z);

    /* fixed = (x at a bound and -g pointing outwards); how many */
    size_t (*fix)(size_t n, const float *x, const float *g, float lower, float upper,
                  uint8_t *fixed);
    /* d = (x + d brought into the bounds) - x */
    void (*cut)(size_t n, float *d, const float *x, float lower, float upper);
    /* to = x + t d brought into the bounds */
    void (*move)(size_t n, float *to, const float *x, float t, const float *d,
                 float lower, float upper);
    /* The largest t, 1e10 at most, for which x + t d is within the bounds. */
    float (*longest)(size_t n, const float *x, const float *d, float lower,
                     float upper);
    /* x = s, the new point; s = the step to it; y = g_new - g */
    void (*accept)(size_t n, float *x, float *s, float *y, const float *g_new,
                   const float *g);
};

/* The table that goes with nst_blocked_choose(), or NULL. */
const struct nst_vector_kernels *nst_vectors_choose(void);

#endif
