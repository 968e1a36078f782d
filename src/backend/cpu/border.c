/* SPDX-License-Identifier: MIT */
/*
 * border.c - padding around maps, and its gradient.
 *
 * A convolution reads one pixel beyond each border. In the gradient these pixels add to
 * those that stand for them. Their gradient is a product of three taps with the
 * outermost row or column of the upstream gradient, one product for each of four edges.
 * Rows include the corners.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/conv.h"

/* Pixels of half a border that one thread sets faster than it wakes another. */
#define SERIAL_PIXELS 512

enum { TOP, BOTTOM, LEFT, RIGHT, EDGES };

struct border_args {
    struct nst_cpu *cpu;
    const struct nst_conv *k;
    const struct nst_tensor *map;
    enum nst_padding padding;
};

/* Set a pixel of a block to the one that stands for it, or to zeros. */
static void set_pixel(const struct nst_tensor *t, int b, int row, int column,
                      enum nst_padding padding)
{
    int r = nst_padded_index(row, t->shape.h, padding);
    int c = nst_padded_index(column, t->shape.w, padding);
    float *to = nst_cpu_row(t, b, row) + column * NST_BLOCK;

    if (r < 0 || c < 0)
        memset(to, 0, NST_BLOCK * sizeof *to);
    else
        memcpy(to, nst_cpu_row(t, b, r) + c * NST_BLOCK, NST_BLOCK * sizeof *to);
}

static void set_block(void *ctx, int b, int thread)
{
    const struct border_args *a = ctx;
    int h = a->map->shape.h, w = a->map->shape.w;

    (void)thread;
    for (int j = -1; j <= w; j++) {
        set_pixel(a->map, b, -1, j, a->padding);
        set_pixel(a->map, b, h, j, a->padding);
    }
    for (int i = 0; i < h; i++) {
        set_pixel(a->map, b, i, -1, a->padding);
        set_pixel(a->map, b, i, w, a->padding);
    }
}

void nst_cpu_set_border(struct nst_cpu *cpu, const struct nst_tensor *t,
                        enum nst_padding padding)
{
    struct border_args a = {.cpu = cpu, .map = t, .padding = padding};
    int blocks = nst_cpu_blocks(t->shape.c);

    if (blocks * (t->shape.h + t->shape.w) > SERIAL_PIXELS)
        nst_threads_run(cpu->base.threads, blocks, set_block, &a);
    else
        for (int b = 0; b < blocks; b++)
            set_block(&a, b, 0);
}

static size_t edge_floats(int blocks, int height, int width)
{
    return (size_t)blocks * (size_t)(height > width ? height : width) * NST_BLOCK;
}

/* Of each edge: the gradient, and the pixels for its three taps. */
struct nst_cpu_scratch nst_cpu_border_scratch(int in, int out, int height, int width)
{
    return (struct nst_cpu_scratch){
        .borders = EDGES * edge_floats(in + 3 * out, height, width)};
}

static int edge_pixels(struct nst_shape map, int edge)
{
    return edge == TOP || edge == BOTTOM ? map.w : map.h;
}

/* The gradient of an edge: in x pixels x 16 */
static float *edge_grad(const struct nst_cpu *cpu, const struct nst_conv *k,
                        struct nst_shape map, int edge)
{
    return cpu->borders + edge * edge_floats(k->in, map.h, map.w);
}

/* The pixels that tap t, 0 to 2 along the edge, reads: out x pixels x 16 */
static float *edge_input(const struct nst_cpu *cpu, const struct nst_conv *k,
                         struct nst_shape map, int edge, int t)
{
    return edge_grad(cpu, k, map, EDGES) +
           (3 * edge + t) * edge_floats(k->out, map.h, map.w);
}

/* Item: one tap of one edge. Pixels that stand for corners read them as well, in the
 * rows. */
static void gather_tap(void *ctx, int item, int thread)
{
    const struct border_args *a = ctx;
    struct nst_shape s = a->map->shape;
    int edge = item / 3, t = item % 3, n = edge_pixels(s, edge);
    bool row = edge == TOP || edge == BOTTOM;
    int outermost = edge == BOTTOM ? s.h - 1 : edge == RIGHT ? s.w - 1 : 0;
    float *to = edge_input(a->cpu, a->k, s, edge, t);

    (void)thread;
    memset(to, 0, (size_t)a->k->out * n * NST_BLOCK * sizeof *to);
    for (int i = 0; i < n; i++) {
        int from[2], count;

        count = nst_padded_readers(i, t, n, row ? a->padding : NST_PADDING_ZERO, from);
        for (int b = 0; b < a->k->out; b++)
            for (int f = 0; f < count; f++)
                nst_cpu_add_pixel(
                    row ? nst_cpu_row(a->map, b, outermost) + from[f] * NST_BLOCK
                        : nst_cpu_row(a->map, b, from[f]) + outermost * NST_BLOCK,
                    to + ((size_t)b * n + i) * NST_BLOCK);
    }
}

/* Item: two blocks of one edge's gradient. */
static void multiply_edge(void *ctx, int item, int thread)
{
    const struct border_args *a = ctx;
    const struct nst_conv *k = a->k;
    struct nst_shape s = a->map->shape;
    int edge = item % EDGES, first = item / EDGES * 2;
    size_t n = (size_t)edge_pixels(s, edge);

    (void)thread;
    for (int t = 0; t < 3; t++) {
        int tap = edge == TOP      ? t
                  : edge == BOTTOM ? 6 + t
                  : edge == LEFT   ? 3 * t
                                   : 3 * t + 2;

        a->cpu->kernels->gemm(&(struct nst_gemm){
            .n = (int)n,
            .in = k->out,
            .out = k->in - first < 2 ? 1 : 2,
            .a = edge_input(a->cpu, k, s, edge, t),
            .a_stride = n * NST_BLOCK,
            .w = nst_cpu_tap(k->backward, k->out, k->in, tap, first),
            .add = t > 0,
            .c = edge_grad(a->cpu, k, s, edge) + (size_t)first * n * NST_BLOCK,
            .c_stride = n * NST_BLOCK});
    }
}

/* Item: a whole edge. Two threads get two each, of both lengths. */
static void compute_edge(void *ctx, int item, int thread)
{
    static const int order[EDGES] = {TOP, LEFT, BOTTOM, RIGHT};
    const struct border_args *a = ctx;

    for (int t = 0; t < 3; t++)
        gather_tap(ctx, 3 * order[item] + t, thread);
    for (int pair = 0; 2 * pair < a->k->in; pair++)
        multiply_edge(ctx, EDGES * pair + order[item], thread);
}

void nst_cpu_border_grad(struct nst_cpu *cpu, const struct nst_conv *k,
                         const struct nst_tensor *gy)
{
    struct nst_threads *threads = cpu->base.threads;
    struct border_args a = {cpu, k, gy, k->padding};

    if (nst_threads_active(threads) <= EDGES) { /* once is faster to wait for */
        nst_threads_run(threads, EDGES, compute_edge, &a);
        return;
    }
    nst_threads_run(threads, EDGES * 3, gather_tap, &a);
    nst_threads_run(threads, EDGES * ((k->in + 1) / 2), multiply_edge, &a);
}

void nst_cpu_border_grad_add(const struct nst_cpu *cpu, const struct nst_conv *k,
                             struct nst_shape map, const struct nst_cpu_patch *p)
{
    for (int edge = 0; edge < EDGES; edge++) {
        bool is_row = edge == TOP || edge == BOTTOM;
        int n = edge_pixels(map, edge), across = is_row ? map.h : map.w;
        /* the line that stands for the edge, and the first pixel along it */
        int line = nst_padded_index(edge == TOP || edge == LEFT ? -1 : across, across,
                                    k->padding) -
                   (is_row ? p->row : p->column);
        int first = is_row ? p->column : p->row;
        const float *from = edge_grad(cpu, k, map, edge) +
                            ((size_t)p->block * n + (size_t)first) * NST_BLOCK;

        if (line < 0 || line >= p->side)
            continue;
        for (int i = 0; i < p->side && first + i < n; i++, from += NST_BLOCK)
            nst_cpu_add_pixel(from, p->pixels + (is_row ? line : i) * p->stride +
                                        (is_row ? i : line) * NST_BLOCK);
    }
}
