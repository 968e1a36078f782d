/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/lbfgs.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "optim/pairs.h"
#include "optim/vector.h"

/* Nocedal and Wright, 2nd ed., section 3.1: sufficient decrease and curvature. */
#define DECREASE 1e-4
#define CURVATURE 0.9
#define SEARCH_EVALUATIONS 20
/* The very first step has no curvature to go by: it changes x by this much (RMS). */
#define FIRST_CHANGE 0.01
/* Converged when this many steps together lower the value by less than this share. */
#define STALL_STEPS 10
#define STALL_SHARE 1e-6

struct nst_lbfgs {
    struct nst_vectors v;
    float lower, upper;
    struct nst_pairs *pairs;
    bool begun;
    double f;                 /* value at the iterate */
    float *g;                 /* gradient there */
    float *d;                 /* the direction searched along */
    double at;                /* where on the line the trial point is */
    struct nst_pair trial;    /* point and gradient, where the next pair will be */
    float *gbest;             /* gradient at the best trial point of a search */
    uint8_t *fixed;           /* variables held at their bound in this step */
    double past[STALL_STEPS]; /* values of the latest iterates */
    int steps;
};

/* A point on the line of a search: its place, value and slope. */
struct point {
    double t, f, slope;
};

enum nst_status nst_lbfgs_new(struct nst_lbfgs **out, size_t n, int m, float lower,
                              float upper, struct nst_threads *threads,
                              struct nst_err *err)
{
    struct nst_lbfgs *l = nst_xcalloc(1, sizeof *l);
    float **vector[] = {&l->g, &l->d, &l->gbest};
    enum nst_status st;

    *out = NULL;
    l->lower = lower;
    l->upper = upper;
    st = nst_vectors_init(&l->v, n, threads, err);
    if (st == NST_OK)
        st = nst_pairs_new(&l->pairs, &l->v, m, err);
    for (size_t i = 0; i < sizeof vector / sizeof *vector && st == NST_OK; i++)
        st = nst_floats_new(vector[i], n, 1, 1, err);
    if (st == NST_OK && !(l->fixed = malloc(n)))
        st = nst_err_set(err, NST_ERR_MEM, "out of memory: %zu bytes", n);
    if (st != NST_OK) {
        nst_lbfgs_free(l);
        return st;
    }
    *out = l;
    return NST_OK;
}

size_t nst_lbfgs_bytes(size_t n, int m)
{
    return (2 * (size_t)m + 3) * n * sizeof(float) + n;
}

void nst_lbfgs_free(struct nst_lbfgs *l)
{
    if (!l)
        return;
    nst_pairs_free(l->pairs);
    free(l->g);
    free(l->d);
    free(l->gbest);
    free(l->fixed);
    free(l);
}

static float into_box(const struct nst_lbfgs *l, float v)
{
    return v < l->lower ? l->lower : v > l->upper ? l->upper : v;
}

/* A pass over the variables, from x. */
struct pass {
    const struct nst_lbfgs *l;
    float *x;
    float t;
};

static void fix_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *count)
{
    const struct pass *p = ctx;
    const struct nst_lbfgs *l = p->l;

    *count = (double)k->fix(n, p->x + first, l->g + first, l->lower, l->upper,
                            l->fixed + first);
}

/* Fix what sits on a bound and is pushed outwards; true if anything is. */
static bool find_fixed(struct nst_lbfgs *l, float *x)
{
    double count;

    nst_vector_sums(&l->v, fix_part, &(struct pass){l, x, 0}, 1, &count);
    return count > 0;
}

static void cut_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *slope)
{
    const struct pass *p = ctx;

    *slope = k->cut(n, p->l->d + first, p->x + first, p->l->lower, p->l->upper,
                    p->l->g + first);
}

/* d becomes the longest part of itself that a step of 1 from x can take in the box; its
 * slope. */
static double cut_direction(struct nst_lbfgs *l, float *x)
{
    double slope;

    nst_vector_sums(&l->v, cut_part, &(struct pass){l, x, 0}, 1, &slope);
    return slope;
}

static void move_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *none)
{
    const struct pass *p = ctx;

    (void)none;
    k->move(n, p->l->trial.s + first, p->x + first, p->t, p->l->d + first, p->l->lower,
            p->l->upper);
}

/* The trial point is x + t d, in the box whatever rounding does */
static void move(struct nst_lbfgs *l, float *x, double t)
{
    nst_vector_pass(&l->v, move_part, &(struct pass){l, x, (float)t});
}

static void longest_part(const struct nst_vector_kernels *k, const void *ctx,
                         size_t first, size_t n, double *result)
{
    const struct pass *p = ctx;

    *result = -k->longest(n, p->x + first, p->l->d + first, p->l->lower, p->l->upper);
}

/* The longest step along d within the box, at least 1. */
static double longest_step(struct nst_lbfgs *l, float *x)
{
    double t = -nst_vector_max(&l->v, longest_part, &(struct pass){l, x, 0});

    return t > 1 ? t : 1;
}

/* Minimum of the cubic through two points with their slopes (Nocedal and Wright,
 * eq. 3.59), kept off the ends of the interval. */
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

/* Evaluate at x + t d. False when the function refused. */
static bool try_point(struct nst_lbfgs *l, nst_function *f, void *ctx, float *x,
                      double t, struct point *p, struct nst_step *step)
{
    l->trial = nst_pairs_next(l->pairs);
    move(l, x, t);
    l->at = t;
    if (!f(ctx, l->trial.s, &p->f, l->trial.y))
        return false;
    step->evaluations++;
    p->t = t;
    p->slope = nst_vector_dot(&l->v, l->trial.y, l->d);
    return true;
}

/*
 * Search along d from x for a point that satisfies the strong Wolfe conditions, or
 * the first of them at the longest step. The best point found goes to *best, its
 * gradient to gbest; best->t is 0 when no lower point was found. False when the
 * function refused; *best then still holds what was found before.
 */
static bool search(struct nst_lbfgs *l, nst_function *f, void *ctx, float *x,
                   double slope, double longest, struct point *best,
                   struct nst_step *step)
{
    struct point start = {0, l->f, slope}, worse = start, p;
    bool bracketed = false;
    double t = 1;

    *best = start;
    for (int k = 0; k < SEARCH_EVALUATIONS; k++) {
        if (!try_point(l, f, ctx, x, t, &p, step))
            return false;
        if (!isfinite(p.f) || !isfinite(p.slope) || p.f > l->f + DECREASE * t * slope ||
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
            nst_pairs_swap_y(l->pairs, &l->gbest);
            if (fabs(p.slope) <= -CURVATURE * slope || (!bracketed && t >= longest))
                return true;
        }
        if (bracketed)
            t = interpolate(best, &worse);
        else
            t = fmin(4 * t, longest);
    }
    return true;
}

static void accept_part(const struct nst_vector_kernels *k, const void *ctx,
                        size_t first, size_t n, double *products)
{
    const struct pass *p = ctx;
    const struct nst_lbfgs *l = p->l;

    k->accept(n, p->x + first, l->trial.s + first, l->trial.y + first, l->gbest + first,
              l->g + first, &products[0], &products[1]);
}

/* x becomes x + t d, whose value is best->f and whose gradient is gbest. */
static void accept(struct nst_lbfgs *l, float *x, const struct point *best)
{
    float *g = l->g;
    double products[2]; /* s.y and y.y */

    l->trial = nst_pairs_next(l->pairs);
    if (l->at != best->t)
        move(l, x, best->t);
    nst_vector_sums(&l->v, accept_part, &(struct pass){l, x, 0}, 2, products);
    nst_pairs_push(l->pairs, products[0], products[1], 0);
    l->g = l->gbest;
    l->gbest = g;
    l->f = best->f;
}

static bool stalled(struct nst_lbfgs *l)
{
    double before = l->past[l->steps % STALL_STEPS];

    l->past[l->steps % STALL_STEPS] = l->f;
    return l->steps++ >= STALL_STEPS && before - l->f <= STALL_SHARE * fabs(before);
}

static struct nst_step first_point(struct nst_lbfgs *l, nst_function *f, void *ctx,
                                   float *x)
{
    struct nst_step step = {NST_STEP_TAKEN, 0, -1};

    for (size_t i = 0; i < l->v.n; i++)
        x[i] = into_box(l, x[i]);
    if (!f(ctx, x, &l->f, l->g)) {
        step.end = NST_STEP_REFUSED;
        return step;
    }
    step.evaluations = 1;
    if (!isfinite(l->f) || !isfinite(nst_vector_max_abs(&l->v, l->g)))
        step.end = NST_STEP_CONVERGED;
    else
        step.accepted = 0;
    l->begun = true;
    return step;
}

/* Fill d, and return its slope: negative, or 0 when the iterate is a minimum. */
static double choose_direction(struct nst_lbfgs *l, float *x)
{
    const uint8_t *fixed = find_fixed(l, x) ? l->fixed : NULL;
    double slope, length;

    for (;;) {
        nst_pairs_direction(l->pairs, l->g, fixed, l->d);
        if (nst_pairs_count(l->pairs) == 0) {
            length = sqrt(nst_vector_dot(&l->v, l->d, l->d) / (double)l->v.n);
            if (!(length > 0))
                return 0;
            nst_vector_scale(&l->v, l->d, FIRST_CHANGE / length);
        }
        slope = cut_direction(l, x);
        if (slope < 0)
            return slope;
        if (nst_pairs_count(l->pairs) == 0)
            return 0;
        /* Cut off at the box, the direction may climb; the plain gradient cannot. */
        nst_pairs_clear(l->pairs);
    }
}

struct nst_step nst_lbfgs_step(struct nst_lbfgs *l, nst_function *f, void *ctx,
                               float *x)
{
    struct nst_step step = {NST_STEP_CONVERGED, 0, -1};
    struct point best;
    double slope;
    bool had_pairs, go_on;

    if (!l->begun)
        return first_point(l, f, ctx, x);
    if (stalled(l))
        return step;
    do {
        slope = choose_direction(l, x);
        if (slope >= 0)
            return step;
        had_pairs = nst_pairs_count(l->pairs) > 0;
        go_on = search(l, f, ctx, x, slope, longest_step(l, x), &best, &step);
        if (best.t > 0) {
            accept(l, x, &best);
            step.end = NST_STEP_TAKEN;
            return step;
        }
        if (!go_on) {
            step.end = NST_STEP_REFUSED;
            return step;
        }
        nst_pairs_clear(l->pairs); /* once more, along the plain gradient */
    } while (had_pairs);
    return step;
}

void nst_lbfgs_anew(struct nst_lbfgs *l)
{
    l->begun = false;
    l->steps = 0;
}

bool nst_lbfgs_state(struct nst_lbfgs *l, nst_state_visit *visit, void *ctx)
{
    int64_t counts[] = {l->begun, l->steps};

    if (!visit(ctx, "steps", NST_I64, counts, 2) ||
        !visit(ctx, "value", NST_F64, &l->f, 1) ||
        !visit(ctx, "past", NST_F64, l->past, STALL_STEPS) ||
        !visit(ctx, "gradient", NST_F32, l->g, l->v.n))
        return false;
    l->begun = counts[0] != 0;
    l->steps = (int)(counts[1] < 0 ? 0 : counts[1]);
    return nst_pairs_state(l->pairs, visit, ctx);
}
