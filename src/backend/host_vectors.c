/* SPDX-License-Identifier: MIT */
/* host_vectors.c - the vector operations on the CPU: see vector_ops.h. */
#include "config.h"

#include "backend/host_reduce.h"

#include <math.h>
#include <string.h>

static void sum_abs_range(const struct nst_vector_kernels *k, const void *ctx,
                          size_t first, size_t n, double *result)
{
    const struct operands *o = ctx;

    *result = k->sum_abs(n, o->a + first);
}

static double sum_abs(struct nst_backend *be, size_t n, const struct nst_buffer *x)
{
    double sum;

    nst_reduce_sum(be, n, sum_abs_range, &(struct operands){.a = nst_const_floats(x)},
                   1, &sum);
    return sum;
}

static void measure_range(const struct nst_vector_kernels *k, const void *ctx,
                          size_t first, size_t n, double *results)
{
    const struct operands *o = ctx;

    results[0] = k->max_abs(n, o->a + first);
    results[1] = k->dot(n, o->a + first, o->a + first);
    results[2] = o->b ? k->dot(n, o->a + first, o->b + first) : 0;
}

static struct nst_measures measure(struct nst_backend *be, size_t n,
                                   const struct nst_buffer *g,
                                   const struct nst_buffer *d)
{
    double r[3];

    nst_reduce(be, n, measure_range,
               &(struct operands){.a = nst_const_floats(g), .b = nst_const_floats(d)},
               1, 3, r);
    return (struct nst_measures){r[0], r[1], r[2]};
}

static void axpy_range(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *unused)
{
    const struct operands *o = ctx;

    (void)unused;
    k->axpy(n, o->y + first, o->alpha, o->a + first);
}

static void axpy(struct nst_backend *be, size_t n, struct nst_buffer *y, double alpha,
                 const struct nst_buffer *x)
{
    nst_parallel_for(be, n, axpy_range,
                     &(struct operands){.y = nst_floats(y),
                                        .a = nst_const_floats(x),
                                        .alpha = (float)alpha});
}

static void scale_range(const struct nst_vector_kernels *k, const void *ctx,
                        size_t first, size_t n, double *unused)
{
    const struct operands *o = ctx;

    (void)unused;
    k->scale(n, o->y + first, o->alpha);
}

static void scale(struct nst_backend *be, size_t n, struct nst_buffer *x, double alpha)
{
    nst_parallel_for(be, n, scale_range,
                     &(struct operands){.y = nst_floats(x), .alpha = (float)alpha});
}

static void clear(struct nst_backend *be, size_t n, struct nst_buffer *x)
{
    (void)be;
    memset(nst_floats(x), 0, n * sizeof(float));
}

static void copy(struct nst_backend *be, size_t n, struct nst_buffer *to,
                 const struct nst_buffer *from)
{
    (void)be;
    memcpy(nst_floats(to), nst_const_floats(from), n * sizeof(float));
}

static void clamp_range(const struct nst_vector_kernels *k, const void *ctx,
                        size_t first, size_t n, double *unused)
{
    const struct operands *o = ctx;
    float *x = o->y + first;

    (void)k;
    (void)unused;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < o->box.lower   ? o->box.lower
               : x[i] > o->box.upper ? o->box.upper
                                     : x[i];
}

static void clamp(struct nst_backend *be, size_t n, struct nst_buffer *x,
                  struct nst_box box)
{
    nst_parallel_for(be, n, clamp_range,
                     &(struct operands){.y = nst_floats(x), .box = box});
}

static void projected_step_range(const struct nst_vector_kernels *k, const void *ctx,
                                 size_t first, size_t n, double *unused)
{
    const struct operands *o = ctx;

    (void)unused;
    k->projected_step(n, o->y + first, o->a + first, o->alpha, o->b + first,
                      o->box.lower, o->box.upper);
}

static void projected_step(struct nst_backend *be, size_t n, struct nst_buffer *to,
                           const struct nst_buffer *x, double t,
                           const struct nst_buffer *d, struct nst_box box)
{
    nst_parallel_for(be, n, projected_step_range,
                     &(struct operands){.y = nst_floats(to),
                                        .a = nst_const_floats(x),
                                        .b = nst_const_floats(d),
                                        .alpha = (float)t,
                                        .box = box});
}

struct accept_args {
    float *x, *s, *y;
    const float *g_new, *g;
};

static void accept_range(const struct nst_vector_kernels *k, const void *ctx,
                         size_t first, size_t n, double *pair_dots)
{
    const struct accept_args *p = ctx;

    k->accept(n, p->x + first, p->s + first, p->y + first, p->g_new + first,
              p->g + first, &pair_dots[0], &pair_dots[1]);
}

static void accept(struct nst_backend *be, size_t n, struct nst_buffer *x,
                   struct nst_buffer *s, struct nst_buffer *y,
                   const struct nst_buffer *g_new, const struct nst_buffer *g)
{
    nst_reduce_sum(be, n, accept_range,
                   &(struct accept_args){nst_floats(x), nst_floats(s), nst_floats(y),
                                         nst_const_floats(g_new), nst_const_floats(g)},
                   2, be->pair_dots);
}

static void pair_dots(struct nst_backend *be, double *sy, double *yy)
{
    *sy = be->pair_dots[0];
    *yy = be->pair_dots[1];
}

struct blend_args {
    float *to;
    const float *x, *content, *mask;
    size_t area;
};

static void blend_range(const struct nst_vector_kernels *k, const void *ctx,
                        size_t first, size_t n, double *unused)
{
    const struct blend_args *b = ctx;

    (void)k;
    (void)unused;
    for (size_t i = first; i < first + n; i++) {
        float weight = 1 - b->mask[i % b->area];

        if (b->x)
            b->to[i] = b->content[i] + weight * (b->x[i] - b->content[i]);
        else
            b->to[i] *= weight;
    }
}

static void blend(struct nst_backend *be, size_t n, struct nst_buffer *to,
                  const struct nst_buffer *x, const struct nst_buffer *content,
                  const struct nst_buffer *mask)
{
    nst_parallel_for(be, n, blend_range,
                     &(struct blend_args){nst_floats(to), nst_const_floats(x),
                                          nst_const_floats(content),
                                          nst_const_floats(mask), n / 3});
}

struct adam_args {
    const struct nst_adam_args *m;
    const float *g;
    struct nst_box box;
    float *x;
};

static void adam_range(const struct nst_vector_kernels *k, const void *ctx,
                       size_t first, size_t n, double *unused)
{
    const struct adam_args *a = ctx;
    const struct nst_adam_args *p = a->m;
    const float *g = a->g + first;
    float *m = nst_floats(p->first_moment) + first,
          *v = nst_floats(p->second_moment) + first,
          *sum = nst_floats(p->average) + first;
    float *x = a->x + first;

    (void)k;
    (void)unused;
    for (size_t i = 0; i < n; i++) {
        float to;

        m[i] = p->first_ema.beta * m[i] + p->first_ema.one_minus_beta * g[i];
        v[i] = p->second_ema.beta * v[i] + p->second_ema.one_minus_beta * g[i] * g[i];
        to = x[i] - p->learning_rate * m[i] / (sqrtf(v[i]) * p->scale + p->epsilon);
        to = to > a->box.lower ? to : a->box.lower;
        x[i] = to < a->box.upper ? to : a->box.upper;
        sum[i] = p->average_ema.beta * sum[i] + p->average_ema.one_minus_beta * x[i];
    }
}

static void adam(struct nst_backend *be, size_t n, const struct nst_adam_args *m,
                 const struct nst_buffer *g, struct nst_box box, struct nst_buffer *x)
{
    nst_parallel_for(be, n, adam_range,
                     &(struct adam_args){m, nst_const_floats(g), box, nst_floats(x)});
}

const struct nst_vector_ops nst_host_vectors = {
    .workspace_bytes = nst_host_workspace_bytes,
    .direction = nst_host_direction,
    .projected_step = projected_step,
    .measure = measure,
    .accept = accept,
    .pair_dots = pair_dots,
    .sum_abs = sum_abs,
    .clear = clear,
    .copy = copy,
    .axpy = axpy,
    .scale = scale,
    .clamp = clamp,
    .blend = blend,
    .adam = adam,
};
