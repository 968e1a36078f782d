/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "torch_lbfgs.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "optim/lbfgs_history.h"
#include "optim/vector.h"

/* torch.optim.LBFGS's defaults. */
#define MAX_ITERATIONS 20
#define PAIRS 100
#define TOLERANCE_GRADIENT 1e-7
#define TOLERANCE_CHANGE 1e-9
#define MIN_CURVATURE 1e-10

static const struct nst_box unit = {0, 1};

struct torch_lbfgs {
    struct nst_vector_space v;
    const struct nst_vector_ops *ops;
    bool started;                    /* the state below is valid */
    struct nst_buffer *g, *previous; /* gradients */
    struct nst_buffer *d;
    struct nst_buffer *work; /* of ops->direction() */
    double t;                /* step length of the last step along d */
    struct nst_lbfgs_history *history;
};

enum nst_status torch_lbfgs_new(struct torch_lbfgs **out, size_t n,
                                struct nst_backend *be, struct nst_err *err)
{
    struct torch_lbfgs *t = nst_xcalloc(1, sizeof *t);
    struct nst_buffer **vector[] = {&t->g, &t->previous, &t->d};
    enum nst_status st;

    *out = NULL;
    t->v = (struct nst_vector_space){be, n};
    t->ops = be->ops->vectors;
    st = nst_lbfgs_history_new(&t->history, &t->v, PAIRS, err);
    for (size_t i = 0; i < sizeof vector / sizeof *vector && st == NST_OK; i++)
        st = nst_vector_new(&t->v, vector[i], err);
    if (st == NST_OK)
        st =
            be->ops->buffer_alloc(be, &t->work, t->ops->workspace_bytes(n, PAIRS), err);
    if (st != NST_OK) {
        torch_lbfgs_free(t);
        return st;
    }
    *out = t;
    return NST_OK;
}

void torch_lbfgs_free(struct torch_lbfgs *t)
{
    if (!t)
        return;
    nst_lbfgs_history_free(t->history);
    nst_vector_free(&t->v, t->g);
    nst_vector_free(&t->v, t->previous);
    nst_vector_free(&t->v, t->d);
    t->v.be->ops->buffer_free(t->v.be, t->work);
    free(t);
}

static bool closure(struct torch_lbfgs *t, nst_evaluate_fn *f, void *ctx,
                    struct nst_buffer *x, double *value, double *max_abs)
{
    struct nst_measures m;

    t->ops->clamp(t->v.be, t->v.n, x, unit);
    if (!f(ctx, x, NULL, value, t->g, &m))
        return false;
    *max_abs = m.max_abs;
    return true;
}

/* Add the pair of the latest step to the history. */
static void push_pair(struct torch_lbfgs *t)
{
    struct nst_lbfgs_pair next = nst_lbfgs_history_next(t->history);
    struct nst_backend *be = t->v.be;
    struct nst_measures m;
    size_t n = t->v.n;

    t->ops->copy(be, n, next.s, t->d);
    t->ops->scale(be, n, next.s, t->t);
    t->ops->copy(be, n, next.y, t->g);
    t->ops->axpy(be, n, next.y, -1, t->previous);
    m = t->ops->measure(be, n, next.y, next.s);
    nst_lbfgs_history_push(t->history, m.slope, m.sq_norm, MIN_CURVATURE);
}

/* Compute d and t. Returns the slope of d. */
static double compute_direction(struct torch_lbfgs *t)
{
    if (t->started)
        push_pair(t);
    t->t = t->started ? 1 : fmin(1, 1 / t->ops->sum_abs(t->v.be, t->v.n, t->g));
    t->started = true;
    return t->ops
        ->direction(
            t->v.be, t->v.n,
            &(struct nst_direction_args){.pairs = nst_lbfgs_history_ring(t->history),
                                         .g = t->g,
                                         .workspace = t->work,
                                         .d = t->d})
        .slope;
}

bool torch_lbfgs_step(struct torch_lbfgs *t, nst_evaluate_fn *f, void *ctx,
                      struct nst_buffer *x)
{
    struct nst_backend *be = t->v.be;
    double value, before, max_abs;

    if (!closure(t, f, ctx, x, &value, &max_abs))
        return false;
    if (max_abs <= TOLERANCE_GRADIENT)
        return true;
    for (int i = 1;; i++) {
        double slope = compute_direction(t);

        t->ops->copy(be, t->v.n, t->previous, t->g);
        before = value;
        if (slope > -TOLERANCE_CHANGE)
            return true;
        t->ops->axpy(be, t->v.n, x, t->t, t->d);
        if (i == MAX_ITERATIONS)
            return true;
        if (!closure(t, f, ctx, x, &value, &max_abs))
            return false;
        if (max_abs <= TOLERANCE_GRADIENT ||
            t->t * t->ops->measure(be, t->v.n, t->d, NULL).max_abs <=
                TOLERANCE_CHANGE ||
            fabs(value - before) < TOLERANCE_CHANGE)
            return true;
    }
}
