/* SPDX-License-Identifier: MIT */
/*
 * net_grad_weight.c - the gradient by the weights of the 3x3 convolutions at each
 * pixel, and of those of a doubled map, by Winograd's F(3x3, 4x4): the transpose of
 * F(4x4, 3x3) by its filters.
 *
 * With the transformed tiles V of the input, as the forward pass has them, and U of the
 * gradient, the products V U' at each of the 36 points are summed over the tiles, then
 * transformed back to 9 taps. All threads work on some tiles: first they divide the
 * blocks of channels, then the points. So the order of the sums is that of the tiles.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/net_grad.h"

#define TILE NST_CPU_NET_TILE
#define POINTS NST_CPU_NET_POINTS
/* Limit in bytes for the transformed tiles. */
#define CACHE_BYTES ((size_t)900 * 1024)
#define PARTS 4 /* of the tiles of a block, for the threads to divide */

struct weight_args {
    struct nst_cpu *cpu;
    const struct nst_net_grad *k;
    const struct nst_net_view *x;
    const struct nst_tensor *gy;
    float *weight;
    int tile_columns, tiles, group;
    int first, n;     /* tiles at the moment */
    float *m, *v, *u; /* points x in x out x 16 x 16; points of in, and of out blocks */
};

static int group_tiles(const struct nst_net_grad *k)
{
    size_t tile = (size_t)POINTS * (size_t)(k->in + k->out) * NST_BLOCK * sizeof(float);

    return (int)(CACHE_BYTES / tile) / PARTS * PARTS + PARTS;
}

static size_t product_floats(const struct nst_net_grad *k)
{
    return (size_t)(k->in * k->out) * NST_BLOCK * NST_BLOCK;
}

struct nst_cpu_scratch nst_cpu_net_grad_weight_scratch(const struct nst_net_grad *k)
{
    int group = group_tiles(k);

    return (struct nst_cpu_scratch){
        .shared = POINTS * (product_floats(k) + nst_cpu_net_point(k->in, group) +
                            nst_cpu_net_point(k->out, group))};
}

static void transform_input(const struct weight_args *a, int b, int from, int to)
{
    bool doubled = a->k->kind == NST_NET_UP;
    int step = doubled ? TILE / 2 : TILE;
    struct nst_block_view view = nst_cpu_net_block(a->x, b);

    for (int t = from; t < to; t++) {
        int i = (a->first + t) / a->tile_columns, j = (a->first + t) % a->tile_columns;

        a->cpu->kernels->net->input(nst_cpu_row(a->x->x, b, step * i - 1) +
                                        (step * j - 1) * NST_BLOCK,
                                    nst_cpu_pitch(a->x->x->shape), &view, doubled,
                                    a->v + ((size_t)b * a->group + t) * NST_BLOCK,
                                    nst_cpu_net_point(a->k->in, a->group));
    }
}

static void transform_gradient(const struct weight_args *a, int b, int from, int to)
{
    for (int t = from; t < to; t++) {
        int i = (a->first + t) / a->tile_columns, j = (a->first + t) % a->tile_columns;

        a->cpu->kernels->net_grad->tile(
            nst_cpu_row(a->gy, b, TILE * i) + (size_t)(TILE * j) * NST_BLOCK,
            nst_cpu_pitch(a->gy->shape), a->u + ((size_t)b * a->group + t) * NST_BLOCK,
            nst_cpu_net_point(a->k->out, a->group));
    }
}

/* Item: a part of the tiles of a block, of the input or of the gradient. */
static void transform_part(void *ctx, int item, int thread)
{
    const struct weight_args *a = ctx;
    int b = item / PARTS, part = item % PARTS;
    int from = a->n * part / PARTS, to = a->n * (part + 1) / PARTS;

    (void)thread;
    if (b < a->k->in)
        transform_input(a, b, from, to);
    else
        transform_gradient(a, b - a->k->in, from, to);
}

/* Item: a point. */
static void multiply_point(void *ctx, int point, int thread)
{
    const struct weight_args *a = ctx;
    const struct nst_net_grad *k = a->k;
    const float *v = a->v + (size_t)point * nst_cpu_net_point(k->in, a->group),
                *u = a->u + (size_t)point * nst_cpu_net_point(k->out, a->group);
    float *m = a->m + (size_t)point * product_floats(k);

    (void)thread;
    if (a->first == 0)
        memset(m, 0, product_floats(k) * sizeof *m);
    for (int i = 0; i < k->in; i++)
        for (int o = 0; o < k->out; o++, m += NST_BLOCK * NST_BLOCK)
            a->cpu->kernels->gram(1, a->n, v + (size_t)i * a->group * NST_BLOCK,
                                  u + (size_t)o * a->group * NST_BLOCK, 0, 0, m, NULL);
}

/* Item: an input channel. */
static void add_taps(void *ctx, int c, int thread)
{
    const struct weight_args *a = ctx;
    const struct nst_net_grad *k = a->k;
    float taps[NST_CPU_NET_TAPS][NST_BLOCK];

    (void)thread;
    for (int b = 0; b < k->out; b++) {
        size_t block = (size_t)(c / NST_BLOCK * k->out + b) * NST_BLOCK * NST_BLOCK;

        a->cpu->kernels->net_grad->taps(a->m + block +
                                            (size_t)(c % NST_BLOCK) * NST_BLOCK,
                                        product_floats(k), taps[0]);
        for (int i = 0; i < nst_cpu_min(NST_BLOCK, k->cout - b * NST_BLOCK); i++)
            for (size_t t = 0; t < NST_CPU_NET_TAPS; t++)
                a->weight[((size_t)(b * NST_BLOCK + i) * k->cin + (size_t)c) *
                              NST_CPU_NET_TAPS +
                          t] += taps[t][i];
    }
}

void nst_cpu_net_grad_weight(struct nst_cpu *cpu, const struct nst_net_grad *k,
                             const struct nst_net_view *x, const struct nst_tensor *gy,
                             float *weight)
{
    struct nst_threads *threads = cpu->base.threads;
    struct weight_args a = {.cpu = cpu, .k = k, .x = x, .gy = gy, .weight = weight};

    a.tile_columns = nst_cpu_net_tiles(gy->shape.w);
    a.tiles = a.tile_columns * nst_cpu_net_tiles(gy->shape.h);
    a.group = group_tiles(k);
    a.m = cpu->shared;
    a.v = a.m + POINTS * product_floats(k);
    a.u = a.v + POINTS * nst_cpu_net_point(k->in, a.group);
    nst_cpu_set_border(cpu, gy, NST_PADDING_ZERO);
    nst_cpu_set_border(
        cpu, x->x, k->kind == NST_NET_UP ? NST_PADDING_REPLICATE : NST_PADDING_REFLECT);
    for (; a.first < a.tiles; a.first += a.n) {
        a.n = nst_cpu_min(a.group, a.tiles - a.first);
        nst_threads_run(threads, (k->in + k->out) * PARTS, transform_part, &a);
        nst_threads_run(threads, POINTS, multiply_point, &a);
    }
    nst_threads_run(threads, k->cin, add_taps, &a);
}
