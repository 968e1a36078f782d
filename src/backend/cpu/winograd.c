/* SPDX-License-Identifier: MIT */
/*
 * winograd.c - 3x3 convolution and its gradient as Winograd's F(4x4, 3x3), some tiles
 * at a time, in one of two schedules.
 *
 * Narrow layers: a thread transforms the inputs of its tiles, multiplies at each of the
 * 36 places, and transforms back, all within its own cache.
 *
 * Wide layers, whose weights are larger than any cache and whose maps are small: all
 * threads work on the same tiles, and share out the places, so that each weight is read
 * once for many tiles, by one thread.
 *
 * What comes out for a tile depends on neither the schedule nor the grouping.
 */
#include "config.h"

#include "backend/cpu/cpu.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PLACES NST_WINOGRAD_PLACES
#define TILE NST_WINOGRAD_TILE

/* Bytes that the transformed tiles of one thread should stay within. */
#define CACHE_BYTES ((size_t)1200 * 1024)
#define MOST_PANELS 4
/* Blocks in x blocks out from which a layer is wide: 4 MiB of transformed weights. */
#define WIDE 112
#define WIDE_PANELS 8

/* One direction of a convolution: in and out count blocks of channels. */
struct direction {
    int in, out;
    bool wide;     /* which schedule */
    int tiles;     /* that a thread, or all of them together, work on at once */
    float *weight; /* 36 places x out x (16 in) x 16 */
};

struct nst_conv {
    struct direction forward, backward;
    float *bias; /* whole blocks */
};

/* One line of G g (Lavin and Gray 2016, section 4.3). */
static void weight_line(const double g[3], double t[6])
{
    t[0] = g[0] / 4;
    t[1] = -(g[0] + g[1] + g[2]) / 6;
    t[2] = -(g[0] - g[1] + g[2]) / 6;
    t[3] = g[0] / 24 + g[1] / 12 + g[2] / 6;
    t[4] = g[0] / 24 - g[1] / 12 + g[2] / 6;
    t[5] = g[2];
}

/* G g G' of nine taps, place k to u[k * stride] */
static void transform_taps(const float g[9], float *u, size_t stride)
{
    double t[3][6], line[6], row[3];

    for (int v = 0; v < 3; v++) {
        for (int i = 0; i < 3; i++)
            row[i] = g[3 * i + v];
        weight_line(row, t[v]);
    }
    for (int i = 0; i < 6; i++) {
        for (int v = 0; v < 3; v++)
            row[v] = t[v][i];
        weight_line(row, line);
        for (int j = 0; j < 6; j++)
            u[(size_t)(6 * i + j) * stride] = (float)line[j];
    }
}

/* Floats of one place of v (or m): an odd number of cache lines, so that the 36 places
 * of a tile do not fall on the same ones. */
static size_t place_floats(int blocks, int tiles)
{
    return ((size_t)blocks * tiles | 1) * NST_BLOCK;
}

static size_t scratch_floats(const struct direction *d)
{
    return PLACES * (place_floats(d->in, d->tiles) + place_floats(d->out, d->tiles));
}

static void choose_tiles(struct direction *d, int columns)
{
    size_t panel = (size_t)PLACES * columns * (d->in + d->out) * NST_BLOCK * 4;
    int panels = (int)(CACHE_BYTES / panel);

    d->wide = d->in * d->out >= WIDE;
    if (d->wide)
        panels = WIDE_PANELS;
    else if (panels > MOST_PANELS)
        panels = MOST_PANELS;
    d->tiles = columns * (panels < 1 ? 1 : panels);
}

static enum nst_status direction_init(struct nst_cpu *cpu, struct direction *d, int cin,
                                      int cout, struct nst_err *err)
{
    enum nst_status st;

    d->in = nst_cpu_blocks(cin);
    d->out = nst_cpu_blocks(cout);
    choose_tiles(d, cpu->kernels->columns);
    st = d->wide ? nst_cpu_want_shared(cpu, scratch_floats(d), err)
                 : nst_cpu_want_scratch(cpu, scratch_floats(d), err);
    if (st != NST_OK)
        return st;
    return nst_floats_new(&d->weight, PLACES, (size_t)d->in * d->out,
                          NST_BLOCK * NST_BLOCK, err);
}

/* Where channel o's weight for channel c stands within a place. */
static size_t weight_at(const struct direction *d, int o, int c)
{
    return ((size_t)(o / NST_BLOCK) * d->in * NST_BLOCK + (size_t)c) * NST_BLOCK +
           (size_t)(o % NST_BLOCK);
}

/* The data gradient is the convolution with channels swapped and taps mirrored. */
static void transform_weights(struct nst_conv *k, const float *weight, int cin,
                              int cout, int threads)
{
    size_t stride = (size_t)k->forward.in * k->forward.out * NST_BLOCK * NST_BLOCK;

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int o = 0; o < cout; o++)
        for (int c = 0; c < cin; c++) {
            const float *g = weight + 9 * ((size_t)o * cin + c);
            float mirrored[9];

            for (int t = 0; t < 9; t++)
                mirrored[t] = g[8 - t];
            transform_taps(g, k->forward.weight + weight_at(&k->forward, o, c), stride);
            if (k->backward.weight)
                transform_taps(mirrored,
                               k->backward.weight + weight_at(&k->backward, c, o),
                               stride);
        }
}

void nst_cpu_conv_free(struct nst_backend *be, struct nst_conv *k)
{
    (void)be;
    if (!k)
        return;
    free(k->forward.weight);
    free(k->backward.weight);
    free(k->bias);
    free(k);
}

enum nst_status nst_cpu_conv_new(struct nst_backend *be, struct nst_conv **out,
                                 const float *weight, const float *bias, int cin,
                                 int cout, bool gradient, struct nst_err *err)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    struct nst_conv *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st;

    *out = NULL;
    st = direction_init(cpu, &k->forward, cin, cout, err);
    if (st == NST_OK && gradient)
        st = direction_init(cpu, &k->backward, cout, cin, err);
    if (st == NST_OK)
        st = nst_floats_new(&k->bias, (size_t)k->forward.out, NST_BLOCK, 1, err);
    if (st != NST_OK) {
        nst_cpu_conv_free(be, k);
        return st;
    }
    memcpy(k->bias, bias, (size_t)cout * sizeof *bias);
    transform_weights(k, weight, cin, cout, be->threads);
    *out = k;
    return NST_OK;
}

/* What one call works on. */
struct call {
    const struct nst_cpu *cpu;
    const struct direction *d;
    const struct nst_tensor *x;
    struct nst_tensor *y;
    const float *bias;
    bool relu, out_relu;
    int tile_columns; /* tiles in a row of tiles */
};

/* n tiles from the first on, of some of the blocks. */
static void transform_inputs(const struct call *c, int from, int to, int first, int n,
                             float *v)
{
    size_t place = place_floats(c->d->in, c->d->tiles);
    size_t pitch = nst_cpu_pitch(c->x->shape), stride = nst_cpu_stride(c->x->shape);

    for (int b = from; b < to; b++)
        for (int t = 0; t < n; t++) {
            int i = (first + t) / c->tile_columns, j = (first + t) % c->tile_columns;

            c->cpu->kernels->winograd_input(
                c->x->data + b * stride + TILE * i * pitch +
                    (size_t)TILE * j * NST_BLOCK,
                pitch, c->relu, v + ((size_t)b * c->d->tiles + t) * NST_BLOCK, place);
        }
}

static void transform_outputs(const struct call *c, int from, int to, int first, int n,
                              const float *m)
{
    size_t place = place_floats(c->d->out, c->d->tiles);
    struct nst_shape s = c->y->shape;

    for (int b = from; b < to; b++)
        for (int t = 0; t < n; t++) {
            int i = (first + t) / c->tile_columns, j = (first + t) % c->tile_columns;
            int rows = s.h - TILE * i, columns = s.w - TILE * j;

            c->cpu->kernels->winograd_output(
                m + ((size_t)b * c->d->tiles + t) * NST_BLOCK, place,
                c->bias ? c->bias + b * NST_BLOCK : NULL, c->out_relu,
                nst_cpu_row(c->y, b, TILE * i) + (size_t)TILE * j * NST_BLOCK,
                nst_cpu_pitch(s), rows < TILE ? rows : TILE,
                columns < TILE ? columns : TILE);
        }
}

/* Multiply at one place, for some of the blocks put out. */
static void multiply(const struct call *c, int n, const float *v, int place, int first,
                     int last, float *m)
{
    const struct direction *d = c->d;
    size_t tiles = (size_t)d->tiles * NST_BLOCK;
    size_t block = (size_t)d->in * NST_BLOCK * NST_BLOCK;

    c->cpu->kernels->product(
        n, d->in, last - first, v + place * place_floats(d->in, d->tiles), tiles, false,
        d->weight + ((size_t)place * d->out + (size_t)first) * block,
        m + place * place_floats(d->out, d->tiles) + (size_t)first * tiles, tiles,
        false);
}

static void convolve_narrow(const struct call *c, int tiles)
{
    const struct direction *d = c->d;
    /* 20 microseconds of multiplication are not worth waking threads for. */
    int threads = (long)tiles * d->in * d->out > 256 ? c->cpu->base.threads : 1;
    int share = (tiles + threads - 1) / threads;
    int size = share < d->tiles ? share : d->tiles;
    int groups = (tiles + size - 1) / size;

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int g = 0; g < groups; g++) {
        float *v = c->cpu->scratch[omp_get_thread_num()];
        float *m = v + PLACES * place_floats(d->in, d->tiles);
        int first = g * size, n = tiles - first < size ? tiles - first : size;

        transform_inputs(c, 0, d->in, first, n, v);
        for (int k = 0; k < PLACES; k++)
            multiply(c, n, v, k, 0, d->out, m);
        transform_outputs(c, 0, d->out, first, n, m);
    }
}

static void convolve_wide(const struct call *c, int tiles)
{
    enum { PAIR = 2 }; /* blocks put out that the inner loops take together */
    const struct direction *d = c->d;
    float *v = c->cpu->shared, *m = v + PLACES * place_floats(d->in, d->tiles);
    int pairs = (d->out + PAIR - 1) / PAIR;

#pragma omp parallel num_threads(c->cpu->base.threads)
    for (int first = 0; first < tiles; first += d->tiles) {
        int n = tiles - first < d->tiles ? tiles - first : d->tiles;

#pragma omp for schedule(static)
        for (int b = 0; b < d->in; b++)
            transform_inputs(c, b, b + 1, first, n, v);
#pragma omp for schedule(static)
        for (int i = 0; i < PLACES * pairs; i++) {
            int b = i % pairs * PAIR;

            multiply(c, n, v, i / pairs, b, b + PAIR < d->out ? b + PAIR : d->out, m);
        }
#pragma omp for schedule(static)
        for (int b = 0; b < d->out; b++)
            transform_outputs(c, b, b + 1, first, n, m);
    }
}

static void convolve(const struct call *c)
{
    int tiles = c->tile_columns * nst_cpu_tiles(c->y->shape.h);

    if (c->d->wide)
        convolve_wide(c, tiles);
    else
        convolve_narrow(c, tiles);
}

void nst_cpu_conv(struct nst_backend *be, const struct nst_conv *k,
                  const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                  bool out_relu)
{
    struct call c = {
        (struct nst_cpu *)be,     &k->forward, x, y, k->bias, relu, out_relu,
        nst_cpu_tiles(x->shape.w)};

    convolve(&c);
}

void nst_cpu_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_tensor *gy, struct nst_tensor *gx)
{
    struct call c = {
        (struct nst_cpu *)be,      &k->backward, gy, gx, NULL, false, false,
        nst_cpu_tiles(gy->shape.w)};

    convolve(&c);
}
