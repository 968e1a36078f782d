/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "optim/vector.h"

struct nst_pairs {
    size_t n;
    int m, threads;
    int count, next; /* pairs held, and the slot that the next one goes to */
    float **s, **y;  /* m each */
    double *sy, *yy; /* s.y and y.y of each pair */
    double *alpha;   /* of the recursion */
    size_t blocks;   /* that a vector is cut into; sums are made block by block */
    double *parts;   /* blocks x 2 m: what each block adds to which sum */
};

#define BLOCK ((size_t)4096)

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
    p->blocks = n / BLOCK + (n % BLOCK != 0);
    for (int i = 0; i < m && st == NST_OK; i++) {
        st = nst_floats_new(&p->s[i], n, 1, 1, err);
        if (st == NST_OK)
            st = nst_floats_new(&p->y[i], n, 1, 1, err);
    }
    if (st == NST_OK &&
        !(p->parts = calloc(p->blocks, 2 * (size_t)m * sizeof *p->parts)))
        st = nst_err_set(err, NST_ERR_MEM, "out of memory: %zu blocks", p->blocks);
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
    free(p->parts);
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

/* Sum k of all blocks, in order. */
static double sum_parts(const struct nst_pairs *p, int k, int width)
{
    double sum = 0;

    for (size_t b = 0; b < p->blocks; b++)
        sum += p->parts[b * (size_t)width + (size_t)k];
    return sum;
}

static size_t block_end(const struct nst_pairs *p, size_t b)
{
    return (b + 1) * BLOCK < p->n ? (b + 1) * BLOCK : p->n;
}

/* s.y and y.y of every pair over the free variables, in one pass. */
static void free_products(const struct nst_pairs *p, const uint8_t *fixed, double *sy,
                          double *yy)
{
    int width = 2 * p->m;

#pragma omp parallel for num_threads(nst_vector_threads(p->n, p->threads))             \
    schedule(static)
    for (size_t b = 0; b < p->blocks; b++)
        for (int j = 0; j < p->count; j++) {
            const float *s = p->s[slot(p, j)], *y = p->y[slot(p, j)];
            double a = 0, c = 0;

#pragma omp simd reduction(+ : a, c)
            for (size_t i = b * BLOCK; i < block_end(p, b); i++) {
                double v = fixed[i] ? 0 : y[i];

                a += s[i] * v;
                c += v * v;
            }
            p->parts[b * (size_t)width + 2 * (size_t)j] = a;
            p->parts[b * (size_t)width + 2 * (size_t)j + 1] = c;
        }
    for (int j = 0; j < p->count; j++) {
        sy[j] = sum_parts(p, 2 * j, width);
        yy[j] = sum_parts(p, 2 * j + 1, width);
    }
}

/*
 * One pass of the recursion: d becomes scale d + alpha x, and 0 where fixed; the new d
 * times z is returned. A scale of 0 does not read d.
 */
static double pass(const struct nst_pairs *p, float *d, double scale, double alpha,
                   const float *x, const uint8_t *fixed, const float *z)
{
    float sc = (float)scale, al = (float)alpha;

#pragma omp parallel for num_threads(nst_vector_threads(p->n, p->threads))             \
    schedule(static)
    for (size_t b = 0; b < p->blocks; b++) {
        size_t first = b * BLOCK, end = block_end(p, b);
        double sum = 0;

        if (sc == 0)
            memset(d + first, 0, (end - first) * sizeof *d);
#pragma omp simd
        for (size_t i = first; i < end; i++)
            d[i] = sc * d[i] + al * x[i];
        if (fixed) {
#pragma omp simd
            for (size_t i = first; i < end; i++)
                d[i] = fixed[i] ? 0 : d[i];
        }
#pragma omp simd reduction(+ : sum)
        for (size_t i = first; i < end; i++)
            sum += (double)d[i] * z[i];
        p->parts[b] = sum;
    }
    return sum_parts(p, 0, 1);
}

/* Curvature below this share of y.y is noise. */
#define LEAST_CURVATURE 1e-10

/* The pairs with curvature among the free variables, the latest first: their slots and
 * s.y; *gamma is (s.y / y.y) of the first. How many. */
static int usable_pairs(const struct nst_pairs *p, const uint8_t *fixed, int *slots,
                        double *curvature, double *gamma)
{
    double sy[p->m], yy[p->m];
    int n = 0;

    for (int j = 0; j < p->count; j++) {
        sy[j] = p->sy[slot(p, j)];
        yy[j] = p->yy[slot(p, j)];
    }
    if (fixed)
        free_products(p, fixed, sy, yy);
    *gamma = 1;
    for (int j = 0; j < p->count; j++) {
        if (!(sy[j] > LEAST_CURVATURE * yy[j]))
            continue;
        if (n == 0)
            *gamma = sy[j] / yy[j];
        slots[n] = slot(p, j);
        curvature[n++] = sy[j];
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
    product = pass(p, d, 0, -1, g, fixed, n ? p->s[slots[0]] : g);
    for (int i = 0; i < n; i++) {
        bool last = i == n - 1;
        double scale = last ? gamma : 1;

        p->alpha[i] = product / sy[i];
        product = pass(p, d, scale, -scale * p->alpha[i], p->y[slots[i]], fixed,
                       last ? p->y[slots[i]] : p->s[slots[i + 1]]);
    }
    for (int i = n - 1; i >= 0; i--)
        product = pass(p, d, 1, p->alpha[i] - product / sy[i], p->s[slots[i]], fixed,
                       i ? p->y[slots[i - 1]] : g);
}
