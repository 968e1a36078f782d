/* SPDX-License-Identifier: MIT */
/*
 * vector_ops.h - the optimisers' operations on vectors of n floats, buffers of the
 * backend.
 *
 * An operation does as much as possible before the caller has to make a decision, since
 * the host then waits for the device. Sums are double; dot products of curvature pairs
 * add short runs in single precision first. Their order depends on n and the number of
 * pairs alone.
 */
#ifndef NST_BACKEND_VECTOR_OPS_H
#define NST_BACKEND_VECTOR_OPS_H

#include "backend/buffer.h"

struct nst_backend;

struct nst_box {
    float lower, upper;
};

#define NST_MAX_PAIRS 100

/* Ring of curvature pairs: step s, change y of the gradient over it, and y.y. */
struct nst_ring {
    struct nst_buffer *const *s, *const *y;
    const double *yy; /* host memory */
    int slots, count;
    int next; /* slot after the latest pair */
};

/* Slot of the i-th latest pair, from 0. */
static inline int nst_ring_slot(const struct nst_ring *r, int i)
{
    return (r->next - 1 - i + 2 * r->slots) % r->slots;
}

/*
 * L-BFGS direction d = -H g (Nocedal and Wright, 2nd ed., algorithm 7.4). The initial
 * inverse Hessian is (s.y / y.y) I of the latest pair, or I without pairs.
 *
 * With x, variables at a bound whose gradient points outwards are fixed: d is 0 there,
 * all products run over the free variables, and pairs without curvature in these are
 * skipped. Then d is projected so that x + d is within the box.
 */
struct nst_direction_args {
    struct nst_ring pairs;
    const struct nst_buffer *x, *g; /* x: NULL if there is no box */
    struct nst_box box;
    double initial_rms; /* without pairs: RMS of d before projection; 0: d = -g */
    struct nst_buffer *workspace; /* workspace_bytes() */
    struct nst_buffer *d;
    /* x + d; may be the s of the oldest pair; NULL without x */
    struct nst_buffer *trial;
};

struct nst_direction {
    double slope;    /* d.g; 0 or NaN: there is no direction */
    double max_step; /* largest t <= 1e10 that keeps x + t d in the box */
};

struct nst_measures {
    double max_abs; /* max |g|; NaN if g contains one */
    double sq_norm; /* g.g */
    double slope;   /* g.d; 0 without d */
};

/* Exponential moving average: a = beta a + one_minus_beta x. */
struct nst_ema {
    float beta, one_minus_beta;
};

/* Adam step:
 * x = clamp(x - learning_rate first_moment / (scale sqrt(second_moment) + epsilon)) */
struct nst_adam_args {
    /* moving averages of g and g^2 */
    struct nst_buffer *first_moment, *second_moment;
    struct nst_buffer *average; /* moving average of the new x */
    struct nst_ema first_ema, second_ema, average_ema;
    float learning_rate, scale, epsilon;
};

struct nst_vector_ops {
    /* Bytes of workspace that direction() needs for this number of pairs. */
    size_t (*workspace_bytes)(size_t n, int pairs);
    struct nst_direction (*direction)(struct nst_backend *be, size_t n,
                                      const struct nst_direction_args *args);
    /* to = clamp(x + t d) */
    void (*projected_step)(struct nst_backend *be, size_t n, struct nst_buffer *to,
                           const struct nst_buffer *x, double t,
                           const struct nst_buffer *d, struct nst_box box);
    /* d may be NULL. */
    struct nst_measures (*measure)(struct nst_backend *be, size_t n,
                                   const struct nst_buffer *g,
                                   const struct nst_buffer *d);
    /* On entry s is the new point. s -= x, x = the new point, y = g_new - g. Does not
     * wait for the device: pair_dots() returns s.y and y.y of the last call. */
    void (*accept)(struct nst_backend *be, size_t n, struct nst_buffer *x,
                   struct nst_buffer *s, struct nst_buffer *y,
                   const struct nst_buffer *g_new, const struct nst_buffer *g);
    void (*pair_dots)(struct nst_backend *be, double *sy, double *yy);
    double (*sum_abs)(struct nst_backend *be, size_t n, const struct nst_buffer *x);
    void (*clear)(struct nst_backend *be, size_t n, struct nst_buffer *x); /* x = 0 */
    void (*copy)(struct nst_backend *be, size_t n, struct nst_buffer *to,
                 const struct nst_buffer *from);
    void (*axpy)(struct nst_backend *be, size_t n, struct nst_buffer *y, double alpha,
                 const struct nst_buffer *x); /* y += alpha x */
    void (*scale)(struct nst_backend *be, size_t n, struct nst_buffer *x, double alpha);
    /* Clamp x to the box; NaN stays NaN. */
    void (*clamp)(struct nst_backend *be, size_t n, struct nst_buffer *x,
                  struct nst_box box);
    /* to = content + (1 - mask) (x - content); without x, to *= 1 - mask. mask is one
     * plane, n / 3 floats. */
    void (*blend)(struct nst_backend *be, size_t n, struct nst_buffer *to,
                  const struct nst_buffer *x, const struct nst_buffer *content,
                  const struct nst_buffer *mask);
    void (*adam)(struct nst_backend *be, size_t n, const struct nst_adam_args *m,
                 const struct nst_buffer *g, struct nst_box box, struct nst_buffer *x);
};

#endif
