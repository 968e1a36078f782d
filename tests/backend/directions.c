/* SPDX-License-Identifier: MIT */
/* directions.c - the direction of L-BFGS against the two-loop recursion in double. */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vectors.h"

enum hold { NOTHING, SOME, MOST };

/* Curvature pairs of a function with second derivatives between 1/2 and 2; one in five
 * has negative curvature and is unusable. */
struct problem {
    size_t n;
    int count, slots, next;
    bool boxed;
    double first;
    float *x, *g, *s[NST_MAX_PAIRS], *y[NST_MAX_PAIRS]; /* by slot */
    double yy[NST_MAX_PAIRS];
};

static void make_pair(struct problem *p, int slot, bool unusable)
{
    float size = exp2f(6 * any() - 7);

    p->s[slot] = values(p->n, size);
    p->y[slot] = values(p->n, 1);
    p->yy[slot] = 0;
    for (size_t i = 0; i < p->n; i++) {
        float bend = 1.25f + 0.75f * (float)sin((double)i);

        p->y[slot][i] = (unusable ? -1 : 1) * bend * p->s[slot][i];
        p->yy[slot] += (double)p->y[slot][i] * p->y[slot][i];
    }
}

static void make_problem(struct problem *p, size_t n, int count, enum hold hold)
{
    *p = (struct problem){.n = n, .count = count, .boxed = any() < 0.7f};
    p->slots = count > 1 && any() < 0 ? count : count + 1;
    if (p->slots > NST_MAX_PAIRS)
        p->slots = NST_MAX_PAIRS;
    p->next = (int)((any() + 1) / 2.001f * (float)p->slots);
    p->first = any() < 0 ? 0.01 : 0;
    p->x = values(n, hold == NOTHING ? 0.1f : 1);
    p->g = values(n, 0.01f);
    for (size_t i = 0; i < n; i++) {
        p->x[i] = (float)into(p->x[i] * (hold == MOST ? 30 : 1));
        if (hold == MOST && p->x[i] != 0 && any() < 0.8f)
            p->g[i] = copysignf(p->g[i], -p->x[i]);
    }
    for (int i = 0; i < p->slots; i++)
        make_pair(p, i, any() < -0.6f);
}

static struct nst_ring ring_of(const struct problem *p, struct nst_buffer *const *s,
                               struct nst_buffer *const *y)
{
    return (struct nst_ring){s, y, p->yy, p->slots, p->count, p->next};
}

static double masked_dot(size_t n, const bool *held, const float *a, const double *b)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += held[i] ? 0 : (double)a[i] * b[i];
    return sum;
}

static double free_product(size_t n, const bool *held, const float *a, const float *b)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += held[i] ? 0 : (double)a[i] * b[i];
    return sum;
}

/* The textbook two-loop recursion, in double. */
static void recurse(const struct problem *p, const bool *held, double *d)
{
    struct nst_ring ring = ring_of(p, NULL, NULL);
    double alpha[NST_MAX_PAIRS], sy[NST_MAX_PAIRS], gamma = 0;

    for (size_t i = 0; i < p->n; i++)
        d[i] = held[i] ? 0 : -(double)p->g[i];
    for (int k = 0; k < p->count; k++) {
        int at = nst_ring_slot(&ring, k);

        sy[k] = free_product(p->n, held, p->s[at], p->y[at]);
        if (!(sy[k] > 1e-10 * p->yy[at]))
            continue;
        if (gamma == 0)
            gamma = sy[k] / free_product(p->n, held, p->y[at], p->y[at]);
        alpha[k] = masked_dot(p->n, held, p->s[at], d) / sy[k];
        for (size_t i = 0; i < p->n; i++)
            d[i] -= held[i] ? 0 : alpha[k] * p->y[at][i];
    }
    for (size_t i = 0; i < p->n && gamma > 0; i++)
        d[i] *= gamma;
    for (int k = p->count - 1; k >= 0; k--) {
        int at = nst_ring_slot(&ring, k);
        double beta;

        if (!(sy[k] > 1e-10 * p->yy[at]))
            continue;
        beta = masked_dot(p->n, held, p->y[at], d) / sy[k];
        for (size_t i = 0; i < p->n; i++)
            d[i] += held[i] ? 0 : (alpha[k] - beta) * p->s[at][i];
    }
}

/* Project d onto the box. Returns its slope. */
static struct nst_direction project(const struct problem *p, double *d)
{
    struct nst_direction found = {0, 1e10};

    for (size_t i = 0; i < p->n; i++) {
        double x = p->x[i];

        if (p->boxed)
            d[i] = into(x + d[i]) - x;
        found.slope += d[i] * p->g[i];
    }
    return found;
}

static struct nst_direction want(const struct problem *p, double *d)
{
    bool *held = malloc(p->n);
    struct nst_direction found = {0, 0};
    double square = 0;

    for (size_t i = 0; i < p->n; i++)
        held[i] = p->boxed && ((p->x[i] <= box.lower && p->g[i] > 0) ||
                               (p->x[i] >= box.upper && p->g[i] < 0));
    recurse(p, held, d);
    free(held);
    for (size_t i = 0; i < p->n; i++)
        square += d[i] * d[i];
    if (p->count == 0 && p->first > 0) {
        if (!(square > 0))
            return found;
        for (size_t i = 0; i < p->n; i++)
            d[i] *= p->first / sqrt(square / (double)p->n);
    }
    return project(p, d);
}

/* Results of a backend. */
struct made {
    struct nst_direction found;
    float *d, *trial;
};

static struct made make(struct nst_backend *be, const struct problem *p)
{
    struct nst_buffer *s[NST_MAX_PAIRS], *y[NST_MAX_PAIRS];
    float *none = nans(p->n);
    struct nst_buffer *x = there(be, p->n, p->x), *g = there(be, p->n, p->g);
    struct nst_buffer *d = there(be, p->n, none), *trial = there(be, p->n, none);
    bool in_place = p->count > 0 && p->count == p->slots && p->boxed;
    struct nst_direction_args c = {.x = p->boxed ? x : NULL,
                                   .g = g,
                                   .box = box,
                                   .initial_rms = p->first,
                                   .d = d,
                                   .trial = p->boxed ? trial : NULL};
    struct made made;

    if (be->ops->buffer_alloc(be, &c.workspace,
                              be->ops->vectors->workspace_bytes(p->n, p->slots), NULL))
        abort();
    for (int i = 0; i < p->slots; i++) {
        s[i] = there(be, p->n, p->s[i]);
        y[i] = there(be, p->n, p->y[i]);
    }
    c.pairs = ring_of(p, s, y);
    if (in_place) /* as the optimiser does: the trial point replaces the oldest pair */
        c.trial = s[p->next];
    made.found = be->ops->vectors->direction(be, p->n, &c);
    made.d = back(be, p->n, d);
    for (int i = 0; i < p->slots; i++) {
        if (c.trial == s[i])
            made.trial = back(be, p->n, s[i]);
        else
            drop(be, s[i]);
        drop(be, y[i]);
    }
    if (c.trial == trial)
        made.trial = back(be, p->n, trial);
    else {
        drop(be, trial);
        if (!c.trial)
            made.trial = NULL;
    }
    drop(be, x);
    drop(be, g);
    be->ops->buffer_free(be, c.workspace);
    free(none);
    return made;
}

static void check_direction(struct nst_backend *be, struct nst_backend *other,
                            const struct problem *p)
{
    double *d = malloc(p->n * sizeof *d), size = 0, off = 0, longest = 1e10, sum = 0,
           climb = 0;
    struct nst_direction found = want(p, d);
    struct made made = make(be, p), again = make(other, p);

    for (size_t i = 0; i < p->n; i++) {
        double room =
            made.d[i] > 0 ? (double)box.upper - p->x[i] : (double)p->x[i] - box.lower;

        size += d[i] * d[i];
        off += (made.d[i] - d[i]) * (made.d[i] - d[i]);
        sum += fabs(d[i] * p->g[i]);
        climb += fabs((double)p->g[i]);
        if (made.d[i] != 0)
            longest = fmin(longest, room / fabs((double)made.d[i]));
        if (p->boxed && found.max_step > 0)
            compare(made.trial[i], into((double)p->x[i] + made.d[i]), 2 * FLT_EPSILON);
    }
    if (found.max_step > 0) { /* else there is no direction */
        /* x + d is rounded before x is subtracted again */
        compare(sqrt(off), 0, 1e-4 * sqrt(size) + FLT_EPSILON * sqrt((double)p->n));
        compare(made.found.slope, found.slope, 1e-4 * sum + FLT_EPSILON * climb);
        if (p->boxed)
            compare(made.found.max_step, longest, 1e-5 * longest);
    } else
        compare(made.found.slope, 0, 1e-30);
    if (memcmp(made.d, again.d, p->n * sizeof *again.d) != 0 ||
        memcmp(&made.found, &again.found, sizeof made.found) != 0)
        worst = INFINITY;
    free(made.d), free(made.trial), free(again.d), free(again.trial), free(d);
}

/* Many pairs are slow on tests/fakecuda: for long vectors run one block of pairs, and
 * two, and many pairs for some lengths only. $NST_TEST_QUICK runs still fewer. */
static bool worth(size_t n, int count, enum hold hold)
{
    bool quick = getenv("NST_TEST_QUICK");

    if (n > 10000)
        return !quick && hold == SOME && (count == 20 || count == 33);
    if (count > 21)
        return (n == 129 || (n == 2049 && !quick)) && (hold == SOME || !quick);
    return !quick || n < 1000;
}

void check_directions(struct nst_backend *be, struct nst_backend *other, size_t n)
{
    static const int counts[] = {0, 1, 2, 4, 5, 6, 19, 20, 21, 33, 45, 100};

    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        for (int hold = NOTHING; hold <= MOST; hold++) {
            struct problem p;

            if (!worth(n, counts[k], (enum hold)hold))
                continue;
            make_problem(&p, n, counts[k], (enum hold)hold);
            check_direction(be, other, &p);
            for (int i = 0; i < p.slots; i++)
                free(p.s[i]), free(p.y[i]);
            free(p.x);
            free(p.g);
        }
}
