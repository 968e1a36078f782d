/* SPDX-License-Identifier: MIT */
/*
 * net_grad.c - the table of gradients, and the gradient of instance norm.
 */
#include "config.h"

#include "backend/cpu/net_grad.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static bool of_picture(enum nst_net_kind kind)
{
    return kind == NST_NET_FROM_PICTURE || kind == NST_NET_TO_PICTURE;
}

static void grad_free(struct nst_backend *be, struct nst_net_grad *k)
{
    (void)be;
    if (!k)
        return;
    free(k->weight);
    free(k->taps);
    free(k);
}

static void grad_set(struct nst_backend *be, struct nst_net_grad *k,
                     const struct nst_net_filters *f)
{
    if (of_picture(k->kind))
        nst_cpu_net_grad_picture_set(k, f);
    else
        nst_cpu_net_grad_set((struct nst_cpu *)be, k, f);
}

static enum nst_status grad_new(struct nst_backend *be, struct nst_net_grad **out,
                                const struct nst_net_filters *f, struct nst_err *err)
{
    struct nst_net_grad *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st;

    *out = NULL;
    *k = (struct nst_net_grad){.kind = f->kind,
                               .in = nst_cpu_blocks(f->cin),
                               .out = nst_cpu_blocks(f->cout),
                               .cin = f->cin,
                               .cout = f->cout};
    st = nst_floats_new(&k->weight,
                        of_picture(f->kind) ? nst_cpu_net_grad_picture_floats(k)
                                            : nst_cpu_net_grad_floats(k),
                        1, 1, err);
    if (st == NST_OK && !of_picture(f->kind))
        st = nst_floats_new(&k->taps, (size_t)(k->in * k->out), NST_CPU_NET_TAPS,
                            NST_BLOCK * NST_BLOCK, err);
    if (st != NST_OK) {
        grad_free(be, k);
        return st;
    }
    grad_set(be, k, f);
    *out = k;
    return NST_OK;
}

/* The sums of the instance norm of a convolution's input, or of its result: for each
 * row, two of each channel. */
static size_t norm_sums(const struct nst_net_grad *k, int height)
{
    int rows = nst_net_output_side(k->kind, height);

    return (size_t)(k->in > k->out ? k->in : k->out) *
           (size_t)(rows > height ? rows : height) * 2 * NST_BLOCK;
}

static enum nst_status grad_prepare(struct nst_backend *be, struct nst_net_grad *k,
                                    int height, int width, struct nst_err *err)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    struct nst_cpu_scratch parts[2] = {{0}};

    if (of_picture(k->kind)) {
        parts[0] = nst_cpu_net_grad_picture_scratch(k, height, width);
    } else if (k->kind == NST_NET_DOWN) {
        parts[0] = nst_cpu_net_grad_down_scratch(k, width);
    } else {
        parts[0] = nst_cpu_net_grad_conv_scratch(cpu, k, height, width);
        parts[1] = nst_cpu_net_grad_weight_scratch(k);
    }
    parts[0].sums = norm_sums(k, height);
    for (int i = 0; i < 2; i++) {
        enum nst_status st = nst_cpu_scratch_reserve(cpu, parts[i], err);

        if (st != NST_OK)
            return st;
    }
    return NST_OK;
}

static void grad_conv(struct nst_backend *be, const struct nst_net_grad *k,
                      const struct nst_tensor *gy, struct nst_tensor *gx, bool add)
{
    if (k->kind == NST_NET_DOWN)
        nst_cpu_net_grad_down((struct nst_cpu *)be, k, gy, gx, add);
    else
        nst_cpu_net_grad_conv((struct nst_cpu *)be, k, gy, gx, add);
}

static void grad_to_picture(struct nst_backend *be, const struct nst_net_grad *k,
                            const float *rgb, struct nst_tensor *gx)
{
    nst_cpu_net_grad_to_picture((struct nst_cpu *)be, k, rgb, gx);
}

static void grad_conv_weight(struct nst_backend *be, const struct nst_net_grad *k,
                             const struct nst_net_view *x, const struct nst_tensor *gy,
                             float *weight)
{
    if (k->kind == NST_NET_DOWN)
        nst_cpu_net_grad_down_weight((struct nst_cpu *)be, k, x, gy, weight);
    else
        nst_cpu_net_grad_weight((struct nst_cpu *)be, k, x, gy, weight);
}

static void grad_from_picture_weight(struct nst_backend *be,
                                     const struct nst_net_grad *k, const float *rgb,
                                     const struct nst_tensor *gy, float *weight)
{
    nst_cpu_net_grad_from_picture_weight((struct nst_cpu *)be, k, rgb, gy, weight);
}

static void grad_to_picture_weight(struct nst_backend *be, const struct nst_net_grad *k,
                                   const struct nst_net_view *x, const float *grgb,
                                   float *weight, float *bias)
{
    nst_cpu_net_grad_to_picture_weight((struct nst_cpu *)be, k, x, grgb, weight, bias);
}

struct norm_args {
    const struct nst_cpu *cpu;
    const struct nst_net_view *x;
    const struct nst_net_moments *moments;
    const struct nst_tensor *g;
    struct nst_tensor *gx;
    double (*sums)[2][NST_BLOCK];     /* of each row of each block */
    const struct nst_norm_factors *f; /* of each block */
};

/* The means of a block, rounded; 0 beyond the last channel. */
static void centre_of(const struct norm_args *a, int b, float centre[NST_BLOCK])
{
    int n = nst_cpu_min(a->gx->shape.c - b * NST_BLOCK, NST_BLOCK);

    memset(centre, 0, NST_BLOCK * sizeof *centre);
    for (int i = 0; i < n; i++)
        centre[i] = (float)a->moments->mean[b * NST_BLOCK + i];
}

/* Item: a row of a block. Pixels are summed in single precision, a run at a time. */
static void sum_row(void *ctx, int item, int thread)
{
    enum { RUN = 64 };
    const struct norm_args *a = ctx;
    struct nst_shape s = a->gx->shape;
    int b = item / s.h, r = item % s.h;
    struct nst_block_view view = nst_cpu_net_block(a->x, b);
    float centre[NST_BLOCK];

    (void)thread;
    centre_of(a, b, centre);
    memset(a->sums[item], 0, sizeof a->sums[item]);
    for (int first = 0; first < s.w; first += RUN) {
        size_t at = (size_t)first * NST_BLOCK;
        float sums[2][NST_BLOCK] = {{0}};

        a->cpu->kernels->net_grad->norm_sums(
            nst_cpu_min(RUN, s.w - first), nst_cpu_row(a->x->x, b, r) + at, &view,
            centre, nst_cpu_row(a->g, b, r) + at, sums);
        for (int k = 0; k < NST_BLOCK; k++) {
            a->sums[item][0][k] += sums[0][k];
            a->sums[item][1][k] += sums[1][k];
        }
    }
}

static void norm_row(void *ctx, int item, int thread)
{
    const struct norm_args *a = ctx;
    struct nst_shape s = a->gx->shape;
    int b = item / s.h, r = item % s.h;
    struct nst_block_view view = nst_cpu_net_block(a->x, b);

    (void)thread;
    a->cpu->kernels->net_grad->norm(s.w, nst_cpu_row(a->x->x, b, r), &view, &a->f[b],
                                    nst_cpu_row(a->g, b, r), nst_cpu_row(a->gx, b, r));
}

/* From the sums over the map: with n = (x - mean) / deviation, the gradient is
 * scale (h - mean h - n mean (h n)). */
static void set_factors(const struct norm_args *a, int c, struct nst_norm_factors *f,
                        float *gamma, float *beta)
{
    struct nst_shape s = a->gx->shape;
    double pixels = (double)nst_shape_area(s), sum = 0, product = 0;
    double mean = a->moments->mean[c], deviation = a->moments->deviation[c];
    double scale = a->x->scale[c], slope, rest = f->centre[c % NST_BLOCK] - mean;

    for (int r = 0; r < s.h; r++) {
        sum += a->sums[(size_t)(c / NST_BLOCK) * s.h + r][0][c % NST_BLOCK];
        product += a->sums[(size_t)(c / NST_BLOCK) * s.h + r][1][c % NST_BLOCK];
    }
    product = (product + rest * sum) / deviation; /* of h n */
    *gamma += (float)product;
    *beta += (float)sum;
    slope = -scale * product / (pixels * deviation);
    f->gradient[c % NST_BLOCK] = (float)scale;
    f->map[c % NST_BLOCK] = (float)slope;
    f->offset[c % NST_BLOCK] = (float)(slope * rest - scale * sum / pixels);
}

static void grad_norm(struct nst_backend *be, const struct nst_net_view *x,
                      const struct nst_net_moments *moments, const struct nst_tensor *g,
                      struct nst_tensor *gx, float *gamma, float *beta)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int blocks = nst_cpu_blocks(gx->shape.c);
    struct nst_norm_factors *factors = nst_xcalloc((size_t)blocks, sizeof *factors);
    struct norm_args a = {.cpu = cpu,
                          .x = x,
                          .moments = moments,
                          .g = g,
                          .gx = gx,
                          .sums = (void *)cpu->sums,
                          .f = factors};

    nst_threads_run(be->threads, blocks * gx->shape.h, sum_row, &a);
    for (int b = 0; b < blocks; b++)
        centre_of(&a, b, factors[b].centre);
    for (int c = 0; c < gx->shape.c; c++)
        set_factors(&a, c, &factors[c / NST_BLOCK], &gamma[c], &beta[c]);
    nst_threads_run(be->threads, blocks * gx->shape.h, norm_row, &a);
    free(factors);
}

const struct nst_net_grad_ops nst_net_grad_ops_cpu = {
    .new = grad_new,
    .free = grad_free,
    .set = grad_set,
    .prepare = grad_prepare,
    .conv = grad_conv,
    .to_picture = grad_to_picture,
    .conv_weight = grad_conv_weight,
    .from_picture_weight = grad_from_picture_weight,
    .to_picture_weight = grad_to_picture_weight,
    .norm = grad_norm};
