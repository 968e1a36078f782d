/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_net.c - kernels of feed-forward networks (see nchw16c.h), compiled once per
 * instruction set (see nchw16c_isa.h).
 */
#include "config.h"

#include "kernels/nchw16c_lines.h"

#define TILE 4
#define SIDE (TILE + 2)

INLINE vec view_vec(vec x, vec scale, vec shift, int relu)
{
    vec y = x * scale + shift;

    return relu ? relu_vec(y) : y;
}

/* The first stage of the input transform: B' d of one column of pixels. */
INLINE void input_column(const float *x, size_t pitch, vec scale, vec shift, int relu,
                         int doubled, vec t[MAX_SIDE])
{
    vec pixel[MAX_SIDE], d[MAX_SIDE];

    UNROLL for (int i = 0; i < SIDE; i++) if (!doubled || i < TILE) pixel[i] =
        view_vec(load(x + (size_t)i * pitch), scale, shift, relu);
    /* rows of a doubled map: 0 1 1 2 2 3 */
    UNROLL for (int i = 0; i < SIDE; i++) d[i] = pixel[doubled ? (i + 1) / 2 : i];
    input_line(TILE, d, t);
}

INLINE void input_part(const float *x, size_t pitch, vec scale, vec shift, int relu,
                       int doubled, float *v, size_t stride)
{
    vec t[MAX_SIDE][MAX_SIDE], d[MAX_SIDE], r[MAX_SIDE];

    UNROLL for (int j = 0; j < SIDE; j++) if (!doubled || j < TILE)
    {
        __builtin_prefetch(x + (size_t)j * pitch + 14 * NST_BLOCK);
        input_column(x + j * NST_BLOCK, pitch, scale, shift, relu, doubled, t[j]);
    }
    UNROLL for (int i = 0; i < SIDE; i++)
    {
        UNROLL for (int j = 0; j < SIDE; j++) d[j] = t[doubled ? (j + 1) / 2 : j][i];
        input_line(TILE, d, r);
        UNROLL for (int j = 0; j < SIDE; j++)
            store(v + (size_t)(SIDE * i + j) * stride, r[j]);
    }
}

INLINE void input_block(const float *x, size_t pitch, const struct nst_block_view *view,
                        int relu, int doubled, float *v, size_t stride)
{
    for (int p = 0; p < NST_BLOCK; p += NST_LANES)
        input_part(x + p, pitch, load(view->scale + p), load(view->shift + p), relu,
                   doubled, v + p, stride);
}

static void input(const float *x, size_t pitch, const struct nst_block_view *view,
                  int doubled, float *v, size_t stride)
{
    if (view->relu && doubled)
        input_block(x, pitch, view, 1, 1, v, stride);
    else if (view->relu)
        input_block(x, pitch, view, 1, 0, v, stride);
    else if (doubled)
        input_block(x, pitch, view, 0, 1, v, stride);
    else
        input_block(x, pitch, view, 0, 0, v, stride);
}

INLINE void add_sums(float sums[2][NST_BLOCK], int p, vec sum, vec squares)
{
    store(sums[0] + p, load(sums[0] + p) + sum);
    store(sums[1] + p, load(sums[1] + p) + squares);
}

INLINE void output_part(const float *m, size_t stride, float *y, size_t pitch, int rows,
                        int columns, vec *sum, vec *squares)
{
    vec d[MAX_SIDE], t[MAX_SIDE][TILE], r[TILE];

    UNROLL for (int j = 0; j < SIDE; j++)
    {
        UNROLL for (int i = 0; i < SIDE; i++) d[i] =
            load(m + (size_t)(SIDE * i + j) * stride);
        output_line(TILE, d, t[j]);
    }
    UNROLL for (int i = 0; i < TILE; i++)
    {
        UNROLL for (int j = 0; j < SIDE; j++) d[j] = t[j][i];
        output_line(TILE, d, r);
        UNROLL for (int j = 0; j < TILE; j++) if (i < rows && j < columns)
        {
            store(y + (size_t)i * pitch + j * NST_BLOCK, r[j]);
            *sum += r[j];
            *squares += r[j] * r[j];
        }
    }
}

static void output(const float *m, size_t stride, float *y, size_t pitch, int rows,
                   int columns, float sums[2][NST_BLOCK])
{
    for (int p = 0; p < NST_BLOCK; p += NST_LANES) {
        vec sum = {0}, squares = {0};

        if (rows == TILE && columns == TILE)
            output_part(m + p, stride, y + p, pitch, TILE, TILE, &sum, &squares);
        else
            output_part(m + p, stride, y + p, pitch, rows, columns, &sum, &squares);
        add_sums(sums, p, sum, squares);
    }
}

INLINE void view_pixels(int n, const float *x, int step,
                        const struct nst_block_view *view, int relu, float *y)
{
    vec scale[BLOCK_VECS], shift[BLOCK_VECS];

    UNROLL for (int p = 0; p < BLOCK_VECS; p++)
    {
        scale[p] = load(view->scale + p * NST_LANES);
        shift[p] = load(view->shift + p * NST_LANES);
    }
    for (int i = 0; i < n; i++, x += step * NST_BLOCK, y += NST_BLOCK)
        UNROLL for (int p = 0; p < BLOCK_VECS; p++)
            store(y + p * NST_LANES,
                  view_vec(load(x + p * NST_LANES), scale[p], shift[p], relu));
}

static void view_row(int n, const float *x, int step, const struct nst_block_view *view,
                     float *y)
{
    if (view->relu)
        view_pixels(n, x, step, view, 1, y);
    else
        view_pixels(n, x, step, view, 0, y);
}

static void planar(int n, const float *x, const struct nst_block_view *view, float *y,
                   size_t plane)
{
    float pixels[NST_BLOCK][NST_BLOCK];

    for (int first = 0; first < n; first += NST_BLOCK) {
        int count = n - first < NST_BLOCK ? n - first : NST_BLOCK;

        view_row(count, x + (size_t)first * NST_BLOCK, 1, view, pixels[0]);
        for (int c = 0; c < NST_BLOCK; c++)
            for (int i = 0; i < count; i++)
                y[(size_t)c * plane + (size_t)(first + i)] = pixels[i][c];
    }
}

static void add_row(int n, const float *x, const struct nst_block_view *x_view,
                    const float *y, const struct nst_block_view *y_view, float *z)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        int c = i % NST_BLOCK;

        store(z + i, view_vec(load(x + i), load(x_view->scale + c),
                              load(x_view->shift + c), x_view->relu) +
                         view_vec(load(y + i), load(y_view->scale + c),
                                  load(y_view->shift + c), y_view->relu));
    }
}

static void sums_row(int n, const float *y, float sums[2][NST_BLOCK])
{
    for (int p = 0; p < NST_BLOCK; p += NST_LANES) {
        vec sum = {0}, squares = {0};

        for (int i = 0; i < n; i++) {
            vec v = load(y + i * NST_BLOCK + p);

            sum += v;
            squares += v * v;
        }
        add_sums(sums, p, sum, squares);
    }
}

/* Vectors of each colour that stay in registers. */
#if NST_LANES == 16
#define COLOUR_VECS 8
#else
#define COLOUR_VECS 4
#endif

/* COLOUR_VECS x NST_LANES pixels. */
INLINE void to_picture_group(const struct nst_to_picture *t, const float *x, float *y)
{
    const float *w = t->w;
    vec s[3][COLOUR_VECS];

    UNROLL for (int k = 0; k < 3; k++) UNROLL for (int p = 0; p < COLOUR_VECS; p++)
        s[k][p] = load(y + (size_t)k * t->colour + p * NST_LANES);
    for (int u = 0; u < 9; u++)
        for (int c = 0; c < t->channels; c++) {
            const float *row = x + (size_t)u * t->row + (size_t)c * t->channel;

            for (int v = 0; v < 9; v++, w += 3, row++)
                UNROLL for (int p = 0; p < COLOUR_VECS; p++)
                {
                    vec pixels = load(row + p * NST_LANES);

                    UNROLL for (int k = 0; k < 3; k++) s[k][p] += w[k] * pixels;
                }
        }
    UNROLL for (int k = 0; k < 3; k++) UNROLL for (int p = 0; p < COLOUR_VECS; p++)
        store(y + (size_t)k * t->colour + p * NST_LANES, s[k][p]);
}

static void to_picture(const struct nst_to_picture *t)
{
    for (int i = 0; i < t->n; i += COLOUR_VECS * NST_LANES)
        to_picture_group(t, t->x + i, t->y + i);
}

const struct nst_net_kernels ISA(net) = {
    .input = input,
    .output = output,
    .view = view_row,
    .planar = planar,
    .add = add_row,
    .sums = sums_row,
    .from_picture = ISA(gemm_picture),
    .group = COLOUR_VECS * NST_LANES,
    .to_picture = to_picture,
};
