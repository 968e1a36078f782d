/* SPDX-License-Identifier: MIT */
/* Passes over rows of pixels, and the table of one instruction set: see blocked.h, and
 * blocked_isa.h for how this is compiled. */
#include "config.h"

#include "kernels/blocked_isa.h"

/* b where it is larger, else a */
INLINE vec larger(vec a, vec b)
{
    return choose(b > a, b, a);
}

/* The offset of vector i of a row of windows in the rows above: its left pixel. */
INLINE int left_of(int i)
{
    return 2 * (i - i % NST_BLOCK) + i % NST_BLOCK;
}

INLINE void maxpool_row(int n, const float *x0, const float *x1, int relu, float *y)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        int at = left_of(i);
        vec upper = larger(see(x0 + at, relu), see(x0 + at + NST_BLOCK, relu));
        vec lower = larger(see(x1 + at, relu), see(x1 + at + NST_BLOCK, relu));

        store(y + i, larger(upper, lower));
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
        vec a = see(x0 + at, relu), b = see(x0 + at + NST_BLOCK, relu);
        vec c = see(x1 + at, relu), d = see(x1 + at + NST_BLOCK, relu);
        ints right0 = b > a, right1 = d > c, lower = larger(c, d) > larger(a, b);
        ints g = (ints)load(gy + i);

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

        store(y + i, (see(x0 + at, relu) + see(x0 + at + NST_BLOCK, relu) +
                      see(x1 + at, relu) + see(x1 + at + NST_BLOCK, relu)) *
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

static void join(int n, const float *up, const float *after, const float *before,
                 float *y)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES) {
        vec g = up ? load(up + i) : (vec){0};

        if (after)
            g += load(after + i);
        g = (vec)((ints)g & (load(y + i) > 0));
        if (before)
            g += load(before + i);
        store(y + i, g);
    }
}

static void rectify_pixels(int n, float *y)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES)
        store(y + i, rectify(load(y + i)));
}

static void add_difference(int n, const float *f, int relu, const float *t, float scale,
                           float *g)
{
    for (int i = 0; i < n * NST_BLOCK; i += NST_LANES)
        store(g + i, load(g + i) + scale * (see(f + i, relu) - load(t + i)));
}

static double squared_error(int n, const float *f, int relu, const float *t)
{
    enum { RUN = 32 }; /* pixels summed in single precision */
    double total = 0;

    for (int first = 0; first < n; first += RUN) {
        int end = (n - first < RUN ? n : first + RUN) * NST_BLOCK;
        vec sum = {0};

        for (int i = first * NST_BLOCK; i < end; i += NST_LANES) {
            vec d = see(f + i, relu) - load(t + i);

            sum += d * d;
        }
        for (int k = 0; k < NST_LANES; k++)
            total += sum[k];
    }
    return total;
}

extern const struct nst_blocked_kernels ISA(blocked);
const struct nst_blocked_kernels ISA(blocked) = {
    .name = QUOTE(NST_ISA),
    .columns = NST_COLUMNS,
    .winograd_input = ISA(winograd_input),
    .winograd_output = ISA(winograd_output),
    .product = ISA(product),
    .gram = ISA(gram),
    .maxpool = maxpool,
    .maxpool_grad = maxpool_grad,
    .avgpool = avgpool,
    .avgpool_grad = avgpool_grad,
    .join = join,
    .rectify = rectify_pixels,
    .add_difference = add_difference,
    .squared_error = squared_error,
};
