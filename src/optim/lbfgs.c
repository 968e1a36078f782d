/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/lbfgs.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "optim/lbfgs_history.h"
#include "optim/vector.h"

/* Nocedal and Wright, 2nd ed., section 3.1: sufficient decrease and curvature. */
#define WOLFE_C1 1e-4
#define WOLFE_C2 0.9
#define MAX_SEARCH_EVALUATIONS 20
/* RMS change of x in the first step, which has no curvature. */
#define INITIAL_RMS 0.01
/* Converged if this many steps lower the value by no more than this relative amount. */
#define STALL_STEPS 10
#define STALL_TOLERANCE 1e-6

struct nst_lbfgs {
    struct nst_vector_space v;
    const struct nst_vector_ops *ops;
    struct nst_box box;
    struct nst_lbfgs_history *history;
    bool started;
    bool pair_pending;           /* the latest step's pair is not in the history yet */
    double f;                    /* value at the iterate */
    struct nst_buffer *g;        /* gradient at the iterate */
    struct nst_buffer *d;        /* search direction */
    double max_step;             /* maximum step length along d */
    double trial_t;              /* step length of the trial point */
    struct nst_lbfgs_pair trial; /* point and gradient, in the slot of the next pair */
    struct nst_buffer *best_g;   /* gradient at the best trial point of a search */
    struct nst_buffer *work;     /* of ops->direction() */
    double past_values[STALL_STEPS]; /* values of the latest iterates */
    int steps;
};

/* A point of a line search: step length, value and slope. */
struct point {
    double t, f, slope;
};

enum nst_status nst_lbfgs_new(struct nst_lbfgs **out, size_t n, int m,
                              struct nst_box box, struct nst_backend *be,
                              struct nst_err *err)
{
    struct nst_lbfgs *l = nst_xcalloc(1, sizeof *l);
    struct nst_buffer **vector[] = {&l->g, &l->d, &l->best_g};
    enum nst_status st;

    *out = NULL;
    l->v = (struct nst_vector_space){be, n};
    l->ops = be->ops->vectors;
    l->box = box;
    st = nst_lbfgs_history_new(&l->history, &l->v, m, err);
    for (size_t i = 0; i < sizeof vector / sizeof *vector && st == NST_OK; i++)
        st = nst_vector_new(&l->v, vector[i], err);
    if (st == NST_OK)
        st = be->ops->buffer_alloc(be, &l->work, l->ops->workspace_bytes(n, m), err);
    if (st != NST_OK) {
        nst_lbfgs_free(l);
        return st;
    }
    *out = l;
    return NST_OK;
}

size_t nst_lbfgs_bytes(const struct nst_backend *be, size_t n, int m)
{
    return (2 * (size_t)m + 3) * n * sizeof(float) +
           be->ops->vectors->workspace_bytes(n, m);
}

void nst_lbfgs_free(struct nst_lbfgs *l)
{
    if (!l)
        return;
    nst_lbfgs_history_free(l->history);
    nst_vector_free(&l->v, l->g);
    nst_vector_free(&l->v, l->d);
    nst_vector_free(&l->v, l->best_g);
    l->v.be->ops->buffer_free(l->v.be, l->work);
    free(l);
}

/* Set the trial point to x + t d, clamped to the box because of rounding. */
static void set_trial(struct nst_lbfgs *l, const struct nst_buffer *x, double t)
{
    if (l->trial_t != t)
        l->ops->projected_step(l->v.be, l->v.n, l->trial.s, x, t, l->d, l->box);
    l->trial_t = t;
}

/* Minimum of the cubic through two points with their slopes (Nocedal and Wright,
 * eq. 3.59), at least a tenth of the interval away from its ends. */
static double interpolate(const struct point *a, const struct point *b)
{
    double lo = fmin(a->t, b->t), hi = fmax(a->t, b->t), margin = 0.1 * (hi - lo);
    double d1 = a->slope + b->slope - 3 * (a->f - b->f) / (a->t - b->t);
    double d2 = sqrt(d1 * d1 - a->slope * b->slope), t;

    if (b->t < a->t)
        d2 = -d2;
    t = b->t - (b->t - a->t) * (b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2);
    if (!isfinite(b->f) || !isfinite(t))
        return lo + 0.5 * (hi - lo);
    return fmin(fmax(t, lo + margin), hi - margin);
}

/* Evaluate at x + t d. False if f returned false. */
static bool evaluate_trial(struct nst_lbfgs *l, nst_evaluate_fn *f, void *ctx,
                           struct nst_buffer *x, double t, struct point *p,
                           struct nst_step *step)
{
    struct nst_measures m;

    l->trial = nst_lbfgs_history_next(l->history);
    set_trial(l, x, t);
    if (!f(ctx, l->trial.s, l->d, &p->f, l->trial.y, &m))
        return false;
    step->evaluations++;
    p->t = t;
    p->slope = m.slope;
    return true;
}

/*
 * Search along d from x for a point that satisfies the strong Wolfe conditions, or
 * only sufficient decrease at max_step. The best point goes to *best, its gradient to
 * best_g; best->t is 0 if no lower point was found. False if f returned false; *best is
 * then the best point so far.
 */
static bool line_search(struct nst_lbfgs *l, nst_evaluate_fn *f, void *ctx,
                        struct nst_buffer *x, double slope, struct point *best,
                        struct nst_step *step)
{
    struct point start = {0, l->f, slope}, worse = start, p;
    bool bracketed = false;
    double t = 1;

    *best = start;
    for (int k = 0; k < MAX_SEARCH_EVALUATIONS; k++) {
        if (!evaluate_trial(l, f, ctx, x, t, &p, step))
            return false;
        if (!isfinite(p.f) || !isfinite(p.slope) || p.f > l->f + WOLFE_C1 * t * slope ||
            p.f >= best->f) {
            worse = p;
            bracketed = true;
        } else {
            if (bracketed ? p.slope * (worse.t - p.t) >= 0 : p.slope >= 0) {
                worse = *best;
                bracketed = true;
            }
            *best = p;
            step->accepted = step->evaluations - 1;
            nst_lbfgs_history_swap_y(l->history, &l->best_g);
            if (fabs(p.slope) <= -WOLFE_C2 * slope || (!bracketed && t >= l->max_step))
                return true;
        }
        if (bracketed)
            t = interpolate(best, &worse);
        else
            t = fmin(4 * t, l->max_step);
    }
    return true;
}

/* x becomes x + best->t d, with value best->f and gradient best_g. */
static void accept_point(struct nst_lbfgs *l, struct nst_buffer *x,
                         const struct point *best)
{
    struct nst_buffer *g = l->g;

    l->trial = nst_lbfgs_history_next(l->history);
    set_trial(l, x, best->t);
    l->ops->accept(l->v.be, l->v.n, x, l->trial.s, l->trial.y, l->best_g, l->g);
    l->pair_pending = true;
    l->g = l->best_g;
    l->best_g = g;
    l->f = best->f;
}

/* Add the pair of accept_point() to the history if it has curvature. Done a step later,
 * so that the device computes its dot products in the meantime. */
static void commit_pair(struct nst_lbfgs *l)
{
    double sy, yy;

    if (!l->pair_pending)
        return;
    l->ops->pair_dots(l->v.be, &sy, &yy);
    nst_lbfgs_history_push(l->history, sy, yy, 0);
    l->pair_pending = false;
}

static bool stalled(struct nst_lbfgs *l)
{
    double before = l->past_values[l->steps % STALL_STEPS];

    l->past_values[l->steps % STALL_STEPS] = l->f;
    return l->steps++ >= STALL_STEPS && before - l->f <= STALL_TOLERANCE * fabs(before);
}

static struct nst_step evaluate_start(struct nst_lbfgs *l, nst_evaluate_fn *f,
                                      void *ctx, struct nst_buffer *x)
{
    struct nst_step step = {NST_STEP_TAKEN, 0, -1};
    struct nst_measures m;

    l->ops->clamp(l->v.be, l->v.n, x, l->box);
    if (!f(ctx, x, NULL, &l->f, l->g, &m)) {
        step.status = NST_STEP_STOPPED;
        return step;
    }
    step.evaluations = 1;
    if (!isfinite(l->f) || !isfinite(m.max_abs))
        step.status = NST_STEP_CONVERGED;
    else
        step.accepted = 0;
    l->started = true;
    return step;
}

/* Compute d and the trial point x + d. Returns the slope of d: negative, or 0 if the
 * iterate is a minimum. *has_curvature: d uses curvature pairs. */
static double compute_direction(struct nst_lbfgs *l, const struct nst_buffer *x,
                                bool *has_curvature)
{
    struct nst_direction_args descent = {.x = x,
                                         .g = l->g,
                                         .box = l->box,
                                         .initial_rms = INITIAL_RMS,
                                         .workspace = l->work,
                                         .d = l->d};
    struct nst_direction found;

    for (;;) {
        /* the ring, before next() drops the oldest pair */
        descent.pairs = nst_lbfgs_history_ring(l->history);
        descent.trial = nst_lbfgs_history_next(l->history).s;
        *has_curvature = descent.pairs.count > 0;
        found = l->ops->direction(l->v.be, l->v.n, &descent);
        l->trial_t = 1;
        l->max_step = fmax(found.max_step, 1);
        if (found.slope < 0)
            return found.slope;
        if (!*has_curvature)
            return 0;
        /* The projected direction may ascend; that of the plain gradient cannot. */
        nst_lbfgs_history_clear(l->history);
    }
}

struct nst_step nst_lbfgs_step(struct nst_lbfgs *l, nst_evaluate_fn *f, void *ctx,
                               struct nst_buffer *x)
{
    struct nst_step step = {NST_STEP_CONVERGED, 0, -1};
    struct point best;
    double slope;
    bool has_curvature, may_continue;

    if (!l->started)
        return evaluate_start(l, f, ctx, x);
    commit_pair(l);
    if (stalled(l))
        return step;
    do {
        slope = compute_direction(l, x, &has_curvature);
        if (slope >= 0)
            return step;
        may_continue = line_search(l, f, ctx, x, slope, &best, &step);
        if (best.t > 0) {
            accept_point(l, x, &best);
            step.status = NST_STEP_TAKEN;
            return step;
        }
        if (!may_continue) {
            step.status = NST_STEP_STOPPED;
            return step;
        }
        nst_lbfgs_history_clear(l->history); /* retry along the plain gradient */
    } while (has_curvature);
    return step;
}

void nst_lbfgs_restart(struct nst_lbfgs *l)
{
    l->started = false;
    l->steps = 0;
}

bool nst_lbfgs_serialise(struct nst_lbfgs *l, nst_serialise_fn *visit, void *ctx)
{
    int64_t counts[] = {l->started, l->steps};

    commit_pair(l);
    if (!visit(ctx, "steps", NST_I64, counts, 2) ||
        !visit(ctx, "value", NST_F64, &l->f, 1) ||
        !visit(ctx, "past", NST_F64, l->past_values, STALL_STEPS) ||
        !nst_vector_serialise(&l->v, "gradient", l->g, visit, ctx))
        return false;
    l->started = counts[0] != 0;
    l->steps = (int)(counts[1] < 0 ? 0 : counts[1]);
    return nst_lbfgs_history_serialise(l->history, visit, ctx);
}
