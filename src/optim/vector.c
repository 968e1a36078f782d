/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/vector.h"

#include <math.h>

#include "kernels/blocked.h"

#define BLOCK ((size_t)4096) /* elements; a few vectors' stay in the first cache */
#define RUN 8                /* blocks in a row that one thread does */
#define ROUND 512            /* blocks at once, whose results are kept on the stack */

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
    double *result;
};

static void do_run(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;

    (void)thread;
    for (int b = item * RUN; b < (item + 1) * RUN && b < p->blocks; b++) {
        size_t first = p->first + (size_t)b * BLOCK, left = p->v->n - first;

        p->result[b] =
            p->part(p->v->kernels, p->ctx, first, left < BLOCK ? left : BLOCK);
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

static double reduce(const struct nst_vectors *v, nst_vector_part *part,
                     const void *ctx, double result, double (*join)(double, double))
{
    double results[ROUND];
    struct pass p = {v, 0, 0, part, ctx, results};

    for (; p.first < v->n; p.first += BLOCK * ROUND) {
        size_t blocks = (v->n - p.first + BLOCK - 1) / BLOCK;

        p.blocks = blocks < ROUND ? (int)blocks : ROUND;
        nst_threads_run(v->threads, (p.blocks + RUN - 1) / RUN, do_run, &p);
        for (int i = 0; i < p.blocks; i++)
            result = join(result, results[i]);
    }
    return result;
}

double nst_vector_sum(const struct nst_vectors *v, nst_vector_part *part,
                      const void *ctx)
{
    return reduce(v, part, ctx, 0, add);
}

double nst_vector_max(const struct nst_vectors *v, nst_vector_part *part,
                      const void *ctx)
{
    return reduce(v, part, ctx, -INFINITY, larger);
}

struct operands {
    float *y;
    const float *a, *b;
    float alpha;
};

static double dot(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                  size_t n)
{
    const struct operands *o = ctx;

    return k->dot(n, o->a + first, o->b + first);
}

double nst_vector_dot(const struct nst_vectors *v, const float *a, const float *b)
{
    return nst_vector_sum(v, dot, &(struct operands){.a = a, .b = b});
}

static double sum_abs(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n)
{
    const struct operands *o = ctx;

    return k->sum_abs(n, o->a + first);
}

double nst_vector_sum_abs(const struct nst_vectors *v, const float *a)
{
    return nst_vector_sum(v, sum_abs, &(struct operands){.a = a});
}

static double max_abs(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n)
{
    const struct operands *o = ctx;

    return k->max_abs(n, o->a + first);
}

double nst_vector_max_abs(const struct nst_vectors *v, const float *a)
{
    return nst_vector_max(v, max_abs, &(struct operands){.a = a});
}

static double add_scaled(const struct nst_vector_kernels *k, const void *ctx,
                         size_t first, size_t n)
{
    const struct operands *o = ctx;

    k->add(n, o->y + first, o->alpha, o->a + first);
    return 0;
}

void nst_vector_add(const struct nst_vectors *v, float *y, double alpha, const float *x)
{
    nst_vector_sum(v, add_scaled,
                   &(struct operands){.y = y, .a = x, .alpha = (float)alpha});
}

static double scale(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                    size_t n)
{
    const struct operands *o = ctx;

    k->scale(n, o->y + first, o->alpha);
    return 0;
}

void nst_vector_scale(const struct nst_vectors *v, float *x, double alpha)
{
    nst_vector_sum(v, scale, &(struct operands){.y = x, .alpha = (float)alpha});
}
