/* SPDX-License-Identifier: MIT */
/*
 * vector_kernels.h - the optimiser's kernels on n floats, one table per instruction set
 * as in nchw16c.h. Sums are double; lbfgs_recurse4() adds runs of 32 terms in single
 * precision first.
 */
#ifndef NST_KERNELS_VECTOR_KERNELS_H
#define NST_KERNELS_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct nst_vector_kernels {
    /* sum a b; masked_dot: over i with fixed[i] == 0 */
    double (*dot)(size_t n, const float *a, const float *b);
    double (*masked_dot)(size_t n, const float *a, const float *b,
                         const uint8_t *fixed);
    double (*sum_abs)(size_t n, const float *a);
    float (*max_abs)(size_t n, const float *a); /* NaN if a contains one */
    void (*axpy)(size_t n, float *y, float alpha, const float *x); /* y += alpha x */
    void (*scale)(size_t n, float *x, float alpha);

    /*
     * Four curvature pairs of the two-loop recursion (see backend/host_direction.c):
     *   d = scale d + sum_k factor[k] x[k], then 0 where fixed;  sums[k] = d . z[k]
     * and, unless w is NULL, over the free elements
     *   sums[4 + k (k + 1) / 2 + j] = z[k] . w[j], j <= k
     * fixed may be NULL. A scale of 0 does not read d.
     */
    void (*lbfgs_recurse4)(size_t n, float *d, float scale, const float factor[4],
                           const float *const x[4], const uint8_t *fixed,
                           const float *const z[4], const float *const w[4],
                           double sums[14]);

    /* fixed = x is at a bound and -g points outwards. Returns their number. */
    size_t (*active_set)(size_t n, const float *x, const float *g, float lower,
                         float upper, uint8_t *fixed);
    /* d = clamp(x + d) - x. Returns d.g. */
    double (*project)(size_t n, float *d, const float *x, float lower, float upper,
                      const float *g);
    /* to = clamp(x + t d) */
    void (*projected_step)(size_t n, float *to, const float *x, float t, const float *d,
                           float lower, float upper);
    /* The largest t <= 1e10 for which x + t d is within the bounds. */
    float (*max_step)(size_t n, const float *x, const float *d, float lower,
                      float upper);
    /* On entry s is the new point. s -= x, x = the new point, y = g_new - g;
     * *sy = s.y, *yy = y.y. */
    void (*accept)(size_t n, float *x, float *s, float *y, const float *g_new,
                   const float *g, double *sy, double *yy);
};

/* The table of the instruction set of nst_nchw16c_choose(), or NULL. */
const struct nst_vector_kernels *nst_vector_kernels_choose(void);

#endif
