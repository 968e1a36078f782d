/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "optim/vector.h"

struct nst_pairs {
    const struct nst_vectors *v;
    int m;
    int count, next; /* pairs held, and the slot that the next one goes to */
    float **s, **y;  /* m each */
    double *yy;      /* y.y of each pair */
};

enum nst_status nst_pairs_new(struct nst_pairs **out, const struct nst_vectors *v,
                              int m, struct nst_err *err)
{
    struct nst_pairs *p;
    enum nst_status st = NST_OK;

    *out = NULL;
    if (v->n == 0 || m < 1)
        return nst_err_set(err, NST_ERR_ARG, "L-BFGS needs variables and pairs");
    p = nst_xcalloc(1, sizeof *p);
    p->v = v;
    p->m = m;
    p->s = nst_xcalloc((size_t)m, sizeof *p->s);
    p->y = nst_xcalloc((size_t)m, sizeof *p->y);
    p->yy = nst_xcalloc((size_t)m, sizeof *p->yy);
    for (int i = 0; i < m && st == NST_OK; i++) {
        st = nst_floats_new(&p->s[i], v->n, 1, 1, err);
        if (st == NST_OK)
            st = nst_floats_new(&p->y[i], v->n, 1, 1, err);
    }
    if (st != NST_OK) {
        nst_pairs_free(p);
        return st;
    }
    *out = p;
    return NST_OK;
}

void nst_pairs_free(struct nst_pairs *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->m; i++) {
        free(p->s[i]);
        free(p->y[i]);
    }
    free(p->s);
    free(p->y);
    free(p->yy);
    free(p);
}

struct nst_pair nst_pairs_next(struct nst_pairs *p)
{
    /* The slot held the oldest pair, which is overwritten now. */
    if (p->count == p->m)
        p->count--;
    return (struct nst_pair){p->s[p->next], p->y[p->next]};
}

void nst_pairs_swap_y(struct nst_pairs *p, float **other)
{
    float *y = p->y[p->next];

    p->y[p->next] = *other;
    *other = y;
}

bool nst_pairs_push(struct nst_pairs *p, double sy, double yy, double least)
{
    p->yy[p->next] = yy;
    if (!(sy > least))
        return false;
    p->next = (p->next + 1) % p->m;
    p->count++;
    return true;
}

void nst_pairs_clear(struct nst_pairs *p)
{
    p->count = 0;
}

int nst_pairs_count(const struct nst_pairs *p)
{
    return p->count;
}

/* The slot of the pair that is the i-th latest, from 0. */
static int slot(const struct nst_pairs *p, int i)
{
    return (p->next - 1 - i + 2 * p->m) % p->m;
}

bool nst_pairs_state(struct nst_pairs *p, nst_state_visit *visit, void *ctx)
{
    int64_t count = p->count;

    if (!visit(ctx, "pairs", NST_I64, &count, 1) || count < 0 || count > p->m)
        return false;
    if (count != p->count) { /* brought in: the slots are as good as any */
        p->count = (int)count;
        p->next = p->count % p->m;
    }
    for (int i = p->count - 1; i >= 0; i--) {
        int at = slot(p, i);
        char name[32];

        snprintf(name, sizeof name, "pair%d/", p->count - 1 - i);
        memcpy(name + strlen(name), "s", 2);
        if (!visit(ctx, name, NST_F32, p->s[at], p->v->n))
            return false;
        name[strlen(name) - 1] = 'y';
        if (!visit(ctx, name, NST_F32, p->y[at], p->v->n))
            return false;
        memcpy(name + strlen(name), "y", 2);
        if (!visit(ctx, name, NST_F64, &p->yy[at], 1))
            return false;
    }
    return true;
}

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
                           size_t first, size_t n, double *sums)
{
    const struct recursion *r = ctx;
    const float *x[GROUP], *z[GROUP], *w[GROUP];

    from(r->x, first, x);
    from(r->z, first, z);
    if (r->w)
        from(r->w, first, w);
    k->recurse(n, r->d + first, r->scale, r->factor, x,
               r->fixed ? r->fixed + first : NULL, z, r->w ? w : NULL, sums);
}

/* Curvature below this share of y.y is noise. */
#define LEAST_CURVATURE 1e-10

/* The pairs from the i-th latest on. */
static void take_group(const struct nst_pairs *p, int i, struct group *g)
{
    for (int j = 0; j < GROUP; j++) {
        int k = slot(p, i + j < p->count ? i + j : p->count - 1);

        g->s[j] = p->s[k];
        g->y[j] = p->y[k];
        g->yy[j] = i + j < p->count ? p->yy[k] : INFINITY;
    }
}

/* The pass to a group on the first way: along[i] = s_i . d, and what the group keeps.
 */
static void pass_to_older(const struct nst_pairs *p, struct recursion *r,
                          struct group *g, double *along)
{
    double sums[GROUP + GROUP * (GROUP + 1) / 2], *cross = sums + GROUP;

    r->z = g->s;
    r->w = g->y;
    nst_vector_sums(p->v, recursion_part, r, GROUP + GROUP * (GROUP + 1) / 2, sums);
    for (int i = 0; i < GROUP; i++) {
        along[i] = sums[i];
        for (int j = 0; j <= i; j++)
            g->sy[i][j] = *cross++;
        g->usable[i] = g->sy[i][i] > LEAST_CURVATURE * g->yy[i];
    }
}

/* The pass to a group on the way back: along[i] = y_i . d */
static void pass_to_newer(const struct nst_pairs *p, struct recursion *r,
                          const struct group *g, double *along)
{
    r->z = g->y;
    r->w = NULL;
    nst_vector_sums(p->v, recursion_part, r, GROUP, along);
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
static double initial_scale(const struct nst_pairs *p, const struct group *g, int i,
                            const uint8_t *fixed)
{
    double yy = g->yy[i];

    if (fixed)
        nst_vector_sums(p->v, free_part, &(struct free_product){g->y[i], fixed}, 1,
                        &yy);
    return g->sy[i][i] / yy;
}

void nst_pairs_direction(struct nst_pairs *p, const float *g, const uint8_t *fixed,
                         float *d)
{
    const float *start[GROUP] = {g, g, g, g};
    int groups = (p->count + GROUP - 1) / GROUP;
    struct group group[groups + 1];
    struct recursion r = {.d = d, .factor = {-1}, .x = start, .fixed = fixed};
    double along[GROUP], gamma = 0;

    for (int k = 0; k < groups; k++) {
        struct group *a = &group[k];

        take_group(p, k * GROUP, a);
        pass_to_older(p, &r, a, along);
        for (int i = 0; i < GROUP; i++) {
            for (int j = 0; j < i; j++)
                along[i] -= a->alpha[j] * a->sy[i][j];
            a->alpha[i] = a->usable[i] ? along[i] / a->sy[i][i] : 0;
            if (gamma == 0 && a->usable[i])
                gamma = initial_scale(p, a, i, fixed);
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

        pass_to_newer(p, &r, a, along);
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
    nst_vector_sums(p->v, recursion_part, &r, GROUP, along);
}
