/* SPDX-License-Identifier: MIT */
/* host_direction.c - the direction of L-BFGS on the CPU. */
#include "config.h"

#include "backend/host_passes.h"

#include <math.h>

/*
 * The recursion is bound by memory: as written it reads and writes d once for every
 * pair, each way. It is done for GROUP pairs in a pass instead. What the recursion
 * asks of d after the group's earlier pairs follows from d before them:
 *   s_i . (d - sum_j alpha_j y_j) = s_i . d - sum_j alpha_j (s_i . y_j).
 * On the way back the same products serve, s and y having changed places.
 */
#define GROUP 4

/* Of fewer pairs the last is there again, unusable, so that a pass always has GROUP. */
struct group {
    const float *s[GROUP], *y[GROUP]; /* the latest pair first */
    double yy[GROUP];                 /* over all variables */
    double sy[GROUP][GROUP];          /* s_i . y_j, j <= i, over the free ones */
    double alpha[GROUP];
    bool usable[GROUP]; /* it has curvature among the free variables */
};

/* A pass: see recurse() in kernels/vectors.h. */
struct recursion {
    float *d, scale, factor[GROUP];
    const float *const *x, *const *z, *const *w;
    const uint8_t *fixed;
};

/* Those of the four vectors that p[] points to, from first on. */
static void from(const float *const *p, size_t first, const float **out)
{
    for (int i = 0; i < GROUP; i++)
        out[i] = p[i] + first;
}

static void recursion_part(const struct nst_vector_kernels *k, const void *ctx,
                           size_t first, size_t n, double *results)
{
    const struct recursion *r = ctx;
    const float *x[GROUP], *z[GROUP], *w[GROUP];

    from(r->x, first, x);
    from(r->z, first, z);
    if (r->w)
        from(r->w, first, w);
    k->recurse(n, r->d + first, r->scale, r->factor, x,
               r->fixed ? r->fixed + first : NULL, z, r->w ? w : NULL, results);
}

/* Curvature below this share of y.y is noise. */
#define LEAST_CURVATURE 1e-10

/* The pairs from the i-th latest on. */
static void take_group(const struct nst_ring *p, int i, struct group *g)
{
    for (int j = 0; j < GROUP; j++) {
        int k = nst_ring_slot(p, i + j < p->count ? i + j : p->count - 1);

        g->s[j] = p->s[k];
        g->y[j] = p->y[k];
        g->yy[j] = i + j < p->count ? p->yy[k] : INFINITY;
    }
}

/* The pass to a group on the first way: along[i] = s_i . d, and what the group keeps.
 */
static void pass_to_older(const struct vectors *v, struct recursion *r, struct group *g,
                          double *along)
{
    double products[GROUP + GROUP * (GROUP + 1) / 2], *cross = products + GROUP;

    r->z = g->s;
    r->w = g->y;
    nst_sums(v, recursion_part, r, GROUP + GROUP * (GROUP + 1) / 2, products);
    for (int i = 0; i < GROUP; i++) {
        along[i] = products[i];
        for (int j = 0; j <= i; j++)
            g->sy[i][j] = *cross++;
        g->usable[i] = g->sy[i][i] > LEAST_CURVATURE * g->yy[i];
    }
}

/* The pass to a group on the way back: along[i] = y_i . d */
static void pass_to_newer(const struct vectors *v, struct recursion *r,
                          const struct group *g, double *along)
{
    r->z = g->y;
    r->w = NULL;
    nst_sums(v, recursion_part, r, GROUP, along);
}

struct free_product {
    const float *a;
    const uint8_t *fixed;
};

static void free_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *result)
{
    const struct free_product *p = ctx;

    *result = k->free_dot(n, p->a + first, p->a + first, p->fixed + first);
}

/* s.y / y.y of a group's pair over the free variables */
static double initial_scale(const struct vectors *v, const struct group *g, int i,
                            const uint8_t *fixed)
{
    double yy = g->yy[i];

    if (fixed)
        nst_sums(v, free_part, &(struct free_product){g->y[i], fixed}, 1, &yy);
    return g->sy[i][i] / yy;
}

static void recurse(const struct vectors *v, const struct nst_ring *p, const float *g,
                    const uint8_t *fixed, float *d)
{
    const float *start[GROUP] = {g, g, g, g};
    int groups = (p->count + GROUP - 1) / GROUP;
    struct group group[groups + 1];
    struct recursion r = {.d = d, .factor = {-1}, .x = start, .fixed = fixed};
    double along[GROUP], gamma = 0;

    for (int k = 0; k < groups; k++) {
        struct group *a = &group[k];

        take_group(p, k * GROUP, a);
        pass_to_older(v, &r, a, along);
        for (int i = 0; i < GROUP; i++) {
            for (int j = 0; j < i; j++)
                along[i] -= a->alpha[j] * a->sy[i][j];
            a->alpha[i] = a->usable[i] ? along[i] / a->sy[i][i] : 0;
            if (gamma == 0 && a->usable[i])
                gamma = initial_scale(v, a, i, fixed);
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
        struct group *a = &group[k];

        pass_to_newer(v, &r, a, along);
        for (int i = GROUP - 1; i >= 0; i--) {
            for (int j = GROUP - 1; j > i; j--)
                along[i] += r.factor[j] * a->sy[j][i];
            r.factor[i] =
                a->usable[i] ? (float)(a->alpha[i] - along[i] / a->sy[i][i]) : 0;
        }
        r.x = a->s;
        r.scale = 1;
    }
    r.z = r.x; /* nothing more to know */
    r.w = NULL;
    nst_sums(v, recursion_part, &r, GROUP, along);
}

size_t nst_host_work_bytes(size_t n, int pairs)
{
    (void)pairs;
    return n; /* a flag for each variable that is fixed */
}

static void fix_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *count)
{
    const struct nst_descent *c = ctx;
    uint8_t *fixed = c->work;

    *count = (double)k->fix(n, c->x + first, c->g + first, c->box.lower, c->box.upper,
                            fixed + first);
}

/* Fix what sits on a bound and is pushed outwards; NULL if nothing is. */
static const uint8_t *find_fixed(const struct vectors *v, const struct nst_descent *c)
{
    double count;

    if (!c->x)
        return NULL;
    nst_sums(v, fix_part, c, 1, &count);
    return count > 0 ? c->work : NULL;
}

static void cut_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *results)
{
    const struct nst_descent *c = ctx;
    const float *x = c->x + first, *g = c->g + first;
    float *d = c->d + first;

    results[1] = k->cut(n, d, x, c->box.lower, c->box.upper, g);
    results[0] = -k->longest(n, x, d, c->box.lower, c->box.upper);
    k->move(n, c->trial + first, x, 1, d, c->box.lower, c->box.upper);
}

static void dot_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->dot(n, o->a + first, o->b + first);
}

static double dot(const struct vectors *v, const float *a, const float *b)
{
    double sum;

    nst_sums(v, dot_part, &(struct operands){.a = a, .b = b}, 1, &sum);
    return sum;
}

struct nst_downhill nst_host_direction(struct nst_backend *be, size_t n,
                                       const struct nst_descent *c)
{
    struct vectors v = nst_passes_of(be, n);
    double length, results[2];

    recurse(&v, &c->pairs, c->g, find_fixed(&v, c), c->d);
    if (c->pairs.count == 0 && c->first > 0) {
        length = sqrt(dot(&v, c->d, c->d) / (double)n);
        if (!(length > 0))
            return (struct nst_downhill){0, 0};
        nst_host_vectors.scale(be, n, c->d, c->first / length);
    }
    if (!c->x)
        return (struct nst_downhill){dot(&v, c->d, c->g), 1e10};
    nst_reduce(&v, cut_part, c, 1, 2, results);
    return (struct nst_downhill){results[1], -results[0]};
}
