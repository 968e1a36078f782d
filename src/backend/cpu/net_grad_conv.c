/* SPDX-License-Identifier: MIT */
/*
 * net_grad_conv.c - the gradient by the input of the 3x3 convolutions at each pixel,
 * and of those of a doubled map: a convolution with mirrored taps of the gradient,
 * which has zeros around it, by Winograd's F(4x4, 3x3).
 *
 * What the padding adds is computed apart: the gradient by the pixels around the map,
 * by three taps of the outermost row or column, is added to the pixels that they
 * mirror.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/net_grad.h"
#include "kernels/net_reference.h"

#define TILE NST_CPU_NET_TILE
#define POINTS NST_CPU_NET_POINTS
#define TAPS NST_CPU_NET_TAPS
/* Limit in bytes for the transformed tiles of one thread. */
#define CACHE_BYTES ((size_t)400 * 1024)

enum { TOP, BOTTOM, LEFT, RIGHT, EDGES };

struct grad_args {
    struct nst_cpu *cpu;
    const struct nst_net_grad *k;
    const struct nst_tensor *gy;
    struct nst_tensor *gx;
    bool add;
    int tile_columns, tiles, group;
};

size_t nst_cpu_net_grad_floats(const struct nst_net_grad *k)
{
    return k->kind == NST_NET_DOWN
               ? 1
               : (size_t)POINTS * (size_t)(k->in * k->out) * NST_BLOCK * NST_BLOCK;
}

/* The taps of output o to the 16 inputs of a block; 0 beyond the last. */
static void block_taps(const struct nst_net_filters *f, int block, int o,
                       float taps[TAPS][NST_BLOCK])
{
    for (int i = 0; i < NST_BLOCK; i++) {
        int c = block * NST_BLOCK + i;
        const float *w =
            f->weight + ((size_t)o * (size_t)f->cin + (size_t)c) * (size_t)TAPS;

        for (int t = 0; t < TAPS; t++)
            taps[t][i] = c < f->cin && o < f->cout ? w[t] : 0;
    }
}

void nst_cpu_net_grad_set(const struct nst_cpu *cpu, struct nst_net_grad *k,
                          const struct nst_net_filters *f)
{
    const struct nst_winograd *winograd = &cpu->kernels->winograd[NST_WINOGRAD_4];
    size_t outputs = (size_t)k->out * NST_BLOCK,
           point = (size_t)k->in * outputs * NST_BLOCK;
    float taps[TAPS][NST_BLOCK], mirrored[TAPS][NST_BLOCK];

    for (int b = 0; b < k->in; b++)
        for (int o = 0; o < (int)outputs; o++) {
            size_t at = ((size_t)b * outputs + (size_t)o) * NST_BLOCK;

            block_taps(f, b, o, taps);
            for (size_t t = 0; t < TAPS; t++) {
                memcpy(k->taps + t * point + at, taps[t], sizeof taps[t]);
                memcpy(mirrored[TAPS - 1 - t], taps[t], sizeof taps[t]);
            }
            if (k->kind != NST_NET_DOWN)
                winograd->weight(mirrored[0], k->weight + at, point);
        }
}

/* Tiles in a group: a multiple of the micro-kernel's columns. */
static int group_tiles(const struct nst_cpu *cpu, const struct nst_net_grad *k)
{
    size_t panel = (size_t)POINTS * (size_t)(cpu->kernels->nr * (k->in + k->out)) *
                   NST_BLOCK * sizeof(float);
    int panels = (int)(CACHE_BYTES / panel);

    return cpu->kernels->nr * (panels < 1 ? 1 : nst_cpu_min(panels, 8));
}

/* Pixels of an edge's gradient, of its longest: corners included. */
static size_t edge_pixels(int height, int width)
{
    return (size_t)(height > width ? height : width) + 2;
}

/* Floats of an edge: its gradient, and the outermost pixels, with two zeros on either
 * side. */
static size_t edge_floats(const struct nst_net_grad *k, int height, int width)
{
    return ((size_t)k->in * edge_pixels(height, width) +
            (size_t)k->out * (edge_pixels(height, width) + 2)) *
           NST_BLOCK;
}

struct nst_cpu_scratch nst_cpu_net_grad_conv_scratch(const struct nst_cpu *cpu,
                                                     const struct nst_net_grad *k,
                                                     int height, int width)
{
    int tiles = group_tiles(cpu, k);

    return (struct nst_cpu_scratch){
        .tiles = (size_t)POINTS *
                 (nst_cpu_net_point(k->in, tiles) + nst_cpu_net_point(k->out, tiles)),
        .borders = EDGES * edge_floats(k, nst_net_output_side(k->kind, height),
                                       nst_net_output_side(k->kind, width))};
}

/* The gradient of an edge: in x pixels x 16. The first pixel is a corner. */
static float *edge_grad(const struct grad_args *a, int edge)
{
    struct nst_shape s = a->gy->shape;

    return a->cpu->borders + (size_t)edge * edge_floats(a->k, s.h, s.w);
}

/* Item: an edge. */
static void compute_edge(void *ctx, int edge, int thread)
{
    const struct grad_args *a = ctx;
    const struct nst_net_grad *k = a->k;
    struct nst_shape s = a->gy->shape;
    bool is_row = edge == TOP || edge == BOTTOM;
    int length = is_row ? s.w : s.h;
    size_t stride = (size_t)(length + 4) * NST_BLOCK, n = (size_t)length + 2;
    float *grad = edge_grad(a, edge),
          *pixels = grad + (size_t)k->in * edge_pixels(s.h, s.w) * NST_BLOCK;

    (void)thread;
    memset(pixels, 0, (size_t)k->out * stride * sizeof *pixels);
    for (int b = 0; b < k->out; b++)
        for (int i = 0; i < length; i++) {
            int row = edge == TOP ? 0 : edge == BOTTOM ? s.h - 1 : i;
            int column = edge == LEFT ? 0 : edge == RIGHT ? s.w - 1 : i;

            memcpy(pixels + (size_t)b * stride + (size_t)(i + 2) * NST_BLOCK,
                   nst_cpu_row(a->gy, b, row) + (size_t)column * NST_BLOCK,
                   NST_BLOCK * sizeof *pixels);
        }
    for (int t = 0; t < 3; t++) {
        int tap = edge == TOP      ? t
                  : edge == BOTTOM ? 6 + t
                  : edge == LEFT   ? 3 * t
                                   : 3 * t + 2;

        a->cpu->kernels->gemm(
            &(struct nst_gemm){.n = (int)n,
                               .in = k->out,
                               .out = k->in,
                               .a = pixels + (size_t)(2 - t) * NST_BLOCK,
                               .a_stride = stride,
                               .w = nst_cpu_net_tap(k, tap),
                               .add = t > 0,
                               .c = grad,
                               .c_stride = n * NST_BLOCK});
    }
}

/* Item: a block. Add the edges to the pixels that they mirror; rows have the corners.
 */
static void add_edges(void *ctx, int b, int thread)
{
    const struct grad_args *a = ctx;
    struct nst_shape s = a->gy->shape;
    int zoom = a->k->kind == NST_NET_UP ? 2 : 1;

    (void)thread;
    for (int edge = 0; edge < EDGES; edge++) {
        bool is_row = edge == TOP || edge == BOTTOM;
        int length = is_row ? s.w : s.h, corner = is_row ? 1 : 0;
        int across = edge == TOP || edge == LEFT ? 1 : (is_row ? s.h : s.w) - 2;
        const float *grad = edge_grad(a, edge) + (size_t)b * (length + 2) * NST_BLOCK;

        for (int i = -corner; i < length + corner; i++) {
            int along = nst_reflected(i, length) / zoom;
            int row = is_row ? across / zoom : along;
            int column = is_row ? along : across / zoom;

            nst_cpu_add_pixel(grad + (i + 1) * NST_BLOCK,
                              nst_cpu_row(a->gx, b, row) + column * NST_BLOCK);
        }
    }
}

static void transform_inputs(const struct grad_args *a, int first, int n, float *v)
{
    const struct nst_winograd *winograd = &a->cpu->kernels->winograd[NST_WINOGRAD_4];
    size_t point = nst_cpu_net_point(a->k->out, a->group);

    for (int b = 0; b < a->k->out; b++)
        for (int t = 0; t < n; t++) {
            int i = (first + t) / a->tile_columns, j = (first + t) % a->tile_columns;

            winograd->input(nst_cpu_row(a->gy, b, TILE * i - 1) +
                                (TILE * j - 1) * NST_BLOCK,
                            nst_cpu_pitch(a->gy->shape), 0,
                            v + ((size_t)b * a->group + t) * NST_BLOCK, point);
        }
}

/* Write a tile, or add it, to the gradient: of a doubled map, the sums of 2 x 2. */
static void store_tile(const struct grad_args *a, int b, int top, int left,
                       const float pixels[TILE][TILE][NST_BLOCK])
{
    struct nst_shape s = a->gx->shape;
    int zoom = a->k->kind == NST_NET_UP ? 2 : 1;
    int rows = nst_cpu_min(TILE / zoom, s.h - top / zoom),
        columns = nst_cpu_min(TILE / zoom, s.w - left / zoom);

    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            float *to = nst_cpu_row(a->gx, b, top / zoom + i) +
                        (size_t)(left / zoom + j) * NST_BLOCK;

            if (!a->add)
                memset(to, 0, NST_BLOCK * sizeof *to);
            for (int q = 0; q < zoom * zoom; q++)
                nst_cpu_add_pixel(pixels[zoom * i + q / zoom][zoom * j + q % zoom], to);
        }
}

static void store_outputs(const struct grad_args *a, int first, int n, const float *m)
{
    const struct nst_winograd *winograd = &a->cpu->kernels->winograd[NST_WINOGRAD_4];
    struct nst_shape s = a->gx->shape;
    size_t point = nst_cpu_net_point(a->k->in, a->group);
    bool direct = a->k->kind == NST_NET_SAME && !a->add;

    for (int b = 0; b < a->k->in; b++)
        for (int t = 0; t < n; t++) {
            int top = (first + t) / a->tile_columns * TILE,
                left = (first + t) % a->tile_columns * TILE;
            const float *from = m + ((size_t)b * a->group + t) * NST_BLOCK;
            float pixels[TILE][TILE][NST_BLOCK];

            if (direct) {
                winograd->output(from, point, NULL, 0,
                                 nst_cpu_row(a->gx, b, top) + (size_t)left * NST_BLOCK,
                                 nst_cpu_pitch(s), nst_cpu_min(TILE, s.h - top),
                                 nst_cpu_min(TILE, s.w - left));
                continue;
            }
            winograd->output(from, point, NULL, 0, pixels[0][0],
                             (size_t)TILE * NST_BLOCK, TILE, TILE);
            store_tile(a, b, top, left, (const float(*)[TILE][NST_BLOCK])pixels);
        }
}

/* Item: a group of tiles. */
static void convolve_tiles(void *ctx, int item, int thread)
{
    const struct grad_args *a = ctx;
    const struct nst_net_grad *k = a->k;
    size_t matrix = (size_t)(k->in * k->out) * NST_BLOCK * NST_BLOCK;
    size_t from = nst_cpu_net_point(k->out, a->group),
           to = nst_cpu_net_point(k->in, a->group);
    float *v = a->cpu->tiles[thread], *m = v + POINTS * from;
    int first = item * a->group, n = nst_cpu_min(a->group, a->tiles - first);

    transform_inputs(a, first, n, v);
    for (size_t p = 0; p < POINTS; p++)
        a->cpu->kernels->gemm(
            &(struct nst_gemm){.n = n,
                               .in = k->out,
                               .out = k->in,
                               .a = v + p * from,
                               .a_stride = (size_t)a->group * NST_BLOCK,
                               .w = k->weight + p * matrix,
                               .c = m + p * to,
                               .c_stride = (size_t)a->group * NST_BLOCK});
    store_outputs(a, first, n, m);
}

void nst_cpu_net_grad_conv(struct nst_cpu *cpu, const struct nst_net_grad *k,
                           const struct nst_tensor *gy, struct nst_tensor *gx, bool add)
{
    struct grad_args a = {.cpu = cpu, .k = k, .gy = gy, .gx = gx, .add = add};

    a.tile_columns = nst_cpu_net_tiles(gy->shape.w);
    a.tiles = a.tile_columns * nst_cpu_net_tiles(gy->shape.h);
    a.group = group_tiles(cpu, k);
    nst_cpu_set_border(cpu, gy, NST_PADDING_ZERO);
    nst_threads_run(cpu->base.threads, EDGES, compute_edge, &a);
    nst_threads_run(cpu->base.threads, (a.tiles + a.group - 1) / a.group,
                    convolve_tiles, &a);
    nst_threads_run(cpu->base.threads, k->in, add_edges, &a);
}
