/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_gemm.c - the hot kernels: Winograd transforms, GEMM and Gram matrices (see
 * nchw16c.h), compiled once per instruction set (see nchw16c_isa.h).
 *
 * Maps exceed the caches. To hide memory latency the loops prefetch early and steadily:
 * one cache line per few multiplications, never many lines at once.
 */
#include "config.h"

#include "kernels/nchw16c_isa.h"

/* One line of 24 G g (Lavin and Gray 2016, section 4.3): whole factors, so that nothing
 * is rounded before the end. */
INLINE void weight_line(dvec g0, dvec g1, dvec g2, dvec t[6])
{
    dvec a = -4 * (g0 + g2), b = g0 + 4 * g2;

    t[0] = 6 * g0;
    t[1] = a - 4 * g1;
    t[2] = a + 4 * g1;
    t[3] = b + 2 * g1;
    t[4] = b - 2 * g1;
    t[5] = 24 * g2;
}

void ISA(winograd_weight)(const float *g, float *u, size_t stride)
{
    for (int p = 0; p < NST_BLOCK; p += NST_DOUBLES) {
        dvec d[9], t[3][6], line[6];

        UNROLL for (int k = 0; k < 9; k++) d[k] = load_doubles(g + k * NST_BLOCK + p);
        UNROLL for (int v = 0; v < 3; v++) weight_line(d[v], d[3 + v], d[6 + v], t[v]);
        UNROLL for (int i = 0; i < 6; i++)
        {
            weight_line(t[0][i], t[1][i], t[2][i], line);
            UNROLL for (int j = 0; j < 6; j++)
                store_doubles(u + (6 * i + j) * stride + p, line[j] * (1. / (24 * 24)));
        }
    }
}

/* One line of B' d (Lavin and Gray 2016, section 4.3). */
INLINE void input_line(vec d0, vec d1, vec d2, vec d3, vec d4, vec d5, vec t[6])
{
    vec a = d4 - 4 * d2, b = d3 - 4 * d1, c = d4 - d2, e = 2 * (d3 - d1);

    t[0] = 4 * d0 - 5 * d2 + d4;
    t[1] = a + b;
    t[2] = a - b;
    t[3] = c + e;
    t[4] = c - e;
    t[5] = 4 * d1 - 5 * d3 + d5;
}

/* One line of A' m. */
INLINE void output_line(vec m0, vec m1, vec m2, vec m3, vec m4, vec m5, vec t[4])
{
    vec a = m1 + m2, b = m1 - m2, c = m3 + m4, e = m3 - m4;

    t[0] = m0 + a + c;
    t[1] = b + 2 * e;
    t[2] = a + 4 * c;
    t[3] = b + 8 * e + m5;
}

INLINE void input_part(const float *x, size_t pitch, int relu, float *v, size_t stride)
{
    vec d[6], t[6][6];

    UNROLL for (int j = 0; j < 6; j++)
    {
        UNROLL for (int i = 0; i < 6; i++)
        {
            if (j < NST_WINOGRAD_TILE) /* a few tiles to the right */
                __builtin_prefetch(x + i * pitch + (j + 14) * NST_BLOCK);
            d[i] = load(x + i * pitch + j * NST_BLOCK);
            if (relu)
                d[i] = relu_vec(d[i]);
        }
        input_line(d[0], d[1], d[2], d[3], d[4], d[5], t[j]);
    }
    UNROLL for (int i = 0; i < 6; i++)
    {
        input_line(t[0][i], t[1][i], t[2][i], t[3][i], t[4][i], t[5][i], d);
        UNROLL for (int j = 0; j < 6; j++) store(v + (6 * i + j) * stride, d[j]);
    }
}

void ISA(winograd_input)(const float *x, size_t pitch, int relu, float *v,
                         size_t stride)
{
    for (int p = 0; p < BLOCK_VECS; p++)
        if (relu)
            input_part(x + p * NST_LANES, pitch, 1, v + p * NST_LANES, stride);
        else
            input_part(x + p * NST_LANES, pitch, 0, v + p * NST_LANES, stride);
}

INLINE void output_part(const float *m, size_t stride, vec bias, int relu, float *y,
                        size_t pitch, int rows, int columns)
{
    vec t[6][4], r[4];

    UNROLL for (int j = 0; j < 6; j++)
        output_line(load(m + j * stride), load(m + (6 + j) * stride),
                    load(m + (12 + j) * stride), load(m + (18 + j) * stride),
                    load(m + (24 + j) * stride), load(m + (30 + j) * stride), t[j]);
    UNROLL for (int i = 0; i < 4; i++)
    {
        output_line(t[0][i], t[1][i], t[2][i], t[3][i], t[4][i], t[5][i], r);
        UNROLL for (int j = 0; j < 4; j++)
        {
            r[j] += bias;
            if (relu)
                r[j] = relu_vec(r[j]);
            if (i < rows && j < columns)
                store(y + i * pitch + j * NST_BLOCK, r[j]);
        }
    }
}

void ISA(winograd_output)(const float *m, size_t stride, const float *bias, int relu,
                          float *y, size_t pitch, int rows, int columns)
{
    for (int p = 0; p < BLOCK_VECS; p++) {
        vec b = bias ? load(bias + p * NST_LANES) : (vec){0};

        m += p ? NST_LANES : 0;
        y += p ? NST_LANES : 0;
        if (relu)
            output_part(m, stride, b, 1, y, pitch, rows, columns);
        else
            output_part(m, stride, b, 0, y, pitch, rows, columns);
    }
}

/*
 * Weights of a panel: those of its two output vectors, and those of the next pair,
 * which are beyond the core's own cache. Each panel prefetches a share of the latter,
 * at most one cache line per input.
 */
struct ukr_weights {
    const float *w0, *w1;
    const char *prefetch;
    int prefetch_step; /* bytes per input */
};

/*
 * Micro-kernel: n columns (a constant after inlining) by two vectors of outputs. 2 n
 * accumulators stay in registers; inputs are broadcast one by one.
 * w0, w1 (16 in x 16, this vector's lanes) and c0, c1 are the weights and outputs of
 * the two vectors; single != 0 computes the first one only.
 */
INLINE void gemm_ukr(int n, int single, int in, const float *a, size_t a_stride,
                     int relu, const struct ukr_weights *w, float *c0, float *c1)
{
    const float *w0 = w->w0, *w1 = w->w1;
    const char *prefetch = w->prefetch;
    vec s0[NST_NR], s1[NST_NR];
    int prefetch_step = w->prefetch_step;

    UNROLL for (int t = 0; t < n; t++) s0[t] = s1[t] = (vec){0};
    for (int b = 0; b < in; b++, a += a_stride)
        for (int i = 0; i < NST_BLOCK; i++, w0 += NST_BLOCK, w1 += NST_BLOCK) {
            vec u0 = load(w0), u1 = single ? u0 : load(w1);

            /* the columns of the next panel, and the weights ahead */
            __builtin_prefetch(a + (n + i) * NST_BLOCK);
            __builtin_prefetch(w0 + NST_BLOCK * NST_BLOCK);
            __builtin_prefetch(w1 + NST_BLOCK * NST_BLOCK);
            __builtin_prefetch(prefetch, 0, 2);
            prefetch += prefetch_step;
            UNROLL for (int t = 0; t < n; t++)
            {
                float x = a[t * NST_BLOCK + i];

                if (relu)
                    x = x > 0 ? x : 0;
                s0[t] += x * u0;
                if (!single)
                    s1[t] += x * u1;
            }
        }
    UNROLL for (int t = 0; t < n; t++)
    {
        store(c0 + t * NST_BLOCK, s0[t]);
        if (!single)
            store(c1 + t * NST_BLOCK, s1[t]);
    }
}

#define CASE(k)                                                                        \
    case k:                                                                            \
        gemm_ukr(k, single, in, a, a_stride, relu, w, c0, c1);                         \
        break;

/* n is 1 to NST_NR; single and relu are constants after inlining. */
INLINE void ukr_dispatch(int n, int single, int in, const float *a, size_t a_stride,
                         int relu, const struct ukr_weights *w, float *c0, float *c1)
{
    switch (n) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
#if NST_NR > 6
        CASE(7)
        CASE(8)
#endif
#if NST_NR > 8
        CASE(9)
        CASE(10)
        CASE(11)
        CASE(12)
        CASE(13)
        CASE(14)
#endif
    }
}

static void ukr_pair(int n, int in, const float *a, size_t a_stride, int relu,
                     const struct ukr_weights *w, float *c0, float *c1)
{
    if (relu)
        ukr_dispatch(n, 0, in, a, a_stride, 1, w, c0, c1);
    else
        ukr_dispatch(n, 0, in, a, a_stride, 0, w, c0, c1);
}

static void ukr_single(int n, int in, const float *a, size_t a_stride, int relu,
                       const struct ukr_weights *w, float *c)
{
    if (relu)
        ukr_dispatch(n, 1, in, a, a_stride, 1, w, c, c);
    else
        ukr_dispatch(n, 1, in, a, a_stride, 0, w, c, c);
}

void ISA(gemm)(int n, int in, int out, const float *a, size_t a_stride, int relu,
               const float *w, float *c, size_t c_stride)
{
    size_t w_stride = (size_t)in * NST_BLOCK * NST_BLOCK;
    int vectors = out * BLOCK_VECS;
    int panels = (n + NST_NR - 1) / NST_NR;
    int line = NST_BLOCK * (int)sizeof *w,
        prefetch_step = 2 * NST_LANES * (int)sizeof *w / panels;

    if (prefetch_step > line)
        prefetch_step = line;
    for (int v = 0; v < vectors; v += 2) {
        size_t p0 = (size_t)(v % BLOCK_VECS) * NST_LANES;
        size_t p1 = (size_t)((v + 1) % BLOCK_VECS) * NST_LANES;
        struct ukr_weights ws = {
            .w0 = w + (size_t)(v / BLOCK_VECS) * w_stride + p0,
            .w1 = w + (size_t)((v + 1) / BLOCK_VECS) * w_stride + p1,
            .prefetch = (const char *)(w + (size_t)(v + 2) * w_stride / BLOCK_VECS),
            .prefetch_step = prefetch_step};
        float *c0 = c + (size_t)(v / BLOCK_VECS) * c_stride + p0;
        float *c1 = c + (size_t)((v + 1) / BLOCK_VECS) * c_stride + p1;

        for (int p = 0, t = 0; p < panels; p++) {
            int m = (n - t) / (panels - p); /* widths differ by at most 1 */
            const float *at = a + (size_t)t * NST_BLOCK;
            size_t o = (size_t)t * NST_BLOCK;

            if (v + 1 < vectors)
                ukr_pair(m, in, at, a_stride, relu, &ws, c0 + o, c1 + o);
            else
                ukr_single(m, in, at, a_stride, relu, &ws, c0 + o);
            ws.prefetch += (size_t)prefetch_step * NST_BLOCK * (size_t)in;
            t += m;
        }
    }
}

/* Rows of accumulators per pass: 16 do not fit in registers with narrow vectors. */
#if NST_LANES == 16
#define GRAM_ROWS 16
#else
#define GRAM_ROWS (NST_LANES == 8 ? 4 : 2)
#endif

#define PREFETCH_PIXELS 64 /* prefetch distance */

INLINE void gram_rows(int rows, int n, const float *a, const float *b, size_t pitch,
                      int relu, float *g)
{
    vec s[GRAM_ROWS][BLOCK_VECS];

    UNROLL for (int i = 0; i < GRAM_ROWS; i++)
        UNROLL for (int p = 0; p < BLOCK_VECS; p++) s[i][p] =
            load(g + i * NST_BLOCK + p * NST_LANES);
    for (int r = 0; r < rows; r++, a += pitch, b += pitch)
        for (int k = 0; k < n * NST_BLOCK; k += NST_BLOCK) {
            vec y[BLOCK_VECS];

            __builtin_prefetch(b + k + PREFETCH_PIXELS * NST_BLOCK);
            UNROLL for (int p = 0; p < BLOCK_VECS; p++)
            {
                y[p] = load(b + k + p * NST_LANES);
                if (relu)
                    y[p] = relu_vec(y[p]);
            }
            UNROLL for (int i = 0; i < GRAM_ROWS; i++)
            {
                float x = a[k + i];

                if (relu)
                    x = x > 0 ? x : 0;
                /* cppcheck-suppress uninitvar; it does not follow UNROLL */
                UNROLL for (int p = 0; p < BLOCK_VECS; p++) s[i][p] += x * y[p];
            }
        }
    UNROLL for (int i = 0; i < GRAM_ROWS; i++)
        UNROLL for (int p = 0; p < BLOCK_VECS; p++)
            store(g + i * NST_BLOCK + p * NST_LANES, s[i][p]);
}

void ISA(gram)(int rows, int n, const float *a, const float *b, size_t pitch, int relu,
               float *g)
{
    for (int i = 0; i < NST_BLOCK; i += GRAM_ROWS)
        if (relu)
            gram_rows(rows, n, a + i, b, pitch, 1, g + i * NST_BLOCK);
        else
            gram_rows(rows, n, a + i, b, pitch, 0, g + i * NST_BLOCK);
}
