/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_net_grad.c - kernels of the gradients of feed-forward networks (see
 * nchw16c.h), compiled once per instruction set (see nchw16c_isa.h).
 */
#include "config.h"

#include "kernels/nchw16c_lines.h"

#define TILE 4
#define SIDE (TILE + 2)

/* One line of A d: the transpose of output_line(). */
INLINE void tile_line(const vec d[TILE], vec t[SIDE])
{
    vec a = d[0] + d[2], b = d[1] + d[3], c = d[0] + 4 * d[2], e = 2 * d[1] + 8 * d[3];

    t[0] = d[0];
    t[1] = a + b;
    t[2] = a - b;
    t[3] = c + e;
    t[4] = c - e;
    t[5] = d[3];
}

INLINE void tile_part(const float *gy, size_t pitch, float *v, size_t stride)
{
    vec d[TILE], t[TILE][SIDE], r[SIDE];

    UNROLL for (int j = 0; j < TILE; j++)
    {
        UNROLL for (int i = 0; i < TILE; i++) d[i] =
            load(gy + (size_t)i * pitch + j * NST_BLOCK);
        tile_line(d, t[j]);
    }
    UNROLL for (int i = 0; i < SIDE; i++)
    {
        UNROLL for (int j = 0; j < TILE; j++) d[j] = t[j][i];
        tile_line(d, r);
        UNROLL for (int j = 0; j < SIDE; j++)
            store(v + (size_t)(SIDE * i + j) * stride, r[j]);
    }
}

static void tile(const float *gy, size_t pitch, float *v, size_t stride)
{
    for (int p = 0; p < NST_BLOCK; p += NST_LANES)
        tile_part(gy + p, pitch, v + p, stride);
}

/* One line of G' m, times 24. */
INLINE void taps_line(const vec m[SIDE], vec t[3])
{
    vec a = m[1] + m[2], b = m[2] - m[1], c = m[3] + m[4], e = m[3] - m[4];

    t[0] = 6 * m[0] - 4 * a + c;
    t[1] = 4 * b + 2 * e;
    t[2] = 4 * (c - a) + 24 * m[5];
}

static void taps(const float *m, size_t stride, float *g)
{
    for (int p = 0; p < NST_BLOCK; p += NST_LANES) {
        vec d[SIDE], t[SIDE][3], r[3];

        UNROLL for (int j = 0; j < SIDE; j++)
        {
            UNROLL for (int i = 0; i < SIDE; i++) d[i] =
                load(m + (size_t)(SIDE * i + j) * stride + p);
            taps_line(d, t[j]);
        }
        UNROLL for (int i = 0; i < 3; i++)
        {
            UNROLL for (int j = 0; j < SIDE; j++) d[j] = t[j][i];
            taps_line(d, r);
            UNROLL for (int j = 0; j < 3; j++)
                store(g + (3 * i + j) * NST_BLOCK + p, r[j] * (1.f / (24 * 24)));
        }
    }
}

/* Rows of the sums that stay in registers. */
#define OUTER_ROWS (NST_LANES == 16 ? 14 : NST_LANES == 8 ? 5 : 3)

/* rows, 1 to OUTER_ROWS, is a constant after inlining. */
INLINE void outer_rows(int rows, int n, const float *a, int step, const float *b,
                       float *g)
{
    vec s[OUTER_ROWS][BLOCK_VECS];

    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int p = 0; p < BLOCK_VECS; p++)
        s[i][p] = load(g + i * NST_BLOCK + p * NST_LANES);
    for (int k = 0; k < n; k++, a += step, b += NST_BLOCK) {
        vec y[BLOCK_VECS];

        UNROLL for (int p = 0; p < BLOCK_VECS; p++) y[p] = load(b + p * NST_LANES);
        /* cppcheck-suppress uninitvar; it does not follow UNROLL */
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int p = 0; p < BLOCK_VECS; p++) s[i][p] += a[i] * y[p];
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int p = 0; p < BLOCK_VECS; p++)
        store(g + i * NST_BLOCK + p * NST_LANES, s[i][p]);
}

static void outer(int n, int values, const float *a, int step, const float *b, float *g)
{
    int i = 0;

    for (; i + OUTER_ROWS <= values; i += OUTER_ROWS)
        outer_rows(OUTER_ROWS, n, a + i, step, b, g + i * NST_BLOCK);
    for (; i < values; i++)
        outer_rows(1, n, a + i, step, b, g + i * NST_BLOCK);
}

/* The gradient by the view before its ReLU. */
INLINE vec before_relu(vec g, vec x, vec scale, vec shift, int relu)
{
    return relu ? (vec)((ivec)g & (x * scale + shift > 0)) : g;
}

INLINE void norm_sums_part(int n, const float *x, vec scale, vec shift, int relu,
                           vec centre, const float *g, float *sum, float *product)
{
    vec s = load(sum), q = load(product);

    for (int i = 0; i < n * NST_BLOCK; i += NST_BLOCK) {
        vec v = load(x + i), h = before_relu(load(g + i), v, scale, shift, relu);

        s += h;
        q += h * (v - centre);
    }
    store(sum, s);
    store(product, q);
}

static void norm_sums(int n, const float *x, const struct nst_block_view *view,
                      const float *centre, const float *g, float sums[2][NST_BLOCK])
{
    for (int p = 0; p < NST_BLOCK; p += NST_LANES) {
        vec scale = load(view->scale + p), shift = load(view->shift + p);

        if (view->relu)
            norm_sums_part(n, x + p, scale, shift, 1, load(centre + p), g + p,
                           sums[0] + p, sums[1] + p);
        else
            norm_sums_part(n, x + p, scale, shift, 0, load(centre + p), g + p,
                           sums[0] + p, sums[1] + p);
    }
}

INLINE void norm_part(int n, const float *x, vec scale, vec shift, int relu,
                      const struct nst_norm_factors *f, int p, const float *g,
                      float *gx)
{
    vec a = load(f->gradient + p), b = load(f->map + p), c = load(f->offset + p);
    vec centre = load(f->centre + p);

    for (int i = 0; i < n * NST_BLOCK; i += NST_BLOCK) {
        vec v = load(x + i), h = before_relu(load(g + i), v, scale, shift, relu);

        store(gx + i, a * h + b * (v - centre) + c);
    }
}

static void norm(int n, const float *x, const struct nst_block_view *view,
                 const struct nst_norm_factors *f, const float *g, float *gx)
{
    for (int p = 0; p < NST_BLOCK; p += NST_LANES) {
        vec scale = load(view->scale + p), shift = load(view->shift + p);

        if (view->relu)
            norm_part(n, x + p, scale, shift, 1, f, p, g + p, gx + p);
        else
            norm_part(n, x + p, scale, shift, 0, f, p, g + p, gx + p);
    }
}

const struct nst_net_grad_kernels ISA(net_grad) = {
    .tile = tile, .taps = taps, .outer = outer, .norm_sums = norm_sums, .norm = norm};
