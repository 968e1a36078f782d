/* SPDX-License-Identifier: MIT */
/*
 * net_conv.c - 3x3 convolutions of feed-forward networks. An item of the work is some
 * tiles of 4x4 pixels, or a row of the output at every second pixel. Items depend on
 * the shapes alone, so the sums do not depend on the number of threads.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/net.h"

#define TAPS 9
#define TILE 4
#define POINTS 36
/* Limit in bytes for the transformed tiles of one thread. */
#define CACHE_BYTES ((size_t)400 * 1024)
/* Pixels of a row whose taps are gathered at a time. */
#define GATHERED 112

struct net_args {
    struct nst_cpu *cpu;
    const struct nst_net_conv *k;
    const struct nst_net_view *x;
    struct nst_tensor *y;
    const struct nst_cpu_net_sums *sums;
    int tile_columns, tiles, group;
};

/* Floats per point of a group of tiles: an odd number of cache lines. */
static size_t point_floats(int blocks, int tiles)
{
    return ((size_t)blocks * (size_t)tiles | 1) * NST_BLOCK;
}

/* Tiles in a group: a multiple of the micro-kernel's columns. */
static int group_tiles(const struct nst_cpu *cpu, const struct nst_net_conv *k)
{
    size_t panel = (size_t)POINTS * (size_t)(cpu->kernels->nr * (k->in + k->out)) *
                   NST_BLOCK * sizeof(float);
    int panels = (int)(CACHE_BYTES / panel);

    return cpu->kernels->nr * (panels < 1 ? 1 : nst_cpu_min(panels, 8));
}

struct nst_cpu_scratch nst_cpu_net_conv_scratch(const struct nst_cpu *cpu,
                                                const struct nst_net_conv *k)
{
    int tiles = group_tiles(cpu, k);

    if (k->kind == NST_NET_DOWN)
        return (struct nst_cpu_scratch){.tiles = (size_t)TAPS * (size_t)k->in *
                                                 GATHERED * NST_BLOCK};
    return (struct nst_cpu_scratch){
        .tiles = POINTS * (point_floats(k->in, tiles) + point_floats(k->out, tiles))};
}

static int tiles_of(int pixels)
{
    return (pixels + TILE - 1) / TILE;
}

int nst_cpu_net_conv_items(const struct nst_cpu *cpu, const struct nst_net_conv *k,
                           int height, int width)
{
    int h = nst_net_output_side(k->kind, height),
        w = nst_net_output_side(k->kind, width);
    int group = group_tiles(cpu, k);

    if (k->kind == NST_NET_DOWN)
        return h;
    return (tiles_of(h) * tiles_of(w) + group - 1) / group;
}

size_t nst_cpu_net_conv_floats(const struct nst_net_conv *k)
{
    return (size_t)(k->kind == NST_NET_DOWN ? TAPS : POINTS) *
           (size_t)(k->in * k->out) * NST_BLOCK * NST_BLOCK;
}

/* Taps of the filters from input channel c to the outputs of a block; 0 beyond the
 * last. */
static void block_taps(const struct nst_net_filters *f, int block, int c,
                       float taps[TAPS][NST_BLOCK])
{
    for (int i = 0; i < NST_BLOCK; i++) {
        int o = block * NST_BLOCK + i;

        for (int t = 0; t < TAPS; t++)
            taps[t][i] =
                c < f->cin && o < f->cout
                    ? f->weight[((size_t)o * (size_t)f->cin + (size_t)c) * TAPS +
                                (size_t)t]
                    : 0;
    }
}

void nst_cpu_net_conv_set(struct nst_net_conv *k, const struct nst_cpu *cpu,
                          const struct nst_net_filters *f)
{
    size_t inputs = (size_t)k->in * NST_BLOCK,
           point = inputs * (size_t)k->out * NST_BLOCK;
    const struct nst_winograd *winograd = &cpu->kernels->winograd[NST_WINOGRAD_4];
    float taps[TAPS][NST_BLOCK];

    for (int b = 0; b < k->out; b++)
        for (int c = 0; c < (int)inputs; c++) {
            block_taps(f, b, c, taps);
            if (k->kind == NST_NET_DOWN)
                for (size_t t = 0; t < TAPS; t++)
                    memcpy(k->weight + (((size_t)b * TAPS + t) * inputs + (size_t)c) *
                                           NST_BLOCK,
                           taps[t], sizeof taps[t]);
            else
                winograd->weight(
                    taps[0], k->weight + ((size_t)b * inputs + (size_t)c) * NST_BLOCK,
                    point);
        }
}

static void transform_inputs(const struct net_args *a, int first, int n, float *v)
{
    const struct nst_tensor *x = a->x->x;
    size_t point = point_floats(a->k->in, a->group), pitch = nst_cpu_pitch(x->shape);
    bool doubled = a->k->kind == NST_NET_UP;
    int step = doubled ? TILE / 2 : TILE;

    for (int b = 0; b < a->k->in; b++) {
        struct nst_block_view view = nst_cpu_net_block(a->x, b);

        for (int t = 0; t < n; t++) {
            int i = (first + t) / a->tile_columns, j = (first + t) % a->tile_columns;
            const float *from =
                nst_cpu_row(x, b, step * i - 1) + (step * j - 1) * NST_BLOCK;

            a->cpu->kernels->net->input(from, pitch, &view, doubled,
                                        v + ((size_t)b * a->group + t) * NST_BLOCK,
                                        point);
        }
    }
}

/* Add those rows of a tile that are summed, where it is not summed as a whole. */
static void sum_rows(const struct net_args *a, int b, int top, int left, int rows,
                     int columns, float sums[2][NST_BLOCK])
{
    for (int r = top; r < top + rows; r++)
        if (nst_cpu_net_summed(a->sums, r))
            a->cpu->kernels->net->sums(
                columns, nst_cpu_row(a->y, b, r) + (size_t)left * NST_BLOCK, sums);
}

static void store_outputs(const struct net_args *a, int item, int first, int n,
                          const float *m)
{
    struct nst_shape s = a->y->shape;
    size_t point = point_floats(a->k->out, a->group);

    for (int b = 0; b < a->k->out; b++) {
        float sums[2][NST_BLOCK] = {{0}}, unused[2][NST_BLOCK] = {{0}};

        for (int t = 0; t < n; t++) {
            int top = (first + t) / a->tile_columns * TILE,
                left = (first + t) % a->tile_columns * TILE;
            int rows = nst_cpu_min(TILE, s.h - top),
                columns = nst_cpu_min(TILE, s.w - left);
            bool whole = nst_cpu_net_summed(a->sums, top) &&
                         nst_cpu_net_summed(a->sums, top + rows - 1);

            a->cpu->kernels->net->output(
                m + ((size_t)b * a->group + t) * NST_BLOCK, point,
                nst_cpu_row(a->y, b, top) + (size_t)left * NST_BLOCK, nst_cpu_pitch(s),
                rows, columns, whole ? sums : unused);
            if (!whole)
                sum_rows(a, b, top, left, rows, columns, sums);
        }
        nst_cpu_net_sums_add(a->sums, item, b, sums);
    }
}

/* Item: a group of tiles. */
static void convolve_tiles(void *ctx, int item, int thread)
{
    const struct net_args *a = ctx;
    const struct nst_net_conv *k = a->k;
    size_t matrix = (size_t)(k->in * k->out) * NST_BLOCK * NST_BLOCK;
    size_t in_point = point_floats(k->in, a->group),
           out_point = point_floats(k->out, a->group);
    float *v = a->cpu->tiles[thread], *m = v + POINTS * in_point;
    int first = item * a->group, n = nst_cpu_min(a->group, a->tiles - first);

    transform_inputs(a, first, n, v);
    for (size_t p = 0; p < POINTS; p++)
        a->cpu->kernels->gemm(
            &(struct nst_gemm){.n = n,
                               .in = k->in,
                               .out = k->out,
                               .a = v + p * in_point,
                               .a_stride = (size_t)a->group * NST_BLOCK,
                               .w = k->weight + p * matrix,
                               .c = m + p * out_point,
                               .c_stride = (size_t)a->group * NST_BLOCK});
    store_outputs(a, item, first, n, m);
}

/* Gather what the taps read for n outputs of a row, from column first on:
 * taps x in x n x 16. */
static void gather_taps(const struct net_args *a, int row, int first, int n, float *to)
{
    size_t line = (size_t)n * NST_BLOCK;

    for (int b = 0; b < a->k->in; b++) {
        struct nst_block_view view = nst_cpu_net_block(a->x, b);

        for (int t = 0; t < TAPS; t++)
            a->cpu->kernels->net->view(n,
                                       nst_cpu_row(a->x->x, b, 2 * row + t / 3 - 1) +
                                           (2 * first + t % 3 - 1) * NST_BLOCK,
                                       2, &view,
                                       to + (size_t)(t * a->k->in + b) * line);
    }
}

/* Item: a row of the output at every second pixel. */
static void convolve_row(void *ctx, int row, int thread)
{
    const struct net_args *a = ctx;
    const struct nst_net_conv *k = a->k;
    int w = a->y->shape.w;
    float *taps = a->cpu->tiles[thread];

    for (int first = 0; first < w; first += GATHERED) {
        int n = nst_cpu_min(GATHERED, w - first);

        gather_taps(a, row, first, n, taps);
        a->cpu->kernels->gemm(&(struct nst_gemm){
            .n = n,
            .in = TAPS * k->in,
            .out = k->out,
            .a = taps,
            .a_stride = (size_t)n * NST_BLOCK,
            .w = k->weight,
            .c = nst_cpu_row(a->y, 0, row) + (size_t)first * NST_BLOCK,
            .c_stride = nst_cpu_stride(a->y->shape)});
    }
    for (int b = 0; nst_cpu_net_summed(a->sums, row) && b < k->out; b++) {
        float sums[2][NST_BLOCK] = {{0}};

        a->cpu->kernels->net->sums(w, nst_cpu_row(a->y, b, row), sums);
        nst_cpu_net_sums_add(a->sums, row, b, sums);
    }
}

void nst_cpu_net_conv(struct nst_cpu *cpu, const struct nst_net_conv *k,
                      const struct nst_net_view *x, struct nst_tensor *y,
                      const struct nst_cpu_net_sums *sums)
{
    struct net_args a = {.cpu = cpu, .k = k, .x = x, .y = y, .sums = sums};
    int items = nst_cpu_net_conv_items(cpu, k, x->x->shape.h, x->x->shape.w);

    a.tile_columns = tiles_of(y->shape.w);
    a.tiles = a.tile_columns * tiles_of(y->shape.h);
    a.group = group_tiles(cpu, k);
    /* a doubled map that is reflected repeats its outermost pixel */
    nst_cpu_set_border(
        cpu, x->x, k->kind == NST_NET_UP ? NST_PADDING_REPLICATE : NST_PADDING_REFLECT);
    nst_threads_run(cpu->base.threads, items,
                    k->kind == NST_NET_DOWN ? convolve_row : convolve_tiles, &a);
}
