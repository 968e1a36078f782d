/* SPDX-License-Identifier: MIT */
/* nchw16c_rows.c - kernels on rows of pixels, and the table of one instruction set (see
 * nchw16c.h); compiled once per instruction set (see nchw16c_isa.h). */
#include "config.h"

#include "kernels/nchw16c_isa.h"

/* b where b > a, else a: the first of equal values */
INLINE vec vec_max(vec a, vec b)
{
    return vec_select(b > a, b, a);
}

/* Input offset of the left pixel of the window at output offset i. */
INLINE int left_of(int i)
{
    return 2 * (i - i % NST_BLOCK) + i % NST_BLOCK;
}

INLINE void maxpool_row(int n, const float *x0, const float *x1, int relu, float *y)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        int at = left_of(i);
        vec upper =
            vec_max(load_relu(x0 + at, relu), load_relu(x0 + at + NST_BLOCK, relu));
        vec lower =
            vec_max(load_relu(x1 + at, relu), load_relu(x1 + at + NST_BLOCK, relu));

        store(y + i, vec_max(upper, lower));
    }
}

static void maxpool(int n, const float *x0, const float *x1, int relu, float *y)
{
    if (relu)
        maxpool_row(n, x0, x1, 1, y);
    else
        maxpool_row(n, x0, x1, 0, y);
}

INLINE void maxpool_grad_row(int n, const float *x0, const float *x1, int relu,
                             const float *gy, float *g0, float *g1)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        int at = left_of(i);
        vec a = load_relu(x0 + at, relu), b = load_relu(x0 + at + NST_BLOCK, relu);
        vec c = load_relu(x1 + at, relu), d = load_relu(x1 + at + NST_BLOCK, relu);
        ivec right0 = b > a, right1 = d > c, lower = vec_max(c, d) > vec_max(a, b);
        ivec g = (ivec)load(gy + i);

        store(g0 + at, (vec)(g & ~lower & ~right0));
        store(g0 + at + NST_BLOCK, (vec)(g & ~lower & right0));
        store(g1 + at, (vec)(g & lower & ~right1));
        store(g1 + at + NST_BLOCK, (vec)(g & lower & right1));
    }
}

static void maxpool_grad(int n, const float *x0, const float *x1, int relu,
                         const float *gy, float *g0, float *g1)
{
    if (relu)
        maxpool_grad_row(n, x0, x1, 1, gy, g0, g1);
    else
        maxpool_grad_row(n, x0, x1, 0, gy, g0, g1);
}

static void avgpool(int n, const float *x0, const float *x1, int relu, float *y)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        int at = left_of(i);

        store(y + i, (load_relu(x0 + at, relu) + load_relu(x0 + at + NST_BLOCK, relu) +
                      load_relu(x1 + at, relu) + load_relu(x1 + at + NST_BLOCK, relu)) *
                         0.25f);
    }
}

static void avgpool_grad(int n, const float *gy, float *g0, float *g1)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        int at = left_of(i);
        vec g = load(gy + i) * 0.25f;

        store(g0 + at, g);
        store(g0 + at + NST_BLOCK, g);
        store(g1 + at, g);
        store(g1 + at + NST_BLOCK, g);
    }
}

static void relu_grad(int n, const float *upstream, const float *after,
                      const float *before, float *y)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        vec g = upstream ? load(upstream + i) : (vec){0};

        if (after)
            g += load(after + i);
        g = (vec)((ivec)g & (load(y + i) > 0));
        if (before)
            g += load(before + i);
        store(y + i, g);
    }
}

static void relu_row(int n, float *y)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES)
        store(y + i, relu_vec(load(y + i)));
}

static void add_difference(int n, const float *f, int relu, const float *t, float scale,
                           float *g)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES)
        store(g + i, load(g + i) + scale * (load_relu(f + i, relu) - load(t + i)));
}

static double squared_error(int n, const float *f, int relu, const float *t)
{
    enum { RUN = 32 }; /* pixels summed in single precision */
    double total = 0;

    for (int first = 0; first < n; first += RUN) {
        int end = (n - first < RUN ? n : first + RUN) * NST_BLOCK;
        vec sum = {0};

        for (int i = first * NST_BLOCK; i < end; i += NST_LANES) {
            vec d = load_relu(f + i, relu) - load(t + i);

            sum += d * d;
        }
        for (int k = 0; k < NST_LANES; k++)
            total += sum[k];
    }
    return total;
}

/* Products read the fewest weights; F(2x2, 3x3) has the fewest multiplications, which
 * cost more with narrow vectors. */
#define DIRECT_PIXELS (NST_LANES == 16 ? 32 : 6)

extern const struct nst_nchw16c_kernels ISA(nchw16c);
const struct nst_nchw16c_kernels ISA(nchw16c) = {
    .name = QUOTE(NST_ISA),
    .nr = NST_NR,
    .direct_pixels = DIRECT_PIXELS,
    .winograd = ISA(winograd),
    .net = &ISA(net),
    .net_grad = &ISA(net_grad),
    .gemm = ISA(gemm),
    .gram = ISA(gram),
    .maxpool = maxpool,
    .maxpool_grad = maxpool_grad,
    .avgpool = avgpool,
    .avgpool_grad = avgpool_grad,
    .relu_grad = relu_grad,
    .relu = relu_row,
    .add_difference = add_difference,
    .squared_error = squared_error,
};
