/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/tutorial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "optim/pairs.h"
#include "optim/vector.h"

/* torch.optim.LBFGS's defaults. */
#define MAX_ITERATIONS 20
#define PAIRS 100
#define TOLERANCE_GRADIENT 1e-7
#define TOLERANCE_CHANGE 1e-9
#define LEAST_CURVATURE 1e-10

struct nst_tutorial {
    struct nst_vectors v;
    bool begun;          /* a first step was made: the state below holds */
    float *g, *previous; /* gradients */
    float *d;
    double t; /* step length of the last step along d */
    struct nst_pairs *pairs;
};

enum nst_status nst_tutorial_new(struct nst_tutorial **out, size_t n,
                                 struct nst_threads *threads, struct nst_err *err)
{
    struct nst_tutorial *t = nst_xcalloc(1, sizeof *t);
    enum nst_status st;

    *out = NULL;
    st = nst_vectors_init(&t->v, n, threads, err);
    if (st == NST_OK)
        st = nst_pairs_new(&t->pairs, &t->v, PAIRS, err);
    if (st == NST_OK)
        st = nst_floats_new(&t->g, n, 1, 1, err);
    if (st == NST_OK)
        st = nst_floats_new(&t->previous, n, 1, 1, err);
    if (st == NST_OK)
        st = nst_floats_new(&t->d, n, 1, 1, err);
    if (st != NST_OK) {
        nst_tutorial_free(t);
        return st;
    }
    *out = t;
    return NST_OK;
}

size_t nst_tutorial_bytes(size_t n)
{
    return (2 * PAIRS + 3) * n * sizeof(float);
}

void nst_tutorial_free(struct nst_tutorial *t)
{
    if (!t)
        return;
    nst_pairs_free(t->pairs);
    free(t->g);
    free(t->previous);
    free(t->d);
    free(t);
}

static bool closure(struct nst_tutorial *t, nst_function *f, void *ctx, float *x,
                    double *value)
{
    for (size_t i = 0; i < t->v.n; i++)
        x[i] = x[i] < 0 ? 0 : x[i] > 1 ? 1 : x[i];
    return f(ctx, x, value, t->g);
}

static void choose_direction(struct nst_tutorial *t)
{
    struct nst_pair next;

    if (!t->begun) {
        nst_pairs_direction(t->pairs, t->g, NULL, t->d);
        t->t = fmin(1, 1 / nst_vector_sum_abs(&t->v, t->g));
        t->begun = true;
        return;
    }
    next = nst_pairs_next(t->pairs);
    for (size_t i = 0; i < t->v.n; i++) {
        next.s[i] = t->d[i] * (float)t->t;
        next.y[i] = t->g[i] - t->previous[i];
    }
    nst_pairs_push(t->pairs, nst_vector_dot(&t->v, next.s, next.y),
                   nst_vector_dot(&t->v, next.y, next.y), LEAST_CURVATURE);
    nst_pairs_direction(t->pairs, t->g, NULL, t->d);
    t->t = 1;
}

bool nst_tutorial_step(struct nst_tutorial *t, nst_function *f, void *ctx, float *x)
{
    double value, before;

    if (!closure(t, f, ctx, x, &value))
        return false;
    if (nst_vector_max_abs(&t->v, t->g) <= TOLERANCE_GRADIENT)
        return true;
    for (int i = 1;; i++) {
        choose_direction(t);
        memcpy(t->previous, t->g, t->v.n * sizeof *t->g);
        before = value;
        if (nst_vector_dot(&t->v, t->g, t->d) > -TOLERANCE_CHANGE)
            return true;
        nst_vector_add(&t->v, x, t->t, t->d);
        if (i == MAX_ITERATIONS)
            return true;
        if (!closure(t, f, ctx, x, &value))
            return false;
        if (nst_vector_max_abs(&t->v, t->g) <= TOLERANCE_GRADIENT ||
            t->t * nst_vector_max_abs(&t->v, t->d) <= TOLERANCE_CHANGE ||
            fabs(value - before) < TOLERANCE_CHANGE)
            return true;
    }
}
