/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/pairs.h"

#include <stdlib.h>

#include "base/mem.h"
#include "optim/vector.h"

struct nst_pairs {
    size_t n;
    int m, threads;
    int count, next; /* pairs held, and the slot that the next one goes to */
    float **s, **y;  /* m each */
    double *sy, *yy; /* s.y and y.y of each pair */
    double *alpha;   /* of the recursion */
};

enum nst_status nst_pairs_new(struct nst_pairs **out, size_t n, int m, int threads,
                              struct nst_err *err)
{
    struct nst_pairs *p;
    enum nst_status st = NST_OK;

    *out = NULL;
    if (n == 0 || m < 1)
        return nst_err_set(err, NST_ERR_ARG, "L-BFGS needs variables and pairs");
    p = nst_xcalloc(1, sizeof *p);
    p->n = n;
    p->m = m;
    p->threads = threads;
    p->s = nst_xcalloc((size_t)m, sizeof *p->s);
    p->y = nst_xcalloc((size_t)m, sizeof *p->y);
    p->sy = nst_xcalloc((size_t)m, sizeof *p->sy);
    p->yy = nst_xcalloc((size_t)m, sizeof *p->yy);
    p->alpha = nst_xcalloc((size_t)m, sizeof *p->alpha);
    for (int i = 0; i < m && st == NST_OK; i++) {
        st = nst_floats_new(&p->s[i], n, 1, 1, err);
        if (st == NST_OK)
            st = nst_floats_new(&p->y[i], n, 1, 1, err);
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

float *nst_pairs_next_s(struct nst_pairs *p)
{
    return p->s[p->next];
}

float *nst_pairs_next_y(struct nst_pairs *p)
{
    return p->y[p->next];
}

bool nst_pairs_push(struct nst_pairs *p, double least)
{
    int k = p->next;

    p->sy[k] = nst_vector_dot(p->s[k], p->y[k], p->n, p->threads);
    p->yy[k] = nst_vector_dot(p->y[k], p->y[k], p->n, p->threads);
    /* The slot held the oldest pair, which is overwritten now, kept or not. */
    if (p->count == p->m)
        p->count--;
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

static void restrict_to_free(float *d, const uint8_t *fixed, size_t n, int threads)
{
    if (!fixed)
        return;
#pragma omp parallel for simd num_threads(nst_vector_threads(n, threads))              \
    schedule(static)
    for (size_t i = 0; i < n; i++)
        d[i] = fixed[i] ? 0 : d[i];
}

/* s.y and y.y over the free variables. */
static void free_products(const struct nst_pairs *p, int k, const uint8_t *fixed,
                          double *sy, double *yy)
{
    enum { BLOCK = 4096, AT_ONCE = 256 };
    double part_sy[AT_ONCE], part_yy[AT_ONCE];
    const float *s = p->s[k], *y = p->y[k];

    *sy = *yy = 0;
    for (size_t first = 0; first < p->n; first += (size_t)BLOCK * AT_ONCE) {
        size_t left = p->n - first, blocks = (left + BLOCK - 1) / BLOCK;

        if (blocks > AT_ONCE)
            blocks = AT_ONCE;
#pragma omp parallel for num_threads(nst_vector_threads(p->n, p->threads))             \
    schedule(static)
        for (size_t b = 0; b < blocks; b++) {
            size_t at = first + b * BLOCK, end = at + BLOCK < p->n ? at + BLOCK : p->n;
            double a = 0, c = 0;

#pragma omp simd reduction(+ : a, c)
            for (size_t i = at; i < end; i++) {
                double v = fixed[i] ? 0 : y[i];

                a += s[i] * v;
                c += v * v;
            }
            part_sy[b] = a;
            part_yy[b] = c;
        }
        for (size_t b = 0; b < blocks; b++) {
            *sy += part_sy[b];
            *yy += part_yy[b];
        }
    }
}

/* Curvature below this share of y.y is noise. */
#define LEAST_CURVATURE 1e-10

void nst_pairs_direction(struct nst_pairs *p, const float *g, const uint8_t *fixed,
                         float *d)
{
    double sy[p->m], yy[p->m], gamma = 0;
    size_t n = p->n;

#pragma omp parallel for num_threads(nst_vector_threads(p->n, p->threads))             \
    schedule(static)
    for (size_t i = 0; i < n; i++)
        d[i] = fixed && fixed[i] ? 0 : -g[i];
    for (int i = 0; i < p->count; i++) {
        int k = slot(p, i);

        sy[k] = p->sy[k];
        yy[k] = p->yy[k];
        if (fixed)
            free_products(p, k, fixed, &sy[k], &yy[k]);
        if (!(sy[k] > LEAST_CURVATURE * yy[k]))
            continue;
        if (gamma == 0)
            gamma = sy[k] / yy[k];
        p->alpha[k] = nst_vector_dot(p->s[k], d, n, p->threads) / sy[k];
        nst_vector_add(d, -p->alpha[k], p->y[k], n, p->threads);
        restrict_to_free(d, fixed, n, p->threads);
    }
    if (gamma != 0)
        nst_vector_scale(d, gamma, n, p->threads);
    for (int i = p->count - 1; i >= 0; i--) {
        int k = slot(p, i);

        if (!(sy[k] > LEAST_CURVATURE * yy[k]))
            continue;
        nst_vector_add(d,
                       p->alpha[k] - nst_vector_dot(p->y[k], d, n, p->threads) / sy[k],
                       p->s[k], n, p->threads);
        restrict_to_free(d, fixed, n, p->threads);
    }
}
