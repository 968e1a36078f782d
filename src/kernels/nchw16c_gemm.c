/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_gemm.c - the hot kernels: GEMM and Gram matrices (see nchw16c.h), compiled
 * once per instruction set (see nchw16c_isa.h).
 *
 * Maps exceed the caches. To hide memory latency the loops prefetch early and steadily:
 * one cache line per few multiplications, never many lines at once.
 */
#include "config.h"

#include "kernels/nchw16c_isa.h"

/*
 * A panel: n columns by two vectors of outputs. w0 and w1 are their weights (16 in x
 * 16, this vector's lanes), c0 and c1 the outputs, bias0 and bias1 the biases, or NULL.
 * prefetch: the weights of the next two vectors, which are beyond the core's own cache;
 * each panel prefetches a share of them, at most one cache line per input.
 */
struct panel {
    const float *a, *w0, *w1, *bias0, *bias1;
    const char *prefetch;
    int prefetch_step; /* bytes per input */
    float *c0, *c1;
};

INLINE vec first_value(const struct nst_gemm *g, const float *bias, const float *c)
{
    vec v = g->add ? load(c) : (vec){0};

    return bias ? v + load(bias) : v;
}

/* Of each of in blocks: its inputs, and the floats from one column to the next. */
struct columns {
    int inputs, pitch;
};
static const struct columns map_columns = {NST_BLOCK, NST_BLOCK};
static const struct columns picture_columns = {NST_PICTURE_TAPS, 3};

/*
 * Micro-kernel: n columns (a constant after inlining). 2 n accumulators stay in
 * registers; inputs are broadcast one by one. single != 0 computes the first vector of
 * outputs only.
 */
INLINE void gemm_ukr(int n, int single, int relu, struct columns k,
                     const struct nst_gemm *g, const struct panel *p)
{
    const float *a = p->a, *w0 = p->w0, *w1 = p->w1;
    const char *prefetch = p->prefetch;
    vec s0[NST_NR], s1[NST_NR];
    int prefetch_step = p->prefetch_step;

    UNROLL for (int t = 0; t < n; t++)
    {
        s0[t] = first_value(g, p->bias0, p->c0 + t * NST_BLOCK);
        s1[t] = single ? s0[t] : first_value(g, p->bias1, p->c1 + t * NST_BLOCK);
    }
    for (int b = 0; b < g->in; b++, a += g->a_stride)
        for (int i = 0; i < k.inputs; i++, w0 += NST_BLOCK, w1 += NST_BLOCK) {
            vec u0 = load(w0), u1 = single ? u0 : load(w1);

            /* the columns of the next panel, and the weights ahead */
            __builtin_prefetch(a + (n + i) * k.pitch);
            __builtin_prefetch(w0 + NST_BLOCK * NST_BLOCK);
            __builtin_prefetch(w1 + NST_BLOCK * NST_BLOCK);
            __builtin_prefetch(prefetch, 0, 2);
            prefetch += prefetch_step;
            UNROLL for (int t = 0; t < n; t++)
            {
                float x = a[t * k.pitch + i];

                if (relu)
                    x = x > 0 ? x : 0;
                s0[t] += x * u0;
                if (!single)
                    s1[t] += x * u1;
            }
        }
    UNROLL for (int t = 0; t < n; t++)
    {
        store(p->c0 + t * NST_BLOCK, s0[t]);
        if (!single)
            store(p->c1 + t * NST_BLOCK, s1[t]);
    }
}

#define CASE(k)                                                                        \
    case k:                                                                            \
        gemm_ukr(k, single, relu, columns, g, p);                                      \
        break;

/* n is 1 to NST_NR; single, relu and columns are constants after inlining. */
INLINE void ukr_dispatch(int n, int single, int relu, struct columns columns,
                         const struct nst_gemm *g, const struct panel *p)
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

/* n columns: two vectors of outputs, or one. */
typedef void panel_fn(int n, const struct nst_gemm *g, const struct panel *p);

static void pair(int n, const struct nst_gemm *g, const struct panel *p)
{
    if (g->relu)
        ukr_dispatch(n, 0, 1, map_columns, g, p);
    else
        ukr_dispatch(n, 0, 0, map_columns, g, p);
}

static void single(int n, const struct nst_gemm *g, const struct panel *p)
{
    if (g->relu)
        ukr_dispatch(n, 1, 1, map_columns, g, p);
    else
        ukr_dispatch(n, 1, 0, map_columns, g, p);
}

static void picture_pair(int n, const struct nst_gemm *g, const struct panel *p)
{
    ukr_dispatch(n, 0, 0, picture_columns, g, p);
}

static void picture_single(int n, const struct nst_gemm *g, const struct panel *p)
{
    ukr_dispatch(n, 1, 0, picture_columns, g, p);
}

INLINE void multiply(const struct nst_gemm *g, struct columns columns, panel_fn *two,
                     panel_fn *one)
{
    size_t w_stride = (size_t)g->in * columns.inputs * NST_BLOCK;
    int vectors = g->out * BLOCK_VECS;
    int panels = (g->n + NST_NR - 1) / NST_NR;
    int line = NST_BLOCK * (int)sizeof *g->w,
        prefetch_step = 2 * NST_LANES * (int)sizeof *g->w / panels;

    if (prefetch_step > line)
        prefetch_step = line;
    for (int v = 0; v < vectors; v += 2) {
        size_t p0 = (size_t)(v % BLOCK_VECS) * NST_LANES, b0 = v / BLOCK_VECS;
        size_t p1 = (size_t)((v + 1) % BLOCK_VECS) * NST_LANES,
               b1 = (v + 1) / BLOCK_VECS;
        struct panel p = {
            .a = g->a,
            .w0 = g->w + b0 * w_stride + p0,
            .w1 = g->w + b1 * w_stride + p1,
            .bias0 = g->bias ? g->bias + b0 * NST_BLOCK + p0 : NULL,
            .bias1 = g->bias ? g->bias + b1 * NST_BLOCK + p1 : NULL,
            .prefetch = (const char *)(g->w + (size_t)(v + 2) * w_stride / BLOCK_VECS),
            .prefetch_step = prefetch_step,
            .c0 = g->c + b0 * g->c_stride + p0,
            .c1 = g->c + b1 * g->c_stride + p1};

        for (int i = 0, t = 0; i < panels; i++) {
            int m = (g->n - t) / (panels - i); /* widths differ by at most 1 */

            (v + 1 < vectors ? two : one)(m, g, &p);
            p.prefetch += (size_t)prefetch_step * columns.inputs * (size_t)g->in;
            p.a += m * columns.pitch;
            p.c0 += m * NST_BLOCK;
            p.c1 += m * NST_BLOCK;
            t += m;
        }
    }
}

void ISA(gemm)(const struct nst_gemm *g)
{
    multiply(g, map_columns, pair, single);
}

void ISA(gemm_picture)(const struct nst_gemm *g)
{
    multiply(g, picture_columns, picture_pair, picture_single);
}

/* Rows of accumulators per pass: 16 do not fit in registers with narrow vectors. */
#if NST_LANES == 16
#define GRAM_ROWS 16
#else
#define GRAM_ROWS (NST_LANES == 8 ? 4 : 2)
#endif

#define PREFETCH_PIXELS 64 /* prefetch distance */

INLINE void gram_rows(int rows, int n, const float *a, const float *b, size_t pitch,
                      int relu, float *g, int with_sums, float *sums)
{
    vec s[GRAM_ROWS][BLOCK_VECS], sum[BLOCK_VECS];

    UNROLL for (int i = 0; i < GRAM_ROWS; i++)
        UNROLL for (int p = 0; p < BLOCK_VECS; p++) s[i][p] =
            load(g + i * NST_BLOCK + p * NST_LANES);
    UNROLL for (int p = 0; p < BLOCK_VECS; p++) sum[p] =
        with_sums ? load(sums + p * NST_LANES) : (vec){0};
    for (int r = 0; r < rows; r++, a += pitch, b += pitch)
        for (int k = 0; k < n * NST_BLOCK; k += NST_BLOCK) {
            vec y[BLOCK_VECS];

            __builtin_prefetch(b + k + PREFETCH_PIXELS * NST_BLOCK);
            UNROLL for (int p = 0; p < BLOCK_VECS; p++)
            {
                y[p] = load_relu(b + k + p * NST_LANES, relu);
                if (with_sums)
                    sum[p] += load_relu(a + k + p * NST_LANES, relu);
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
    if (with_sums)
        UNROLL for (int p = 0; p < BLOCK_VECS; p++) store(sums + p * NST_LANES, sum[p]);
}

/* relu and with_sums are constants after inlining; the sums come with the first rows.
 */
INLINE void gram_block(int rows, int n, const float *a, const float *b, size_t pitch,
                       int relu, float *g, int with_sums, float *sums)
{
    gram_rows(rows, n, a, b, pitch, relu, g, with_sums, sums);
    for (int i = GRAM_ROWS; i < NST_BLOCK; i += GRAM_ROWS)
        gram_rows(rows, n, a + i, b, pitch, relu, g + i * NST_BLOCK, 0, NULL);
}

void ISA(gram)(int rows, int n, const float *a, const float *b, size_t pitch, int relu,
               float *g, float *sums)
{
    if (relu && sums)
        gram_block(rows, n, a, b, pitch, 1, g, 1, sums);
    else if (relu)
        gram_block(rows, n, a, b, pitch, 1, g, 0, NULL);
    else if (sums)
        gram_block(rows, n, a, b, pitch, 0, g, 1, sums);
    else
        gram_block(rows, n, a, b, pitch, 0, g, 0, NULL);
}
