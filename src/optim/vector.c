/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/vector.h"

#include <math.h>

#include "kernels/blocked.h"

#define BLOCK ((size_t)2048) /* elements; a dozen vectors' stay in the second cache */
#define RUN 16               /* blocks in a row that one thread does */
#define ROUND 1024           /* blocks at once, whose results are kept on the stack */

enum nst_status nst_vectors_init(struct nst_vectors *v, size_t n,
                                 struct nst_threads *threads, struct nst_err *err)
{
    *v = (struct nst_vectors){n, threads, nst_vectors_choose()};
    return v->kernels ? NST_OK : nst_blocked_refuse(err);
}

struct pass {
    const struct nst_vectors *v;
    size_t first;
    int blocks; /* of this round */
    nst_vector_part *part;
    const void *ctx;
    int count; /* results of each block */
    double *results;
};

static void do_run(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;

    (void)thread;
    for (int b = item * RUN; b < (item + 1) * RUN && b < p->blocks; b++) {
        size_t first = p->first + (size_t)b * BLOCK, left = p->v->n - first;

        p->part(p->v->kernels, p->ctx, first, left < BLOCK ? left : BLOCK,
                p->results + b * p->count);
    }
}

static double add(double a, double b)
{
    return a + b;
}

static double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static void reduce(const struct nst_vectors *v, nst_vector_part *part, const void *ctx,
                   int count, double *results, double (*join)(double, double))
{
    double of_blocks[ROUND * (count ? count : 1)];
    struct pass p = {v, 0, 0, part, ctx, count, of_blocks};

    for (; p.first < v->n; p.first += BLOCK * ROUND) {
        size_t blocks = (v->n - p.first + BLOCK - 1) / BLOCK;

        p.blocks = blocks < ROUND ? (int)blocks : ROUND;
        nst_threads_run(v->threads, (p.blocks + RUN - 1) / RUN, do_run, &p);
        for (int i = 0; i < p.blocks * count; i++)
            results[i % count] = join(results[i % count], of_blocks[i]);
    }
}

void nst_vector_pass(const struct nst_vectors *v, nst_vector_part *part,
                     const void *ctx)
{
    reduce(v, part, ctx, 0, NULL, add);
}

void nst_vector_sums(const struct nst_vectors *v, nst_vector_part *part,
                     const void *ctx, int count, double *sums)
{
    for (int i = 0; i < count; i++)
        sums[i] = 0;
    reduce(v, part, ctx, count, sums, add);
}

double nst_vector_max(const struct nst_vectors *v, nst_vector_part *part,
                      const void *ctx)
{
    double most = -INFINITY;

    reduce(v, part, ctx, 1, &most, larger);
    return most;
}

struct operands {
    float *y;
    const float *a, *b;
    float alpha;
};

static void dot(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->dot(n, o->a + first, o->b + first);
}

double nst_vector_dot(const struct nst_vectors *v, const float *a, const float *b)
{
    double sum;

    nst_vector_sums(v, dot, &(struct operands){.a = a, .b = b}, 1, &sum);
    return sum;
}

static void sum_abs(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                    size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->sum_abs(n, o->a + first);
}

double nst_vector_sum_abs(const struct nst_vectors *v, const float *a)
{
    double sum;

    nst_vector_sums(v, sum_abs, &(struct operands){.a = a}, 1, &sum);
    return sum;
}

static void max_abs(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                    size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->max_abs(n, o->a + first);
}

double nst_vector_max_abs(const struct nst_vectors *v, const float *a)
{
    return nst_vector_max(v, max_abs, &(struct operands){.a = a});
}

static void add_scaled(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *result)
{
    const struct operands *o = ctx;

    (void)result;
    k->add(n, o->y + first, o->alpha, o->a + first);
}

void nst_vector_add(const struct nst_vectors *v, float *y, double alpha, const float *x)
{
    nst_vector_pass(v, add_scaled,
                    &(struct operands){.y = y, .a = x, .alpha = (float)alpha});
}

static void scale(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                  size_t n, double *result)
{
    const struct operands *o = ctx;

    (void)result;
    k->scale(n, o->y + first, o->alpha);
}

void nst_vector_scale(const struct nst_vectors *v, float *x, double alpha)
{
    nst_vector_pass(v, scale, &(struct operands){.y = x, .alpha = (float)alpha});
}
