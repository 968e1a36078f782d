/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "optim/vector.h"

struct nst_pairs {
    const struct nst_vectors *v;
    int m;
    int count, next; /* pairs held, and the slot that the next one goes to */
    float **s, **y;  /* m each */
    double *sy, *yy; /* s.y and y.y of each pair */
    double *alpha;   /* of the recursion */
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
    p->sy = nst_xcalloc((size_t)m, sizeof *p->sy);
    p->yy = nst_xcalloc((size_t)m, sizeof *p->yy);
    p->alpha = nst_xcalloc((size_t)m, sizeof *p->alpha);
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
    free(p->sy);
    free(p->yy);
    free(p->alpha);
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

bool nst_pairs_push(struct nst_pairs *p, double least)
{
    int k = p->next;

    p->sy[k] = nst_vector_dot(p->v, p->s[k], p->y[k]);
    p->yy[k] = nst_vector_dot(p->v, p->y[k], p->y[k]);
    if (!(p->sy[k] > least))
        return false;
    p->next = (k + 1) % p->m;
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

struct free_product {
    const float *a, *b;
    const uint8_t *fixed;
};

static double free_part(const struct nst_vector_kernels *k, const void *ctx,
                        size_t first, size_t n)
{
    const struct free_product *p = ctx;

    return k->free_dot(n, p->a + first, p->b + first, p->fixed + first);
}

/* a . b over the free variables */
static double free_dot(const struct nst_pairs *p, const float *a, const float *b,
                       const uint8_t *fixed)
{
    return nst_vector_sum(p->v, free_part, &(struct free_product){a, b, fixed});
}

struct recursion {
    float *d, scale, alpha;
    const float *x, *z;
    const uint8_t *fixed;
};

static double recursion_part(const struct nst_vector_kernels *k, const void *ctx,
                             size_t first, size_t n)
{
    const struct recursion *r = ctx;

    return k->recurse(n, r->d + first, r->scale, r->alpha, r->x + first,
                      r->fixed ? r->fixed + first : NULL, r->z + first);
}

/* A pass of the recursion: d = scale d + alpha x, and 0 where fixed; then d . z. A
 * scale of 0 does not read d. */
static double recurse(const struct nst_pairs *p, float *d, double scale, double alpha,
                      const float *x, const uint8_t *fixed, const float *z)
{
    struct recursion r = {d, (float)scale, (float)alpha, x, z, fixed};

    return nst_vector_sum(p->v, recursion_part, &r);
}

/* Curvature below this share of y.y is noise. */
#define LEAST_CURVATURE 1e-10

/* The pairs with curvature among the free variables, the latest first: their slots and
 * s.y; *gamma is (s.y / y.y) of the first. How many. */
static int usable_pairs(const struct nst_pairs *p, const uint8_t *fixed, int *slots,
                        double *curvature, double *gamma)
{
    int n = 0;

    *gamma = 1;
    for (int j = 0; j < p->count; j++) {
        int k = slot(p, j);
        double sy = p->sy[k], yy = p->yy[k];

        if (fixed) {
            sy = free_dot(p, p->s[k], p->y[k], fixed);
            if (n == 0) /* else yy is not needed but for a bound that may be loose */
                yy = free_dot(p, p->y[k], p->y[k], fixed);
        }
        if (!(sy > LEAST_CURVATURE * yy))
            continue;
        if (n == 0)
            *gamma = sy / yy;
        slots[n] = k;
        curvature[n++] = sy;
    }
    return n;
}

/* Each pass also makes the product that the next one needs, so that d is read and
 * written once a pass. */
void nst_pairs_direction(struct nst_pairs *p, const float *g, const uint8_t *fixed,
                         float *d)
{
    int slots[p->m], n;
    double sy[p->m], gamma, product;

    n = usable_pairs(p, fixed, slots, sy, &gamma);
    product = recurse(p, d, 0, -1, g, fixed, n ? p->s[slots[0]] : g);
    for (int i = 0; i < n; i++) {
        bool last = i == n - 1;
        double scale = last ? gamma : 1;

        p->alpha[i] = product / sy[i];
        product = recurse(p, d, scale, -scale * p->alpha[i], p->y[slots[i]], fixed,
                          last ? p->y[slots[i]] : p->s[slots[i + 1]]);
    }
    for (int i = n - 1; i >= 0; i--)
        product = recurse(p, d, 1, p->alpha[i] - product / sy[i], p->s[slots[i]], fixed,
                          i ? p->y[slots[i - 1]] : g);
}
