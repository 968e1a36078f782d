/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_winograd.c - the transforms of Winograd's F(2x2, 3x3) and F(4x4, 3x3) (see
 * nchw16c.h; the matrices are those of Lavin and Gray 2016, sections 4.1 and 4.3),
 * compiled once per instruction set (see nchw16c_isa.h). tile, 2 or 4, is a constant
 * after inlining.
 */
#include "config.h"

#include "kernels/nchw16c_lines.h"

/* One line of G g, times 2 or 24: whole factors, so that nothing is rounded before the
 * end. */
INLINE void weight_line(int tile, dvec g0, dvec g1, dvec g2, dvec t[MAX_SIDE])
{
    dvec a = -4 * (g0 + g2), b = g0 + 4 * g2;

    if (tile == 2) {
        t[0] = 2 * g0;
        t[1] = g0 + g2 + g1;
        t[2] = g0 + g2 - g1;
        t[3] = 2 * g2;
    } else {
        t[0] = 6 * g0;
        t[1] = a - 4 * g1;
        t[2] = a + 4 * g1;
        t[3] = b + 2 * g1;
        t[4] = b - 2 * g1;
        t[5] = 24 * g2;
    }
}

INLINE void weight(int tile, const float *g, float *u, size_t stride)
{
    int side = tile + 2;
    double scale = tile == 2 ? 1. / (2 * 2) : 1. / (24 * 24);

    for (int p = 0; p < NST_BLOCK; p += NST_DOUBLES) {
        dvec d[9], t[3][MAX_SIDE], line[MAX_SIDE];

        UNROLL for (int k = 0; k < 9; k++) d[k] = load_doubles(g + k * NST_BLOCK + p);
        UNROLL for (int v = 0; v < 3; v++)
            weight_line(tile, d[v], d[3 + v], d[6 + v], t[v]);
        UNROLL for (int i = 0; i < side; i++)
        {
            weight_line(tile, t[0][i], t[1][i], t[2][i], line);
            UNROLL for (int j = 0; j < side; j++)
                store_doubles(u + (size_t)(side * i + j) * stride + p, line[j] * scale);
        }
    }
}

INLINE void input_part(int tile, const float *x, size_t pitch, int relu, float *v,
                       size_t stride)
{
    int side = tile + 2;
    vec d[MAX_SIDE], t[MAX_SIDE][MAX_SIDE], r[MAX_SIDE];

    UNROLL for (int j = 0; j < side; j++)
    {
        UNROLL for (int i = 0; i < side; i++)
        {
            if (j < tile) /* a few tiles to the right */
                __builtin_prefetch(x + i * pitch + (j + 14) * NST_BLOCK);
            d[i] = load_relu(x + i * pitch + j * NST_BLOCK, relu);
        }
        input_line(tile, d, t[j]);
    }
    UNROLL for (int i = 0; i < side; i++)
    {
        UNROLL for (int j = 0; j < side; j++) d[j] = t[j][i];
        input_line(tile, d, r);
        UNROLL for (int j = 0; j < side; j++)
            store(v + (size_t)(side * i + j) * stride, r[j]);
    }
}

INLINE void input(int tile, const float *x, size_t pitch, int relu, float *v,
                  size_t stride)
{
    for (int p = 0; p < BLOCK_VECS; p++)
        if (relu)
            input_part(tile, x + p * NST_LANES, pitch, 1, v + p * NST_LANES, stride);
        else
            input_part(tile, x + p * NST_LANES, pitch, 0, v + p * NST_LANES, stride);
}

INLINE void output_part(int tile, const float *m, size_t stride, vec bias, int relu,
                        float *y, size_t pitch, int rows, int columns)
{
    int side = tile + 2;
    vec d[MAX_SIDE], t[MAX_SIDE][4], r[4];

    UNROLL for (int j = 0; j < side; j++)
    {
        UNROLL for (int i = 0; i < side; i++) d[i] =
            load(m + (size_t)(side * i + j) * stride);
        output_line(tile, d, t[j]);
    }
    UNROLL for (int i = 0; i < tile; i++)
    {
        UNROLL for (int j = 0; j < side; j++) d[j] = t[j][i];
        output_line(tile, d, r);
        UNROLL for (int j = 0; j < tile; j++)
        {
            r[j] += bias;
            if (relu)
                r[j] = relu_vec(r[j]);
            if (i < rows && j < columns)
                store(y + i * pitch + j * NST_BLOCK, r[j]);
        }
    }
}

INLINE void output(int tile, const float *m, size_t stride, const float *bias, int relu,
                   float *y, size_t pitch, int rows, int columns)
{
    for (int p = 0; p < BLOCK_VECS; p++) {
        vec b = bias ? load(bias + p * NST_LANES) : (vec){0};

        m += p ? NST_LANES : 0;
        y += p ? NST_LANES : 0;
        if (relu)
            output_part(tile, m, stride, b, 1, y, pitch, rows, columns);
        else
            output_part(tile, m, stride, b, 0, y, pitch, rows, columns);
    }
}

#define TRANSFORMS(tile)                                                               \
    static void weight_##tile(const float *g, float *u, size_t stride)                 \
    {                                                                                  \
        weight(tile, g, u, stride);                                                    \
    }                                                                                  \
    static void input_##tile(const float *x, size_t pitch, int relu, float *v,         \
                             size_t stride)                                            \
    {                                                                                  \
        input(tile, x, pitch, relu, v, stride);                                        \
    }                                                                                  \
    static void output_##tile(const float *m, size_t stride, const float *bias,        \
                              int relu, float *y, size_t pitch, int rows, int columns) \
    {                                                                                  \
        output(tile, m, stride, bias, relu, y, pitch, rows, columns);                  \
    }
TRANSFORMS(2)
TRANSFORMS(4)

const struct nst_winograd ISA(winograd)[NST_WINOGRADS] = {
    {2, 16, weight_2, input_2, output_2}, {4, 36, weight_4, input_4, output_4}};
