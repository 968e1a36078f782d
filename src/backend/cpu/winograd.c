/* SPDX-License-Identifier: MIT */
/*
 * winograd.c - 3x3 convolution and its gradient by Winograd's method, on groups of
 * tiles, with one of two schedules.
 *
 * Apart: a thread transforms the inputs of its tiles, multiplies at each of the
 * Winograd points and transforms back, all within its own cache.
 *
 * Together, where weights exceed the caches and tiles are few: all threads work on the
 * same tiles and divide the points, so that one thread reads each weight once for
 * many tiles.
 *
 * The result of a tile depends on neither the schedule nor the grouping. The backward
 * step (backward.c) processes the outputs of a group while they are in the cache.
 */
#include "config.h"

#include "backend/cpu/conv.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Limit in bytes for the transformed tiles of one thread. */
#define CACHE_BYTES ((size_t)1200 * 1024)
#define MAX_PANELS 4
/* Input x output blocks whose transformed weights threads share: 4 MiB, and 1 MiB if
 * the map has few tiles. */
#define SHARED_BLOCKS 112
#define SHARED_BLOCKS_FEW 32
/* Maximum tiles that threads share at a time. */
#define SHARED_TILES 112
/* GEMM items per thread that shares weights. */
#define ITEMS_PER_THREAD 8
/* Tiles per run in one row of tiles; with pooling each covers 8 pixels of a row. */
#define MAX_RUN (NST_CPU_BACKWARD_WIDTH / 8)

/* Forward or backward pass of a convolution. in and out count blocks of channels. */
struct pass {
    const struct nst_winograd *method;
    int in, out;
    float *weight; /* points x out x (16 in) x 16 */
};

struct nst_cpu_winograd {
    struct pass forward, backward;
};

/* Floats per point of v (or m): an odd number of cache lines, so that the points of a
 * tile do not fall on the same ones. */
static size_t point_floats(int blocks, int tiles)
{
    return ((size_t)blocks * tiles | 1) * NST_BLOCK;
}

/* Transformed inputs, and products, of a number of tiles. Backward, the outputs of each
 * tile overwrite the inputs. */
static size_t scratch_floats(const struct pass *d, int tiles)
{
    int tile = d->method->tile, points = d->method->points;
    size_t in = points * point_floats(d->in, tiles);
    size_t upstream = (size_t)d->out * tiles * tile * tile * NST_BLOCK;

    return (in > upstream ? in : upstream) + points * point_floats(d->out, tiles);
}

/* Tiles in a group of one thread: a multiple of the micro-kernel's. */
static int thread_tiles(const struct pass *d, int nr)
{
    size_t panel = (size_t)d->method->points * nr * (d->in + d->out) * NST_BLOCK * 4;
    int panels = (int)(CACHE_BYTES / panel);

    if (panels > MAX_PANELS)
        panels = MAX_PANELS;
    return nr * (panels < 1 ? 1 : panels);
}

static struct pass pass_of(const struct nst_cpu *cpu, int kind, int in, int out)
{
    return (struct pass){&cpu->kernels->winograd[kind], in, out, NULL};
}

static struct nst_cpu_scratch pass_scratch(const struct nst_cpu *cpu, int kind, int in,
                                           int out)
{
    struct pass d = pass_of(cpu, kind, in, out);
    struct nst_cpu_scratch s = {.tiles = 0};

    if (in * out < SHARED_BLOCKS)
        s.tiles = scratch_floats(&d, thread_tiles(&d, cpu->kernels->nr));
    if (in * out >= SHARED_BLOCKS_FEW)
        s.shared = scratch_floats(&d, SHARED_TILES);
    return s;
}

struct nst_cpu_scratch nst_cpu_winograd_scratch(const struct nst_cpu *cpu, int kind,
                                                int in, int out)
{
    struct nst_cpu_scratch forward = pass_scratch(cpu, kind, in, out),
                           backward = pass_scratch(cpu, kind, out, in),
                           sizes = nst_cpu_backward_scratch(
                               (in > out ? in : out) * NST_BLOCK, 1);

    sizes.tiles = forward.tiles > backward.tiles ? forward.tiles : backward.tiles;
    sizes.shared = forward.shared > backward.shared ? forward.shared : backward.shared;
    return sizes;
}

static size_t pass_floats(const struct pass *d)
{
    return (size_t)d->method->points * d->in * d->out * NST_BLOCK * NST_BLOCK;
}

size_t nst_cpu_winograd_floats(const struct nst_cpu *cpu, int kind, int in, int out)
{
    struct pass d = pass_of(cpu, kind, in, out);

    return 2 * pass_floats(&d);
}

/* Offset within a point of the weight from channel c to channel o. */
static size_t weight_at(const struct pass *d, int o, int c)
{
    return ((size_t)(o / NST_BLOCK) * d->in * NST_BLOCK + (size_t)c) * NST_BLOCK +
           (size_t)(o % NST_BLOCK);
}

static int min_int(int n, int limit)
{
    return n < limit ? n : limit;
}

struct weights {
    struct nst_cpu_winograd *w;
    const float *taps;
};

/* Transform the filters between a block of inputs and one of outputs. The data gradient
 * is a convolution with channels swapped and taps mirrored. */
static void transform_weights(void *ctx, int item, int thread)
{
    const struct weights *t = ctx;
    struct pass *forward = &t->w->forward, *backward = &t->w->backward;
    const struct nst_winograd *method = forward->method;
    size_t stride = (size_t)forward->in * forward->out * NST_BLOCK * NST_BLOCK;
    int first_o = item / forward->in * NST_BLOCK,
        first_c = item % forward->in * NST_BLOCK;
    float to[NST_BLOCK][NST_CPU_TAPS][NST_BLOCK],
        from[NST_BLOCK][NST_CPU_TAPS][NST_BLOCK];

    (void)thread;
    for (int k = 0; k < NST_CPU_TAPS; k++) {
        const float *g = nst_cpu_tap(t->taps, forward->in, forward->out, k, 0) +
                         weight_at(forward, first_o, first_c);

        for (int c = 0; c < NST_BLOCK; c++)
            for (int o = 0; o < NST_BLOCK; o++)
                to[c][k][o] = from[o][8 - k][c] = *g++;
    }
    for (int i = 0; i < NST_BLOCK; i++) {
        method->weight(to[i][0],
                       forward->weight + weight_at(forward, first_o, first_c + i),
                       stride);
        method->weight(from[i][0],
                       backward->weight + weight_at(backward, first_c, first_o + i),
                       stride);
    }
}

void nst_cpu_winograd_free(struct nst_cpu_winograd *w)
{
    if (!w)
        return;
    free(w->forward.weight);
    free(w->backward.weight);
    free(w);
}

enum nst_status nst_cpu_winograd_new(struct nst_cpu *cpu, struct nst_cpu_winograd **out,
                                     const struct nst_conv *k, int kind,
                                     struct nst_err *err)
{
    struct nst_cpu_winograd *w = nst_xcalloc(1, sizeof *w);
    struct weights t = {w, k->forward};
    enum nst_status st;

    *out = NULL;
    w->forward = pass_of(cpu, kind, k->in, k->out);
    w->backward = pass_of(cpu, kind, k->out, k->in);
    st = nst_floats_new(&w->forward.weight, pass_floats(&w->forward), 1, 1, err);
    if (st == NST_OK)
        st = nst_floats_new(&w->backward.weight, pass_floats(&w->backward), 1, 1, err);
    if (st != NST_OK) {
        nst_cpu_winograd_free(w);
        return st;
    }
    nst_threads_run(cpu->base.threads, k->in * k->out, transform_weights, &t);
    *out = w;
    return NST_OK;
}

struct conv_args {
    struct nst_cpu *cpu;
    const struct nst_conv *k;
    const struct pass *d;
    const struct nst_tensor *x;
    bool relu;
    struct nst_shape shape; /* of the output */
    int tile_columns, tiles;
    int group;                       /* tiles at a time: of one thread, or of all */
    const struct nst_cpu_output *y;  /* NULL backward */
    const struct nst_cpu_step *step; /* NULL forward */
};

/* count adjacent tiles of a group in one row of tiles: the first is tile at of the
 * group, in column column of row row. */
struct tile_run {
    int at, row, column, count;
};

/* Next run of the group of n tiles that starts at tile first. p is zero at first. */
static bool next_run(const struct conv_args *c, int first, int n, struct tile_run *p)
{
    int left;

    p->at += p->count;
    if (p->at >= n)
        return false;
    p->row = (first + p->at) / c->tile_columns;
    p->column = (first + p->at) % c->tile_columns;
    left = c->tile_columns - p->column;
    p->count = n - p->at < left ? n - p->at : left;
    if (p->count > MAX_RUN)
        p->count = MAX_RUN;
    return true;
}

/* Transform n tiles from tile first on, of blocks from to to - 1. */
static void transform_inputs(const struct conv_args *c, int from, int to, int first,
                             int n, float *v)
{
    const struct nst_winograd *method = c->d->method;
    size_t point = point_floats(c->d->in, c->group);
    size_t pitch = nst_cpu_pitch(c->x->shape), stride = nst_cpu_stride(c->x->shape);

    for (int b = from; b < to; b++)
        for (int t = 0; t < n; t++) {
            int i = (first + t) / c->tile_columns, j = (first + t) % c->tile_columns;

            method->input(
                nst_floats(c->x->data) + b * stride + method->tile * i * pitch +
                    (size_t)method->tile * j * NST_BLOCK,
                pitch, c->relu, v + ((size_t)b * c->group + t) * NST_BLOCK, point);
        }
}

/* Pool the outputs of a run in one block. */
static void pool_run(const struct conv_args *c, int b, const struct tile_run *p)
{
    struct nst_shape s = c->y->pooled->shape;
    int half = c->d->method->tile / 2, first = half * p->column;
    int n = min_int(half * p->count, s.w - first);
    int last = min_int(half * (p->row + 1), s.h);

    for (int r = half * p->row; n > 0 && r < last; r++)
        nst_cpu_pool_row(c->cpu, c->y, b, r, first, n);
}

/* Forward: the outputs of a run in one block, from m. */
static void store_output(const struct conv_args *c, int b, const struct tile_run *p,
                         const float *m)
{
    size_t point = point_floats(c->d->out, c->group);
    int tile = c->d->method->tile, rows = min_int(tile, c->shape.h - tile * p->row);

    m += ((size_t)b * c->group + (size_t)p->at) * NST_BLOCK;
    for (int t = 0; t < p->count; t++) {
        int j = tile * (p->column + t);

        c->d->method->output(
            m + (size_t)t * NST_BLOCK, point, c->k->bias + b * NST_BLOCK, c->y->relu,
            nst_cpu_row(c->y->y, b, tile * p->row) + (size_t)j * NST_BLOCK,
            nst_cpu_pitch(c->shape), rows, min_int(tile, c->shape.w - j));
    }
    if (c->y->pooled)
        pool_run(c, b, p);
}

/* Backward: outputs of n tiles in one block, from tile first on. upstream: out x tile
 * rows x n tiles of columns x 16 */
static void store_upstream(const struct conv_args *c, int b, int first, int n,
                           const float *m, float *upstream)
{
    int tile = c->d->method->tile;
    size_t point = point_floats(c->d->out, c->group);
    size_t row = (size_t)tile * c->group * NST_BLOCK;

    for (int t = 0; t < n; t++) {
        struct nst_cpu_patch p = {.block = b,
                                  .row = (first + t) / c->tile_columns * tile,
                                  .column = (first + t) % c->tile_columns * tile,
                                  .side = tile,
                                  .pixels = upstream + b * tile * row +
                                            (size_t)tile * t * NST_BLOCK,
                                  .stride = row};

        c->d->method->output(m + ((size_t)b * c->group + t) * NST_BLOCK, point, NULL, 0,
                             p.pixels, row, tile, tile);
        if (c->k->padding != NST_PADDING_ZERO)
            nst_cpu_border_grad_add(c->cpu, c->k, c->shape, &p);
    }
}

/* Backward: apply the backward step to row r of a run. */
static void backward_row(const struct conv_args *c, const struct tile_run *p, int r,
                         const float *upstream, float *scratch)
{
    int tile = c->d->method->tile, first = tile * p->column;
    size_t row = (size_t)tile * c->group * NST_BLOCK;

    if (tile * p->row + r >= c->shape.h)
        return;
    nst_cpu_backward_row(c->cpu, c->step,
                         upstream + r * row + (size_t)tile * p->at * NST_BLOCK,
                         tile * row, tile * p->row + r, first,
                         min_int(first + tile * p->count, c->shape.w), scratch);
}

/* GEMM at one point, for output blocks first to last - 1. */
static void multiply(const struct conv_args *c, int n, const float *v, int point,
                     int first, int last, float *m)
{
    const struct pass *d = c->d;
    size_t tiles = (size_t)c->group * NST_BLOCK;
    size_t block = (size_t)d->in * NST_BLOCK * NST_BLOCK;

    c->cpu->kernels->gemm(&(struct nst_gemm){
        .n = n,
        .in = d->in,
        .out = last - first,
        .a = v + point * point_floats(d->in, c->group),
        .a_stride = tiles,
        .w = d->weight + ((size_t)point * d->out + (size_t)first) * block,
        .c = m + point * point_floats(d->out, c->group) + (size_t)first * tiles,
        .c_stride = tiles});
}

/* The products follow the inputs, or the outputs that overwrite them. */
static float *gemm_output(const struct conv_args *c, float *v)
{
    return v + scratch_floats(c->d, c->group) -
           c->d->method->points * point_floats(c->d->out, c->group);
}

static void convolve_group(void *ctx, int item, int thread)
{
    const struct conv_args *c = ctx;
    const struct pass *d = c->d;
    float *v = c->cpu->tiles[thread], *m = gemm_output(c, v);
    int first = item * c->group, n = min_int(c->group, c->tiles - first);
    struct tile_run p = {0};

    transform_inputs(c, 0, d->in, first, n, v);
    for (int k = 0; k < d->method->points; k++)
        multiply(c, n, v, k, 0, d->out, m);
    for (int b = 0; c->step && b < d->out; b++)
        store_upstream(c, b, first, n, m, v);
    while (next_run(c, first, n, &p)) {
        for (int b = 0; !c->step && b < d->out; b++)
            store_output(c, b, &p, m);
        for (int r = 0; c->step && r < d->method->tile; r++)
            backward_row(c, &p, r, v, c->cpu->rows[thread]);
    }
}

/* An item is a group of tiles. Groups are nearly equal, as many for each thread. */
static void convolve_apart(struct conv_args *c)
{
    int threads = nst_threads_active(c->cpu->base.threads);
    int most = thread_tiles(c->d, c->cpu->kernels->nr) * threads;
    int groups = (c->tiles + most - 1) / most * threads;

    c->group = (c->tiles + groups - 1) / groups;
    nst_threads_run(c->cpu->base.threads, (c->tiles + c->group - 1) / c->group,
                    convolve_group, c);
}

/* All threads work on the same group of tiles. */
struct shared_tiles {
    const struct conv_args *c;
    int first, n;
    float *v, *m;
    int slice, slices; /* output blocks per slice; slices per point */
    int runs;
    struct tile_run run[SHARED_TILES];
};

/*
 * Output blocks per GEMM item. An item reads its weights as one stream, which the
 * kernels prefetch, and the inputs once. Several items per thread balance the load.
 */
static int slice(const struct conv_args *c)
{
    int items = ITEMS_PER_THREAD * nst_threads_active(c->cpu->base.threads);
    int blocks =
        c->d->method->points * c->d->out / items & ~1; /* even: kernels take pairs */

    return blocks < 2 ? 2 : min_int(blocks, c->d->out);
}

static void shared_inputs(void *ctx, int block, int thread)
{
    const struct shared_tiles *s = ctx;

    (void)thread;
    transform_inputs(s->c, block, block + 1, s->first, s->n, s->v);
}

static void shared_gemm(void *ctx, int item, int thread)
{
    const struct shared_tiles *s = ctx;
    int out = s->c->d->out, b = item % s->slices * s->slice;

    (void)thread;
    multiply(s->c, s->n, s->v, item / s->slices, b, min_int(b + s->slice, out), s->m);
}

static void shared_outputs(void *ctx, int block, int thread)
{
    const struct shared_tiles *s = ctx;

    (void)thread;
    if (s->c->step)
        store_upstream(s->c, block, s->first, s->n, s->m, s->v);
    else
        for (int i = 0; i < s->runs; i++)
            store_output(s->c, block, &s->run[i], s->m);
}

static void shared_backward(void *ctx, int item, int thread)
{
    const struct shared_tiles *s = ctx;

    int tile = s->c->d->method->tile;

    backward_row(s->c, &s->run[item / tile], item % tile, s->v,
                 s->c->cpu->rows[thread]);
}

static void convolve_together(struct conv_args *c)
{
    const struct pass *d = c->d;
    struct nst_threads *threads = c->cpu->base.threads;
    struct shared_tiles s = {.c = c, .v = c->cpu->shared, .slice = slice(c)};

    c->group = min_int(SHARED_TILES, c->tiles);
    s.m = gemm_output(c, s.v);
    s.slices = (d->out + s.slice - 1) / s.slice;
    for (int groups = (c->tiles + c->group - 1) / c->group; groups > 0; groups--) {
        struct tile_run p = {0};

        s.n = (c->tiles - s.first) / groups; /* sizes differ by at most 1 */
        for (s.runs = 0; next_run(c, s.first, s.n, &p); s.runs++)
            s.run[s.runs] = p;
        nst_threads_run(threads, d->in, shared_inputs, &s);
        nst_threads_run(threads, d->method->points * s.slices, shared_gemm, &s);
        nst_threads_run(threads, d->out, shared_outputs, &s);
        if (c->step)
            nst_threads_run(threads, d->method->tile * s.runs, shared_backward, &s);
        s.first += s.n;
    }
}

static void convolve(struct conv_args *c)
{
    int tile = c->d->method->tile, blocks = c->d->in * c->d->out;

    c->tile_columns = (c->shape.w + tile - 1) / tile;
    c->tiles = c->tile_columns * ((c->shape.h + tile - 1) / tile);
    if (blocks >= SHARED_BLOCKS ||
        (blocks >= SHARED_BLOCKS_FEW && c->tiles <= SHARED_TILES))
        convolve_together(c);
    else
        convolve_apart(c);
}

void nst_cpu_winograd_conv(struct nst_cpu *cpu, const struct nst_conv *k, int kind,
                           const struct nst_tensor *x, bool relu,
                           const struct nst_cpu_output *y)
{
    struct conv_args c = {.cpu = cpu,
                          .k = k,
                          .d = &k->winograd[kind]->forward,
                          .x = x,
                          .relu = relu,
                          .shape = y->y->shape,
                          .y = y};

    if (k->padding != NST_PADDING_ZERO)
        nst_cpu_set_border(cpu, x, k->padding);
    convolve(&c);
}

void nst_cpu_winograd_grad(struct nst_cpu *cpu, const struct nst_conv *k, int kind,
                           const struct nst_tensor *gy,
                           const struct nst_backward_step *step)
{
    struct nst_cpu_step j = nst_cpu_step_pack(cpu, step);
    struct conv_args c = {.cpu = cpu,
                          .k = k,
                          .d = &k->winograd[kind]->backward,
                          .x = gy,
                          .shape = gy->shape,
                          .step = &j};

    if (k->padding != NST_PADDING_ZERO) {
        nst_cpu_set_border(cpu, gy, NST_PADDING_ZERO);
        nst_cpu_border_grad(cpu, k, gy);
    }
    convolve(&c);
}
