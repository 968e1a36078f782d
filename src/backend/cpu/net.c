/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/net.h"

#include <stdlib.h>
#include <string.h>

#include "backend/net_grad_ops.h"
#include "base/alloc.h"

static bool of_picture(enum nst_net_kind kind)
{
    return kind == NST_NET_FROM_PICTURE || kind == NST_NET_TO_PICTURE;
}

static void set(struct nst_backend *be, struct nst_net_conv *k,
                const struct nst_net_filters *f)
{
    if (of_picture(k->kind))
        nst_cpu_net_picture_set(k, f);
    else
        nst_cpu_net_conv_set(k, (struct nst_cpu *)be, f);
}

static void conv_free(struct nst_backend *be, struct nst_net_conv *k)
{
    (void)be;
    if (!k)
        return;
    free(k->weight);
    free(k);
}

static int items(const struct nst_cpu *cpu, const struct nst_net_conv *k, int height,
                 int width)
{
    return of_picture(k->kind) ? nst_cpu_net_picture_items(height)
                               : nst_cpu_net_conv_items(cpu, k, height, width);
}

static size_t weight_floats(const struct nst_net_conv *k)
{
    return of_picture(k->kind) ? nst_cpu_net_picture_floats(k)
                               : nst_cpu_net_conv_floats(k);
}

static struct nst_cpu_scratch scratch_of(const struct nst_cpu *cpu,
                                         const struct nst_net_conv *k, int height,
                                         int width)
{
    struct nst_cpu_scratch scratch = of_picture(k->kind)
                                         ? nst_cpu_net_picture_scratch(width)
                                         : nst_cpu_net_conv_scratch(cpu, k);

    scratch.sums =
        (size_t)items(cpu, k, height, width) * (size_t)k->out * 2 * NST_BLOCK;
    return scratch;
}

static struct nst_net_conv conv_of(const struct nst_net_filters *f)
{
    return (struct nst_net_conv){.kind = f->kind,
                                 .in = nst_cpu_blocks(f->cin),
                                 .out = nst_cpu_blocks(f->cout),
                                 .cin = f->cin,
                                 .cout = f->cout};
}

static size_t conv_bytes(const struct nst_backend *be, const struct nst_net_filters *f,
                         int height, int width, size_t *scratch)
{
    struct nst_net_conv k = conv_of(f);
    struct nst_cpu_scratch s =
        scratch_of((const struct nst_cpu *)be, &k, height, width);
    size_t bytes = (size_t)nst_threads_count(be->threads) * s.tiles * sizeof(float) +
                   s.sums * sizeof(double);

    if (bytes > *scratch)
        *scratch = bytes;
    return weight_floats(&k) * sizeof(float);
}

static enum nst_status conv_new(struct nst_backend *be, struct nst_net_conv **out,
                                const struct nst_net_filters *f, struct nst_err *err)
{
    struct nst_net_conv *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st;

    *out = NULL;
    *k = conv_of(f);
    st = nst_floats_new(&k->weight, weight_floats(k), 1, 1, err);
    if (st != NST_OK) {
        conv_free(be, k);
        return st;
    }
    set(be, k, f);
    *out = k;
    return NST_OK;
}

static enum nst_status conv_prepare(struct nst_backend *be, struct nst_net_conv *k,
                                    int height, int width, struct nst_err *err)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;

    return nst_cpu_scratch_reserve(cpu, scratch_of(cpu, k, height, width), err);
}

static struct nst_cpu_net_sums begin_sums(struct nst_cpu *cpu, int items, int blocks,
                                          const struct nst_net_sums *to)
{
    struct nst_cpu_net_sums s = {
        .to = to, .items = (void *)cpu->sums, .blocks = blocks};

    memset(s.items, 0, (size_t)items * (size_t)blocks * sizeof *s.items);
    return s;
}

/* Add the sums of the items, in order. */
static void end_sums(const struct nst_cpu_net_sums *s, int items, int channels)
{
    for (int c = 0; s->to && c < channels; c++) {
        int b = c / NST_BLOCK, k = c % NST_BLOCK;

        s->to->sum[c] = s->to->squares[c] = 0;
        for (int i = 0; i < items; i++) {
            s->to->sum[c] += s->items[(size_t)i * (size_t)s->blocks + (size_t)b][0][k];
            s->to->squares[c] +=
                s->items[(size_t)i * (size_t)s->blocks + (size_t)b][1][k];
        }
    }
}

static void net_conv(struct nst_backend *be, const struct nst_net_conv *k,
                     const struct nst_net_view *x, struct nst_tensor *y,
                     const struct nst_net_sums *to)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int n = items(cpu, k, x->x->shape.h, x->x->shape.w);
    struct nst_cpu_net_sums sums = begin_sums(cpu, n, k->out, to);

    nst_cpu_net_conv(cpu, k, x, y, &sums);
    end_sums(&sums, n, k->cout);
}

static void from_picture(struct nst_backend *be, const struct nst_net_conv *k,
                         const float *rgb, struct nst_tensor *y,
                         const struct nst_net_sums *to)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int n = items(cpu, k, y->shape.h, y->shape.w);
    struct nst_cpu_net_sums sums = begin_sums(cpu, n, k->out, to);

    nst_cpu_net_from_picture(cpu, k, rgb, y, &sums);
    end_sums(&sums, n, k->cout);
}

static void to_picture(struct nst_backend *be, const struct nst_net_conv *k,
                       const struct nst_net_view *x, float *rgb)
{
    nst_cpu_net_to_picture((struct nst_cpu *)be, k, x, rgb);
}

struct row_args {
    const struct nst_cpu *cpu;
    const struct nst_net_view *x, *y;
    const struct nst_tensor *from;
    struct nst_tensor *to;
    int from_row, to_row, count;
};

static void add_row(void *ctx, int item, int thread)
{
    const struct row_args *a = ctx;
    int b = item / a->count, r = item % a->count;
    struct nst_block_view x = nst_cpu_net_block(a->x, b),
                          y = nst_cpu_net_block(a->y, b);

    (void)thread;
    a->cpu->kernels->net->add(a->to->shape.w, nst_cpu_row(a->x->x, b, r), &x,
                              nst_cpu_row(a->y->x, b, r), &y, nst_cpu_row(a->to, b, r));
}

static void add(struct nst_backend *be, const struct nst_net_view *x,
                const struct nst_net_view *y, struct nst_tensor *z)
{
    struct row_args a = {
        .cpu = (struct nst_cpu *)be, .x = x, .y = y, .to = z, .count = z->shape.h};

    nst_threads_run(be->threads, nst_cpu_blocks(z->shape.c) * a.count, add_row, &a);
}

/* Nothing of the map in its former shape may stay in the padding of the new one. */
static void reshape(struct nst_backend *be, struct nst_tensor *t, int height, int width)
{
    struct nst_shape s = {t->shape.c, height, width};
    size_t pitch = nst_cpu_pitch(s), stride = nst_cpu_stride(s),
           right = (size_t)(width + 1) * NST_BLOCK,
           below = (size_t)(height + 1) * pitch;

    (void)be;
    if (t->shape.h == height && t->shape.w == width)
        return;
    t->shape = s;
    for (int b = 0; b < nst_cpu_blocks(s.c); b++) {
        float *to = nst_floats(t->data) + (size_t)b * stride;

        for (size_t at = 0; at < below; at += pitch)
            memset(to + at + right, 0, (pitch - right) * sizeof *to);
        memset(to + below, 0, (stride - below) * sizeof *to);
    }
}

static void copy_row(void *ctx, int item, int thread)
{
    const struct row_args *a = ctx;
    int b = item / a->count, r = item % a->count;

    (void)thread;
    memcpy(nst_cpu_row(a->to, b, a->to_row + r),
           nst_cpu_row(a->from, b, a->from_row + r),
           (size_t)a->to->shape.w * NST_BLOCK * sizeof(float));
}

static void copy_rows(struct nst_backend *be, const struct nst_tensor *from,
                      int from_row, int count, struct nst_tensor *to, int to_row)
{
    struct row_args a = {
        .from = from, .to = to, .from_row = from_row, .to_row = to_row, .count = count};

    nst_threads_run(be->threads, nst_cpu_blocks(to->shape.c) * count, copy_row, &a);
}

const struct nst_net_ops nst_net_ops_cpu = {.grad = &nst_net_grad_ops_cpu,
                                            .conv_new = conv_new,
                                            .conv_free = conv_free,
                                            .conv_set = set,
                                            .conv_bytes = conv_bytes,
                                            .conv_prepare = conv_prepare,
                                            .conv = net_conv,
                                            .from_picture = from_picture,
                                            .to_picture = to_picture,
                                            .add = add,
                                            .reshape = reshape,
                                            .copy_rows = copy_rows};
