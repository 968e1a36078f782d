/* SPDX-License-Identifier: MIT */
/* host_vectors.c - what is done with whole vectors on the CPU. */
#include "config.h"

#include "backend/host_passes.h"

#include <math.h>
#include <string.h>

static void sum_abs_part(const struct nst_vector_kernels *k, const void *ctx,
                         size_t first, size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->sum_abs(n, o->a + first);
}

static double sum_abs(struct nst_backend *be, size_t n, const float *x)
{
    struct vectors v = nst_passes_of(be, n);
    double sum;

    nst_sums(&v, sum_abs_part, &(struct operands){.a = x}, 1, &sum);
    return sum;
}

static void measure_part(const struct nst_vector_kernels *k, const void *ctx,
                         size_t first, size_t n, double *results)
{
    const struct operands *o = ctx;

    results[0] = k->max_abs(n, o->a + first);
    results[1] = k->dot(n, o->a + first, o->a + first);
    results[2] = o->b ? k->dot(n, o->a + first, o->b + first) : 0;
}

static struct nst_measures measure(struct nst_backend *be, size_t n, const float *g,
                                   const float *d)
{
    struct vectors v = nst_passes_of(be, n);
    double r[3];

    nst_reduce(&v, measure_part, &(struct operands){.a = g, .b = d}, 1, 3, r);
    return (struct nst_measures){r[0], r[1], r[2]};
}

static void add_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                     size_t n, double *none)
{
    const struct operands *o = ctx;

    (void)none;
    k->add(n, o->y + first, o->alpha, o->a + first);
}

static void add(struct nst_backend *be, size_t n, float *y, double alpha,
                const float *x)
{
    struct vectors v = nst_passes_of(be, n);

    nst_pass(&v, add_part, &(struct operands){.y = y, .a = x, .alpha = (float)alpha});
}

static void scale_part(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *none)
{
    const struct operands *o = ctx;

    (void)none;
    k->scale(n, o->y + first, o->alpha);
}

static void scale(struct nst_backend *be, size_t n, float *x, double alpha)
{
    struct vectors v = nst_passes_of(be, n);

    nst_pass(&v, scale_part, &(struct operands){.y = x, .alpha = (float)alpha});
}

static void clear(struct nst_backend *be, size_t n, float *x)
{
    (void)be;
    memset(x, 0, n * sizeof *x);
}

static void copy(struct nst_backend *be, size_t n, float *to, const float *from)
{
    (void)be;
    memcpy(to, from, n * sizeof *to);
}

static void clamp_part(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *none)
{
    const struct operands *o = ctx;
    float *x = o->y + first;

    (void)k;
    (void)none;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < o->box.lower   ? o->box.lower
               : x[i] > o->box.upper ? o->box.upper
                                     : x[i];
}

static void clamp(struct nst_backend *be, size_t n, float *x, struct nst_box box)
{
    struct vectors v = nst_passes_of(be, n);

    nst_pass(&v, clamp_part, &(struct operands){.y = x, .box = box});
}

static void move_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *none)
{
    const struct operands *o = ctx;

    (void)none;
    k->move(n, o->y + first, o->a + first, o->alpha, o->b + first, o->box.lower,
            o->box.upper);
}

static void move(struct nst_backend *be, size_t n, float *to, const float *x, double t,
                 const float *d, struct nst_box box)
{
    struct vectors v = nst_passes_of(be, n);

    nst_pass(
        &v, move_part,
        &(struct operands){.y = to, .a = x, .b = d, .alpha = (float)t, .box = box});
}

struct pair {
    float *x, *s, *y;
    const float *g_new, *g;
};

static void accept_part(const struct nst_vector_kernels *k, const void *ctx,
                        size_t first, size_t n, double *products)
{
    const struct pair *p = ctx;

    k->accept(n, p->x + first, p->s + first, p->y + first, p->g_new + first,
              p->g + first, &products[0], &products[1]);
}

static void accept(struct nst_backend *be, size_t n, float *x, float *s, float *y,
                   const float *g_new, const float *g)
{
    struct vectors v = nst_passes_of(be, n);

    nst_sums(&v, accept_part, &(struct pair){x, s, y, g_new, g}, 2, be->products);
}

static void products(struct nst_backend *be, double *sy, double *yy)
{
    *sy = be->products[0];
    *yy = be->products[1];
}

struct blending {
    float *to;
    const float *x, *content, *keep;
    size_t area;
};

static void blend_part(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *none)
{
    const struct blending *b = ctx;

    (void)k;
    (void)none;
    for (size_t i = first; i < first + n; i++) {
        float free_part = 1 - b->keep[i % b->area];

        if (b->x)
            b->to[i] = b->content[i] + free_part * (b->x[i] - b->content[i]);
        else
            b->to[i] *= free_part;
    }
}

static void blend(struct nst_backend *be, size_t n, float *to, const float *x,
                  const float *content, const float *keep)
{
    struct vectors v = nst_passes_of(be, n);

    nst_pass(&v, blend_part, &(struct blending){to, x, content, keep, n / 3});
}

struct adam {
    const struct nst_moments *m;
    const float *g;
    struct nst_box box;
    float *x;
};

static void adam_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *none)
{
    const struct adam *a = ctx;
    const struct nst_moments *p = a->m;
    const float *g = a->g + first;
    float *m = p->first + first, *v = p->second + first, *sum = p->sum + first;
    float *x = a->x + first;

    (void)k;
    (void)none;
    for (size_t i = 0; i < n; i++) {
        float to;

        m[i] = p->of_first.old * m[i] + p->of_first.fresh * g[i];
        v[i] = p->of_second.old * v[i] + p->of_second.fresh * g[i] * g[i];
        to = x[i] - p->rate * m[i] / (sqrtf(v[i]) * p->scale + p->epsilon);
        to = to > a->box.lower ? to : a->box.lower;
        x[i] = to < a->box.upper ? to : a->box.upper;
        sum[i] = p->of_sum.old * sum[i] + p->of_sum.fresh * x[i];
    }
}

static void adam(struct nst_backend *be, size_t n, const struct nst_moments *m,
                 const float *g, struct nst_box box, float *x)
{
    struct vectors v = nst_passes_of(be, n);

    nst_pass(&v, adam_part, &(struct adam){m, g, box, x});
}

const struct nst_vector_ops nst_host_vectors = {
    .work_bytes = nst_host_work_bytes,
    .direction = nst_host_direction,
    .move = move,
    .measure = measure,
    .accept = accept,
    .products = products,
    .sum_abs = sum_abs,
    .clear = clear,
    .copy = copy,
    .add = add,
    .scale = scale,
    .clamp = clamp,
    .blend = blend,
    .adam = adam,
};
