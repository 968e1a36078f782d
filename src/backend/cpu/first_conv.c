/* SPDX-License-Identifier: MIT */
/*
 * first_conv.c - the first convolution, by im2col. Three channels would leave most of a
 * block empty. Instead, each pixel gets a patch: its 3 x 3 x 3 input values and a 1 for
 * the bias, padded to two blocks. The convolution is one GEMM. Its gradient is the
 * transposed GEMM, summed over overlapping patches (col2im). Tiles fit in the cache.
 */
#include "config.h"

#include "backend/cpu/layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define TAPS 9
#define PATCH_BLOCKS 2 /* blocks per patch */
/* Index of the RGB of tap t (row by row) in a patch; none crosses a block boundary. */
#define TAP_INDEX(t) (3 * (t) + ((t) > 4))
#define BIAS_INDEX 15 /* index of the 1 */

/* Tile of the map; it reads a halo of one pixel. */
#define TILE_WIDTH 56
#define TILE_HEIGHT 8
/* Tile of the gradient; it needs one more column of patches on each side. */
#define GRAD_TILE_WIDTH (TILE_WIDTH - 2)
#define GRAD_TILE_HEIGHT 32
#define ROW_FLOATS (3 * (TILE_WIDTH + 2)) /* floats per input row of a tile */

#define BLOCK_AREA ((size_t)NST_BLOCK * NST_BLOCK)

typedef float vec4 __attribute__((vector_size(16), aligned(4)));

struct nst_cpu_first_conv_weights {
    const struct nst_normalisation *picture;
    int out;         /* blocks */
    float *forward;  /* out x (16 PATCH_BLOCKS) x 16 */
    float *backward; /* PATCH_BLOCKS x (16 out) x 16 */
};

void nst_cpu_first_conv_free(struct nst_cpu_first_conv_weights *p)
{
    if (!p)
        return;
    free(p->forward);
    free(p->backward);
    free(p);
}

/* Store the weights of filter o; weight is RGB x 3 x 3. */
static void set_filter(struct nst_cpu_first_conv_weights *p, int o, const float *weight,
                       float bias)
{
    float *forward = p->forward + (size_t)(o / NST_BLOCK) * PATCH_BLOCKS * BLOCK_AREA +
                     o % NST_BLOCK;

    forward[BIAS_INDEX * NST_BLOCK] = bias;
    for (int k = 0; k < 3; k++)
        for (int t = 0; t < TAPS; t++) {
            int i = TAP_INDEX(t) + k;
            size_t row = (size_t)(i / NST_BLOCK) * p->out * NST_BLOCK + (size_t)o;

            forward[i * NST_BLOCK] = weight[k * TAPS + t];
            p->backward[row * NST_BLOCK + (size_t)(i % NST_BLOCK)] =
                weight[k * TAPS + t];
        }
}

enum nst_status nst_cpu_first_conv_new(struct nst_cpu_first_conv_weights **out,
                                       const struct nst_filters *f, struct nst_err *err)
{
    struct nst_cpu_first_conv_weights *p = nst_xcalloc(1, sizeof *p);
    enum nst_status st;

    *out = NULL;
    p->picture = f->picture;
    p->out = nst_cpu_blocks(f->cout);
    st = nst_floats_new(&p->forward, (size_t)p->out, PATCH_BLOCKS, BLOCK_AREA, err);
    if (st == NST_OK)
        st =
            nst_floats_new(&p->backward, (size_t)p->out, PATCH_BLOCKS, BLOCK_AREA, err);
    if (st != NST_OK) {
        nst_cpu_first_conv_free(p);
        return st;
    }
    for (int o = 0; o < f->cout; o++)
        set_filter(p, o, f->weight + (size_t)o * 3 * TAPS, f->bias[o]);
    *out = p;
    return NST_OK;
}

struct conv_args {
    const struct nst_cpu *cpu;
    const struct nst_cpu_first_conv_weights *p;
    const struct nst_tensor *map;
    const float *picture; /* forward */
    float *gradient;      /* backward */
    bool relu;
    int tile_columns; /* tiles per row of tiles */
};

static int min_int(int n, int limit)
{
    return n < limit ? n : limit;
}

/* Read n normalised pixels of a row from column first, interleaved; zeros outside. */
static void read_row(const struct conv_args *c, int row, int first, int n, float *line)
{
    struct nst_shape s = c->map->shape;
    size_t area = nst_shape_area(s);

    memset(line, 0, (size_t)n * 3 * sizeof *line);
    if (row < 0 || row >= s.h)
        return;
    for (int k = 0; k < 3; k++) {
        const float *x = c->picture + k * area + (size_t)row * s.w;
        float mean = c->p->picture->mean[k], scale = 1 / c->p->picture->deviation[k];

        for (int j = first < 0 ? -first : 0; j < n && first + j < s.w; j++)
            line[3 * j + k] = (x[first + j] - mean) * scale;
    }
}

/* Patches of one row of n pixels, from its three input rows. */
static void im2col_row(const float (*line)[ROW_FLOATS], int n,
                       float (*patch)[TILE_WIDTH][NST_BLOCK])
{
    for (int j = 0; j < n; j++) {
        const float *l0 = &line[0][3 * j], *l1 = &line[1][3 * j], *l2 = &line[2][3 * j];

        memcpy(&patch[0][j][TAP_INDEX(0)], l0, 9 * sizeof *l0);
        memcpy(&patch[0][j][TAP_INDEX(3)], l1, 6 * sizeof *l1);
        patch[0][j][BIAS_INDEX] = 1;
        memcpy(&patch[1][j][TAP_INDEX(5) - NST_BLOCK], l1 + 6, 3 * sizeof *l1);
        memcpy(&patch[1][j][TAP_INDEX(6) - NST_BLOCK], l2, 9 * sizeof *l2);
    }
}

static void conv_tile(void *ctx, int item, int thread)
{
    const struct conv_args *c = ctx;
    struct nst_shape s = c->map->shape;
    int top = item / c->tile_columns * TILE_HEIGHT,
        left = item % c->tile_columns * TILE_WIDTH;
    int rows = min_int(TILE_HEIGHT, s.h - top), n = min_int(TILE_WIDTH, s.w - left);
    float line[TILE_HEIGHT + 2][ROW_FLOATS],
        patch[PATCH_BLOCKS][TILE_WIDTH][NST_BLOCK] = {{{0}}};

    (void)thread;
    for (int r = 0; r < rows + 2; r++)
        read_row(c, top + r - 1, left - 1, n + 2, line[r]);
    for (int r = 0; r < rows; r++) {
        float *y = nst_cpu_row(c->map, 0, top + r) + (size_t)left * NST_BLOCK;
        size_t stride = nst_cpu_stride(s);

        im2col_row(&line[r], n, patch);
        c->cpu->kernels->gemm(n, PATCH_BLOCKS, c->p->out, patch[0][0],
                              TILE_WIDTH * NST_BLOCK, false, c->p->forward, y, stride);
        for (int b = 0; c->relu && b < c->p->out; b++)
            c->cpu->kernels->relu(n, y + b * stride);
    }
}

void nst_cpu_first_conv(struct nst_backend *be, const struct nst_conv *k,
                        const struct nst_buffer *rgb, struct nst_tensor *y,
                        bool out_relu)
{
    struct conv_args c = {.cpu = (struct nst_cpu *)be,
                          .p = k->first_conv,
                          .map = y,
                          .picture = nst_const_floats(rgb),
                          .relu = out_relu,
                          .tile_columns = (y->shape.w + TILE_WIDTH - 1) / TILE_WIDTH};

    nst_threads_run(be->threads,
                    c.tile_columns * ((y->shape.h + TILE_HEIGHT - 1) / TILE_HEIGHT),
                    conv_tile, &c);
}

typedef float patch_row[PATCH_BLOCKS][TILE_WIDTH][NST_BLOCK];

/* Tap t of the patch whose first block is at p. */
static inline vec4 tap(const float *p, int t)
{
    return *(const vec4 *)(p + (t > 4 ? (TILE_WIDTH - 1) * NST_BLOCK : 0) +
                           TAP_INDEX(t));
}

/* Gradient of n pixels of picture row r: the sum over the patches of three rows. row[u]
 * holds the patches that read row r with row u of the filter; it starts one pixel
 * further left. */
static void col2im_row(const struct conv_args *c, patch_row *const row[3], int r,
                       int left, int n)
{
    size_t area = nst_shape_area(c->map->shape);
    float *to = c->gradient + (size_t)r * c->map->shape.w + left;
    const float *p0 = (*row[0])[0][0], *p1 = (*row[1])[0][0], *p2 = (*row[2])[0][0];
    vec4 scale = {0};

    for (int k = 0; k < 3; k++)
        scale[k] = 1 / c->p->picture->deviation[k];
    for (int j = 0; j < n; j++, p0 += NST_BLOCK, p1 += NST_BLOCK, p2 += NST_BLOCK) {
        vec4 a = tap(p0 + 2 * NST_BLOCK, 0) + tap(p0 + NST_BLOCK, 1) + tap(p0, 2);
        vec4 b = tap(p1 + 2 * NST_BLOCK, 3) + tap(p1 + NST_BLOCK, 4) + tap(p1, 5);
        vec4 sum = tap(p2 + 2 * NST_BLOCK, 6) + tap(p2 + NST_BLOCK, 7) + tap(p2, 8);

        sum = (a + b + sum) * scale;
        to[j] = sum[0];
        to[area + (size_t)j] = sum[1];
        to[2 * area + (size_t)j] = sum[2];
    }
}

/* The padding of the map is zero, so pixels outside add nothing. */
static void col2im_tile(void *ctx, int item, int thread)
{
    const struct conv_args *c = ctx;
    struct nst_shape s = c->map->shape;
    int top = item / c->tile_columns * GRAD_TILE_HEIGHT,
        left = item % c->tile_columns * GRAD_TILE_WIDTH;
    int end = top + min_int(GRAD_TILE_HEIGHT, s.h - top);
    int n = min_int(GRAD_TILE_WIDTH, s.w - left);
    patch_row ring[3];

    (void)thread;
    for (int r = top - 1; r <= end; r++) {
        patch_row *const row[3] = {&ring[(r + 3) % 3], &ring[(r + 2) % 3],
                                   &ring[(r + 1) % 3]};

        c->cpu->kernels->gemm(n + 2, c->p->out, PATCH_BLOCKS,
                              nst_cpu_row(c->map, 0, r) + (left - 1) * NST_BLOCK,
                              nst_cpu_stride(s), false, c->p->backward, (*row[0])[0][0],
                              TILE_WIDTH * NST_BLOCK);
        if (r > top)
            col2im_row(c, row, r - 1, left, n);
    }
}

void nst_cpu_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                             const struct nst_tensor *gy, struct nst_buffer *rgb)
{
    struct conv_args c = {.cpu = (struct nst_cpu *)be,
                          .p = k->first_conv,
                          .map = gy,
                          .gradient = nst_floats(rgb),
                          .tile_columns =
                              (gy->shape.w + GRAD_TILE_WIDTH - 1) / GRAD_TILE_WIDTH};

    nst_threads_run(be->threads,
                    c.tile_columns *
                        ((gy->shape.h + GRAD_TILE_HEIGHT - 1) / GRAD_TILE_HEIGHT),
                    col2im_tile, &c);
}
