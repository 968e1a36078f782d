/* SPDX-License-Identifier: MIT */
/*
 * vector_ops.h - what minimisers do with whole vectors: n floats in a backend's
 * numbers, each at the begin of what buffer_alloc() gave.
 *
 * Each operation is as much as can be done before the caller has to decide something,
 * since a device is waited for after it. Sums are made in double, those of products of
 * pairs in short runs of floats first, in an order that n and the number of pairs
 * decide.
 */
#ifndef NST_BACKEND_VECTOR_OPS_H
#define NST_BACKEND_VECTOR_OPS_H

#include <stddef.h>

struct nst_backend;

struct nst_box {
    float lower, upper;
};

#define NST_MAX_PAIRS 100

/* Curvature pairs: a step s, the change y of the gradient over it, y.y; in a ring. */
struct nst_ring {
    float *const *s, *const *y;
    const double *yy;
    int slots, count;
    int next; /* the slot after that of the latest pair */
};

/* The slot of the pair that is the i-th latest, from 0. */
static inline int nst_ring_slot(const struct nst_ring *r, int i)
{
    return (r->next - 1 - i + 2 * r->slots) % r->slots;
}

/*
 * A direction d = -H g, H being the inverse Hessian that the pairs make of the initial
 * (s.y / y.y) I of the latest one (Nocedal and Wright, 2nd ed., algorithm 7.4), or I
 * without pairs.
 *
 * With x, the variables that sit on a bound of the box with the gradient pushing
 * outwards are left out: every vector is restricted to the others, pairs without
 * curvature there are passed over, and d is 0 there. Then d is cut off so that x + d is
 * within the box.
 */
struct nst_direction_args {
    struct nst_ring pairs;
    const float *x, *g; /* x: NULL if there is no box */
    struct nst_box box;
    double initial_rms; /* without pairs, d before the cut has this RMS; 0: it is -g */
    void *workspace;    /* workspace_bytes() of numbers */
    float *d;
    float *trial; /* x + d; it may be the s of the oldest pair; NULL without x */
};

struct nst_direction {
    double slope;    /* d.g; 0 or NaN where there is no direction at all */
    double max_step; /* the largest t, 1e10 at most, that keeps x + t d in the box */
};

struct nst_measures {
    double max_abs; /* max |g|; NaN if one of them is */
    double sq_norm; /* g.g */
    double slope;   /* g.d; 0 without d */
};

/* How fast an average forgets: it becomes old times itself and fresh times what is new.
 */
struct nst_ema {
    float beta, one_minus_beta;
};

/* A step of Adam: x -= rate first / (scale sqrt(second) + epsilon), into the box. */
struct nst_adam_args {
    float *first_moment, *second_moment; /* averages of g and of its square */
    float *average;                      /* of x, afterwards */
    struct nst_ema first_ema, second_ema, average_ema;
    float learning_rate, scale, epsilon;
};

struct nst_vector_ops {
    /* Bytes that direction() wants for so many pairs. */
    size_t (*workspace_bytes)(size_t n, int pairs);
    struct nst_direction (*direction)(struct nst_backend *be, size_t n,
                                      const struct nst_direction_args *args);
    /* to = x + t d, brought into the box */
    void (*projected_step)(struct nst_backend *be, size_t n, float *to, const float *x,
                           double t, const float *d, struct nst_box box);
    /* d may be NULL. */
    struct nst_measures (*measure)(struct nst_backend *be, size_t n, const float *g,
                                   const float *d);
    /* x = s, which is the new point; s = the step to it; y = g_new - g. Nobody waits:
     * *sy and *yy are told by pair_dots(), of the latest one. */
    void (*accept)(struct nst_backend *be, size_t n, float *x, float *s, float *y,
                   const float *g_new, const float *g);
    void (*pair_dots)(struct nst_backend *be, double *sy, double *yy);
    double (*sum_abs)(struct nst_backend *be, size_t n, const float *x);
    void (*clear)(struct nst_backend *be, size_t n, float *x); /* x = 0 */
    void (*copy)(struct nst_backend *be, size_t n, float *to, const float *from);
    void (*axpy)(struct nst_backend *be, size_t n, float *y, double alpha,
                 const float *x); /* y += alpha x */
    void (*scale)(struct nst_backend *be, size_t n, float *x, double alpha);
    /* Brings x into the box; what is not a number stays that. */
    void (*clamp)(struct nst_backend *be, size_t n, float *x, struct nst_box box);
    /* to = content + (1 - keep) (x - content); without x, to *= 1 - keep. keep is a
     * plane, of a third of the others' length. */
    void (*blend)(struct nst_backend *be, size_t n, float *to, const float *x,
                  const float *content, const float *mask);
    void (*adam)(struct nst_backend *be, size_t n, const struct nst_adam_args *m,
                 const float *g, struct nst_box box, float *x);
};

#endif
