/* SPDX-License-Identifier: MIT */
/*
 * net_grad_down.c - gradients of the 3x3 convolutions at every second pixel. Of the
 * input, a row depends on one row of the gradient or on two, and so does a column: even
 * and odd columns are products of their own.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/net_grad.h"

struct down_args {
    struct nst_cpu *cpu;
    const struct nst_net_grad *k;
    const struct nst_net_view *x;
    const struct nst_tensor *gy;
    struct nst_tensor *gx;
    bool add;
    float *weight;
};

/* Even and odd columns of a row of the input; and a row that a tap reads. */
struct nst_cpu_scratch nst_cpu_net_grad_down_scratch(const struct nst_net_grad *k,
                                                     int width)
{
    return (struct nst_cpu_scratch){.tiles = (size_t)(2 * k->in) *
                                             (size_t)((width + 1) / 2) * NST_BLOCK};
}

/* A row of the gradient, and the row of taps that leads to a row of the input. */
struct reader {
    int row, tap;
};

/* The readers of a row of the input of h rows. Returns their number, at most 4. */
static int readers_of(int row, int h, struct reader to[4])
{
    int count = 0, outputs = (h + 1) / 2;

    if (row % 2 == 0)
        to[count++] = (struct reader){row / 2, 1};
    else {
        to[count++] = (struct reader){row / 2, 2};
        if (row / 2 + 1 < outputs)
            to[count++] = (struct reader){row / 2 + 1, 0};
        if (row == 1) /* which stands for row -1 */
            to[count++] = (struct reader){0, 0};
    }
    if (h % 2 && row == h - 2) /* which stands for row h */
        to[count++] = (struct reader){outputs - 1, 2};
    return count;
}

/* Add n products of a row of the gradient, from pixel first on, with a tap. */
static void multiply(const struct down_args *a, int row, int first, int n, int tap,
                     bool add, float *to)
{
    struct nst_shape s = a->gy->shape;

    a->cpu->kernels->gemm(
        &(struct nst_gemm){.n = n,
                           .in = a->k->out,
                           .out = a->k->in,
                           .a = nst_cpu_row(a->gy, 0, row) + (size_t)first * NST_BLOCK,
                           .a_stride = nst_cpu_stride(s),
                           .w = nst_cpu_net_tap(a->k, tap),
                           .add = add,
                           .c = to,
                           .c_stride = (size_t)s.w * NST_BLOCK});
}

static void put_pixel(bool add, const float *from, float *to)
{
    if (add)
        nst_cpu_add_pixel(from, to);
    else
        memcpy(to, from, NST_BLOCK * sizeof *to);
}

/* Item: a row of the input. */
static void grad_row(void *ctx, int row, int thread)
{
    const struct down_args *a = ctx;
    struct nst_shape s = a->gx->shape;
    int n = a->gy->shape.w;
    size_t line = (size_t)n * NST_BLOCK;
    float *even = a->cpu->tiles[thread], *odd = even + (size_t)a->k->in * line;
    struct reader reader[4];
    int count = readers_of(row, s.h, reader);

    for (int i = 0; i < count; i++) {
        int r = reader[i].row, tap = 3 * reader[i].tap;

        multiply(a, r, 0, n, tap + 1, i > 0, even);
        multiply(a, r, 0, n, tap + 2, i > 0, odd);
        multiply(a, r, 1, n, tap, true, odd); /* the pixel after the last one is 0 */
        multiply(a, r, 0, 1, tap, true, odd); /* column 1 stands for -1 */
    }
    for (int b = 0; b < a->k->in; b++, even += line, odd += line) {
        float *to = nst_cpu_row(a->gx, b, row);

        if (s.w % 2) /* column w - 2 stands for w */
            nst_cpu_add_pixel(odd + (size_t)(s.w / 2) * NST_BLOCK,
                              odd + (size_t)(s.w / 2 - 1) * NST_BLOCK);
        for (int j = 0; j < s.w; j++)
            put_pixel(a->add, (j % 2 ? odd : even) + (size_t)(j / 2) * NST_BLOCK,
                      to + (size_t)j * NST_BLOCK);
    }
}

void nst_cpu_net_grad_down(struct nst_cpu *cpu, const struct nst_net_grad *k,
                           const struct nst_tensor *gy, struct nst_tensor *gx, bool add)
{
    struct down_args a = {.cpu = cpu, .k = k, .gy = gy, .gx = gx, .add = add};

    nst_cpu_set_border(cpu, gy, NST_PADDING_ZERO);
    nst_threads_run(cpu->base.threads, gx->shape.h, grad_row, &a);
}

/* Item: a tap of a block of the input, over all rows in order. */
static void weight_tap(void *ctx, int item, int thread)
{
    const struct down_args *a = ctx;
    const struct nst_net_grad *k = a->k;
    struct nst_shape s = a->gy->shape;
    int t = item / k->in, b = item % k->in;
    struct nst_block_view view = nst_cpu_net_block(a->x, b);
    float *line = a->cpu->tiles[thread];

    for (int first = 0; first < k->out; first++) {
        float sums[NST_BLOCK][NST_BLOCK] = {{0}};

        for (int r = 0; r < s.h; r++) {
            a->cpu->kernels->net->view(s.w,
                                       nst_cpu_row(a->x->x, b, 2 * r + t / 3 - 1) +
                                           (t % 3 - 1) * NST_BLOCK,
                                       2, &view, line);
            a->cpu->kernels->gram(1, s.w, line, nst_cpu_row(a->gy, first, r), 0, 0,
                                  sums[0], NULL);
        }
        for (int o = 0; o < nst_cpu_min(NST_BLOCK, k->cout - first * NST_BLOCK); o++)
            for (int c = 0; c < nst_cpu_min(NST_BLOCK, k->cin - b * NST_BLOCK); c++)
                a->weight[((size_t)(first * NST_BLOCK + o) * k->cin +
                           (size_t)(b * NST_BLOCK + c)) *
                              NST_CPU_NET_TAPS +
                          t] += sums[c][o];
    }
}

void nst_cpu_net_grad_down_weight(struct nst_cpu *cpu, const struct nst_net_grad *k,
                                  const struct nst_net_view *x,
                                  const struct nst_tensor *gy, float *weight)
{
    struct down_args a = {.cpu = cpu, .k = k, .x = x, .gy = gy, .weight = weight};

    nst_cpu_set_border(cpu, x->x, NST_PADDING_REFLECT);
    nst_threads_run(cpu->base.threads, NST_CPU_NET_TAPS * k->in, weight_tap, &a);
}
