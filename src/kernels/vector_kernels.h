/* SPDX-License-Identifier: MIT */
/*
 * vector_kernels.h - the inner loops of the optimiser over n floats, one table of them
 * per instruction set, as in nchw16c.h. Sums are made in double, those of recurse() in
 * runs of a few floats first.
 */
#ifndef NST_KERNELS_VECTOR_KERNELS_H
#define NST_KERNELS_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

struct nst_vector_kernels {
    /* sum a b, and the same over those i with fixed[i] == 0 */
    double (*dot)(size_t n, const float *a, const float *b);
    double (*masked_dot)(size_t n, const float *a, const float *b,
                         const uint8_t *fixed);
    double (*sum_abs)(size_t n, const float *a);
    float (*max_abs)(size_t n, const float *a); /* NaN if one of them is */
    void (*axpy)(size_t n, float *y, float alpha, const float *x); /* y += alpha x */
    void (*scale)(size_t n, float *x, float alpha);

    /*
     * Four pairs' part of a pass of the two-loop recursion (see
     * backend/host_direction.c):
     * d = scale d + sum_k factor[k] x[k], then 0 where fixed (or NULL). A scale of 0
     * does not read d. Then sums[k] = d . z[k], and with w
     *   sums[4 + k (k + 1) / 2 + j] = z[k] . w[j], j <= k, where not fixed.
     */
    void (*lbfgs_recurse4)(size_t n, float *d, float scale, const float factor[4],
                           const float *const x[4], const uint8_t *fixed,
                           const float *const z[4], const float *const w[4],
                           double sums[14]);

    /* fixed = (x at a bound and -g pointing outwards); how many */
    size_t (*active_set)(size_t n, const float *x, const float *g, float lower,
                         float upper, uint8_t *fixed);
    /* d = (x + d brought into the bounds) - x; the sum of d g */
    double (*project)(size_t n, float *d, const float *x, float lower, float upper,
                      const float *g);
    /* to = x + t d brought into the bounds */
    void (*projected_step)(size_t n, float *to, const float *x, float t, const float *d,
                           float lower, float upper);
    /* The largest t, 1e10 at most, for which x + t d is within the bounds. */
    float (*max_step)(size_t n, const float *x, const float *d, float lower,
                      float upper);
    /* x = s, the new point; s = the step to it; y = g_new - g; s.y and y.y */
    void (*accept)(size_t n, float *x, float *s, float *y, const float *g_new,
                   const float *g, double *sy, double *yy);
};

/* The table that goes with nst_nchw16c_choose(), or NULL. */
const struct nst_vector_kernels *nst_vector_kernels_choose(void);

#endif
