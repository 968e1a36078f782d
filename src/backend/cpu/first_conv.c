/* SPDX-License-Identifier: MIT */
/*
 * first_conv.c - the first convolution, by im2col. Three channels would leave most of a
 * block empty. Instead, each pixel gets a patch: its 3 x 3 x 3 input values and a 1 for
 * the bias, padded to two blocks. The convolution is one GEMM. Its gradient is the
 * transposed GEMM, summed over overlapping patches (col2im). Tiles fit in the cache.
 */
#include "config.h"

#include "backend/cpu/conv.h"

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
/* Largest tile of the gradient; it needs one more column of patches on each side. */
#define GRAD_TILE_WIDTH (TILE_WIDTH - 2)
#define GRAD_TILE_HEIGHT 32
#define ROW_FLOATS (3 * (TILE_WIDTH + 2)) /* floats per input row of a tile */

#define BLOCK_AREA ((size_t)NST_BLOCK * NST_BLOCK)

typedef float vec4 __attribute__((vector_size(16), aligned(4)));

struct nst_cpu_first_conv_weights {
    const struct nst_normalisation *picture;
    enum nst_padding padding;
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
    p->padding = f->padding;
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
    int tile_columns, tile_rows;
};

static int min_int(int n, int limit)
{
    return n < limit ? n : limit;
}

/* Read n normalised pixels of a row from column first, interleaved; padding outside. */
static void read_row(const struct conv_args *c, int row, int first, int n, float *line)
{
    struct nst_shape s = c->map->shape;
    size_t area = nst_shape_area(s);
    int left = nst_padded_index(first, s.w, c->p->padding);
    int right = nst_padded_index(first + n - 1, s.w, c->p->padding);

    row = nst_padded_index(row, s.h, c->p->padding);
    memset(line, 0, (size_t)n * 3 * sizeof *line);
    for (int k = 0; row >= 0 && k < 3; k++) {
        const float *x = c->picture + k * area + (size_t)row * s.w;
        float mean = c->p->picture->mean[k], scale = 1 / c->p->picture->deviation[k];

        for (int j = 1; j < n - 1; j++)
            line[3 * j + k] = (x[first + j] - mean) * scale;
        if (left >= 0)
            line[k] = (x[left] - mean) * scale;
        if (right >= 0)
            line[3 * (n - 1) + k] = (x[right] - mean) * scale;
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
        c->cpu->kernels->gemm(&(struct nst_gemm){.n = n,
                                                 .in = PATCH_BLOCKS,
                                                 .out = c->p->out,
                                                 .a = patch[0][0],
                                                 .a_stride = TILE_WIDTH * NST_BLOCK,
                                                 .w = c->p->forward,
                                                 .c = y,
                                                 .c_stride = stride});
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

/* Columns of a tile, and the patches that read one of its rows: patch[u] with row u of
 * the filter. They start one pixel further left. */
struct grad_row {
    int left, n;
    const patch_row *patch[3];
};

static void gemm_patches(const struct conv_args *c, int row, int left, int n,
                         patch_row *to)
{
    c->cpu->kernels->gemm(
        &(struct nst_gemm){.n = n + 2,
                           .in = c->p->out,
                           .out = PATCH_BLOCKS,
                           .a = nst_cpu_row(c->map, 0, row) + (left - 1) * NST_BLOCK,
                           .a_stride = nst_cpu_stride(c->map->shape),
                           .w = c->p->backward,
                           .c = (*to)[0][0],
                           .c_stride = TILE_WIDTH * NST_BLOCK});
}

/* Add the gradient of the padding beside a row, which taps of column v read from column
 * j of the tile, to the pixel that stands for it. */
static void fold_column(const struct conv_args *c, const struct grad_row *g, int v,
                        int j, int pixel, float *to)
{
    vec4 sum = {0};

    for (int u = 0; u < 3; u++)
        sum += tap((*g->patch[u])[0][j + 1], 3 * u + v);
    for (int k = 0; k < 3; k++)
        to[k * nst_shape_area(c->map->shape) + (size_t)pixel] +=
            sum[k] * (1 / c->p->picture->deviation[k]);
}

/* Write the gradient of a row of a tile, or add it, to a row of the picture. */
static void col2im_row(const struct conv_args *c, const struct grad_row *g, int row,
                       bool add)
{
    int w = c->map->shape.w;
    size_t area = nst_shape_area(c->map->shape);
    float *to = c->gradient + (size_t)row * w;
    const float *p0 = (*g->patch[0])[0][0], *p1 = (*g->patch[1])[0][0],
                *p2 = (*g->patch[2])[0][0];
    vec4 scale = {0};

    for (int k = 0; k < 3; k++)
        scale[k] = 1 / c->p->picture->deviation[k];
    for (int j = g->left; j < g->left + g->n;
         j++, p0 += NST_BLOCK, p1 += NST_BLOCK, p2 += NST_BLOCK) {
        vec4 a = tap(p0 + 2 * NST_BLOCK, 0) + tap(p0 + NST_BLOCK, 1) + tap(p0, 2);
        vec4 b = tap(p1 + 2 * NST_BLOCK, 3) + tap(p1 + NST_BLOCK, 4) + tap(p1, 5);
        vec4 sum = tap(p2 + 2 * NST_BLOCK, 6) + tap(p2 + NST_BLOCK, 7) + tap(p2, 8);

        sum = (a + b + sum) * scale;
        for (int k = 0; k < 3; k++)
            to[k * area + (size_t)j] = add ? to[k * area + (size_t)j] + sum[k] : sum[k];
    }
    if (c->p->padding == NST_PADDING_ZERO)
        return;
    if (g->left == 0)
        fold_column(c, g, 0, 0, nst_padded_index(-1, w, c->p->padding), to);
    if (g->left + g->n == w)
        fold_column(c, g, 2, g->n - 1, nst_padded_index(w, w, c->p->padding), to);
}

/* Add the gradient of the padding above (u 0) or below (u 2) to the row that stands for
 * it; row is the map's outermost. */
static void fold_row(const struct conv_args *c, struct grad_row g, int u, int row)
{
    static const patch_row none;
    int h = c->map->shape.h;
    patch_row patch;

    gemm_patches(c, row, g.left, g.n, &patch);
    for (int i = 0; i < 3; i++)
        g.patch[i] = i == u ? (const patch_row *)&patch : &none;
    col2im_row(c, &g, nst_padded_index(u ? h : -1, h, c->p->padding), true);
}

/* Tiles have nearly equal sides, so that the row or column beside the outermost one is
 * in the same tile. The zeros around the map stand for pixels outside, which add
 * nothing. */
static void col2im_tile(void *ctx, int item, int thread)
{
    const struct conv_args *c = ctx;
    struct nst_shape s = c->map->shape;
    int i = item / c->tile_columns, j = item % c->tile_columns;
    int top = s.h * i / c->tile_rows, end = s.h * (i + 1) / c->tile_rows;
    struct grad_row g = {.left = s.w * j / c->tile_columns};
    patch_row ring[3];

    (void)thread;
    g.n = s.w * (j + 1) / c->tile_columns - g.left;
    for (int r = top - 1; r <= end; r++) {
        gemm_patches(c, r, g.left, g.n, &ring[(r + 3) % 3]);
        for (int u = 0; u < 3; u++)
            g.patch[u] = (const patch_row *)&ring[(r + 3 - u) % 3];
        if (r > top)
            col2im_row(c, &g, r - 1, false);
    }
    if (c->p->padding != NST_PADDING_ZERO && top == 0)
        fold_row(c, g, 0, 0);
    if (c->p->padding != NST_PADDING_ZERO && end == s.h)
        fold_row(c, g, 2, s.h - 1);
}

void nst_cpu_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                             const struct nst_tensor *gy, struct nst_buffer *rgb)
{
    struct nst_shape s = gy->shape;
    struct conv_args c = {.cpu = (struct nst_cpu *)be,
                          .p = k->first_conv,
                          .map = gy,
                          .gradient = nst_floats(rgb),
                          .tile_columns = (s.w + GRAD_TILE_WIDTH - 1) / GRAD_TILE_WIDTH,
                          .tile_rows = (s.h + GRAD_TILE_HEIGHT - 1) / GRAD_TILE_HEIGHT};

    if (c.p->padding != NST_PADDING_ZERO)
        nst_cpu_set_border((struct nst_cpu *)be, gy, NST_PADDING_ZERO);
    nst_threads_run(be->threads, c.tile_columns * c.tile_rows, col2im_tile, &c);
}
