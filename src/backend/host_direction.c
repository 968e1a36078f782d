/* SPDX-License-Identifier: MIT */
/* host_direction.c - the direction of L-BFGS on the CPU. */
#include "config.h"

#include "backend/host_reduce.h"

#include <stdlib.h>
#include <math.h>

/*
 * The two-loop recursion is memory-bound: the textbook form reads and writes d once per
 * pair in each loop. Here a pass processes GROUP pairs. A pair's product with d follows
 * from d before the group:
 *   s_i . (d - sum_j alpha_j y_j) = s_i . d - sum_j alpha_j (s_i . y_j).
 * The second loop reuses these products with s and y exchanged.
 */
#define GROUP 4
_Static_assert(NST_REDUCE_MAX == GROUP + GROUP * (GROUP + 1) / 2,
               "the first loop has the most results");

/* An incomplete group repeats its last pair, marked unusable. */
struct pair_group {
    const float *s[GROUP], *y[GROUP]; /* the latest pair first */
    double yy[GROUP];                 /* over all variables */
    double sy[GROUP][GROUP];          /* s_i . y_j, j <= i, over free variables */
    double alpha[GROUP];
    bool usable[GROUP]; /* has curvature over the free variables */
};

/* A pass: see lbfgs_recurse4() in kernels/vector_kernels.h. */
struct recursion_pass {
    float *d, scale, factor[GROUP];
    const float *const *x, *const *z, *const *w;
    const uint8_t *fixed;
};

/* out[i] = p[i] + first */
static void advance(const float *const *p, size_t first, const float **out)
{
    for (int i = 0; i < GROUP; i++)
        out[i] = p[i] + first;
}

static void recurse_range(const struct nst_vector_kernels *k, const void *ctx,
                          size_t first, size_t n, double *results)
{
    const struct recursion_pass *r = ctx;
    const float *x[GROUP], *z[GROUP], *w[GROUP];

    advance(r->x, first, x);
    advance(r->z, first, z);
    if (r->w)
        advance(r->w, first, w);
    k->lbfgs_recurse4(n, r->d + first, r->scale, r->factor, x,
                      r->fixed ? r->fixed + first : NULL, z, r->w ? w : NULL, results);
}

/* Curvature s.y below this fraction of y.y is noise. */
#define MIN_CURVATURE 1e-10

/* Load the pairs from the i-th latest on. */
static void load_group(const struct nst_ring *p, int i, struct pair_group *g)
{
    for (int j = 0; j < GROUP; j++) {
        int k = nst_ring_slot(p, i + j < p->count ? i + j : p->count - 1);

        g->s[j] = nst_floats(p->s[k]);
        g->y[j] = nst_floats(p->y[k]);
        g->yy[j] = i + j < p->count ? p->yy[k] : INFINITY;
    }
}

/* First loop: dots[i] = s_i . d; also sets sy and usable of the group. */
static void first_loop_pass(struct nst_backend *be, size_t n, struct recursion_pass *r,
                            struct pair_group *g, double *dots)
{
    double sums[NST_REDUCE_MAX], *cross = sums + GROUP;

    r->z = g->s;
    r->w = g->y;
    nst_reduce_sum(be, n, recurse_range, r, NST_REDUCE_MAX, sums);
    for (int i = 0; i < GROUP; i++) {
        dots[i] = sums[i];
        for (int j = 0; j <= i; j++)
            g->sy[i][j] = *cross++;
        g->usable[i] = g->sy[i][i] > MIN_CURVATURE * g->yy[i];
    }
}

struct free_norm {
    const float *a;
    const uint8_t *fixed;
};

static void free_norm_range(const struct nst_vector_kernels *k, const void *ctx,
                            size_t first, size_t n, double *result)
{
    const struct free_norm *p = ctx;

    *result = k->masked_dot(n, p->a + first, p->a + first, p->fixed + first);
}

/* s.y / y.y of pair i over the free variables */
static double initial_scale(struct nst_backend *be, size_t n,
                            const struct pair_group *g, int i, const uint8_t *fixed)
{
    double yy = g->yy[i];

    if (fixed)
        nst_reduce_sum(be, n, free_norm_range, &(struct free_norm){g->y[i], fixed}, 1,
                       &yy);
    return g->sy[i][i] / yy;
}

static void recurse(struct nst_backend *be, size_t n, const struct nst_ring *p,
                    const float *g, const uint8_t *fixed, float *d)
{
    const float *start[GROUP] = {g, g, g, g};
    int groups = (p->count + GROUP - 1) / GROUP;
    struct pair_group group[(NST_MAX_PAIRS + GROUP - 1) / GROUP];
    struct recursion_pass r = {.d = d, .factor = {-1}, .x = start, .fixed = fixed};
    double dots[GROUP], gamma = 0;

    if (p->count > NST_MAX_PAIRS)
        abort(); /* a bug: callers keep to it */
    for (int k = 0; k < groups; k++) {
        struct pair_group *a = &group[k];

        load_group(p, k * GROUP, a);
        first_loop_pass(be, n, &r, a, dots);
        for (int i = 0; i < GROUP; i++) {
            for (int j = 0; j < i; j++)
                dots[i] -= a->alpha[j] * a->sy[i][j];
            a->alpha[i] = a->usable[i] ? dots[i] / a->sy[i][i] : 0;
            if (gamma == 0 && a->usable[i])
                gamma = initial_scale(be, n, a, i, fixed);
            r.factor[i] = (float)-a->alpha[i];
        }
        r.x = a->y;
        r.scale = 1;
    }
    if (gamma > 0) {
        r.scale = (float)gamma;
        for (int i = 0; i < GROUP; i++)
            r.factor[i] *= (float)gamma;
    }
    for (int k = groups - 1; k >= 0; k--) {
        struct pair_group *a = &group[k];

        r.z = a->y; /* dots[i] = y_i . d */
        r.w = NULL;
        nst_reduce_sum(be, n, recurse_range, &r, GROUP, dots);
        for (int i = GROUP - 1; i >= 0; i--) {
            for (int j = GROUP - 1; j > i; j--)
                dots[i] += r.factor[j] * a->sy[j][i];
            r.factor[i] =
                a->usable[i] ? (float)(a->alpha[i] - dots[i] / a->sy[i][i]) : 0;
        }
        r.x = a->s;
        r.scale = 1;
    }
    r.z = r.x; /* the last pass needs no products */
    r.w = NULL;
    nst_reduce_sum(be, n, recurse_range, &r, GROUP, dots);
}

size_t nst_host_workspace_bytes(size_t n, int pairs)
{
    (void)pairs;
    return n; /* one byte per variable: fixed or free */
}

static uint8_t *flags(const struct nst_direction_args *c)
{
    return (uint8_t *)c->workspace;
}

static void active_set_range(const struct nst_vector_kernels *k, const void *ctx,
                             size_t first, size_t n, double *count)
{
    const struct nst_direction_args *c = ctx;
    uint8_t *fixed = flags(c);

    *count = (double)k->active_set(n, nst_const_floats(c->x) + first,
                                   nst_const_floats(c->g) + first, c->box.lower,
                                   c->box.upper, fixed + first);
}

static void project_range(const struct nst_vector_kernels *k, const void *ctx,
                          size_t first, size_t n, double *results)
{
    const struct nst_direction_args *c = ctx;
    const float *x = nst_const_floats(c->x) + first,
                *g = nst_const_floats(c->g) + first;
    float *d = nst_floats(c->d) + first;

    results[1] = k->project(n, d, x, c->box.lower, c->box.upper, g);
    results[0] = -k->max_step(n, x, d, c->box.lower, c->box.upper);
    k->projected_step(n, nst_floats(c->trial) + first, x, 1, d, c->box.lower,
                      c->box.upper);
}

static void dot_range(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->dot(n, o->a + first, o->b + first);
}

static double dot(struct nst_backend *be, size_t n, const float *a, const float *b)
{
    double sum;

    nst_reduce_sum(be, n, dot_range, &(struct operands){.a = a, .b = b}, 1, &sum);
    return sum;
}

struct nst_direction nst_host_direction(struct nst_backend *be, size_t n,
                                        const struct nst_direction_args *c)
{
    const uint8_t *fixed = NULL;
    const float *g = nst_const_floats(c->g);
    float *d = nst_floats(c->d);
    double length, fixed_count, results[2];

    if (c->x) {
        nst_reduce_sum(be, n, active_set_range, c, 1, &fixed_count);
        fixed = fixed_count > 0 ? flags(c) : NULL;
    }
    recurse(be, n, &c->pairs, g, fixed, d);
    if (c->pairs.count == 0 && c->initial_rms > 0) {
        length = sqrt(dot(be, n, d, d) / (double)n);
        if (!(length > 0))
            return (struct nst_direction){0, 0};
        be->ops->vectors->scale(be, n, c->d, c->initial_rms / length);
    }
    if (!c->x)
        return (struct nst_direction){dot(be, n, d, g), 1e10};
    nst_reduce(be, n, project_range, c, 1, 2, results);
    return (struct nst_direction){results[1], -results[0]};
}
