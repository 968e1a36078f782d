/* SPDX-License-Identifier: MIT */
/*
 * Compares every kernel of every instruction set that this machine has with plain loops
 * in double, on random shapes. Buffers have exactly the length that the kernel may use,
 * between guards of NaN: a read shows in the result, a write in the guard. With
 * AddressSanitizer any access to a guard is an error.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/nchw16c.h"
#include "kernels/reference.h"
#include "kernels/vector_kernels.h"
#include "../tap.h"

#if defined __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define ROUNDS 40
#define GUARD 64 /* floats on each side */
#define B NST_BLOCK

static unsigned seed;
static double worst; /* maximum error / tolerance of the kernel under test */
static bool intact;

/* A random number from low to high. */
static int any(int low, int high)
{
    return low +
           (int)((tap_random(&seed) + 1) / 2 * (float)(high - low + 1) * 0.999999f);
}

/* n floats between guards: random values, or NaN for an output. */
static float *guarded(size_t n, bool random)
{
    float *all = malloc((n + 2 * GUARD) * sizeof *all);

    for (size_t i = 0; i < n + 2 * GUARD; i++)
        all[i] = NAN;
    for (size_t i = 0; random && i < n; i++)
        all[GUARD + i] = tap_random(&seed);
    ASAN_POISON_MEMORY_REGION(all, GUARD * sizeof *all);
    ASAN_POISON_MEMORY_REGION(all + GUARD + n, GUARD * sizeof *all);
    return all + GUARD;
}

static void release(float *v, size_t n)
{
    float *all = v - GUARD;

    ASAN_UNPOISON_MEMORY_REGION(all, (n + 2 * GUARD) * sizeof *all);
    for (size_t i = 0; i < GUARD; i++)
        intact = intact && isnan(all[i]) && isnan(all[GUARD + n + i]);
    free(all);
}

static float *copy_of(const float *v, size_t n)
{
    float *c = guarded(n, false);

    memcpy(c, v, n * sizeof *c);
    return c;
}

/* Tolerance of a sum of terms within 1: the rounding error is a random walk. */
static double rounding(size_t terms)
{
    return 24 * FLT_EPSILON * sqrt((double)terms + 1);
}

static void compare(double got, double want, double tolerance)
{
    double r = fabs(got - want) / tolerance;

    if (!(r <= worst))
        worst = isnan(r) ? INFINITY : r;
}

static void compare_all(const float *got, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        compare(got[i], want[i], tolerance);
}

static double relu_if(float x, int relu)
{
    return relu && x < 0 ? 0 : x;
}

/* The matrices of F(4x4, 3x3): Lavin and Gray 2016, section 4.3. */
/* The matrices of one size of tiles, and its transforms. */
struct method {
    int side;
    double weight[6][3], input[6][6], output[4][6];
};

static const struct method methods[NST_WINOGRADS] = {
    {4,
     {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
     {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
     {{1, 1, 1, 0}, {0, 1, -1, -1}}},
    {6,
     {{1. / 4, 0, 0},
      {-1. / 6, -1. / 6, -1. / 6},
      {-1. / 6, 1. / 6, -1. / 6},
      {1. / 24, 1. / 12, 1. / 6},
      {1. / 24, -1. / 12, 1. / 6},
      {0, 0, 1}},
     {{4, 0, -5, 0, 1, 0},
      {0, -4, -4, 1, 1, 0},
      {0, 4, -4, -1, 1, 0},
      {0, -2, -1, 2, 1, 0},
      {0, 2, -1, -2, 1, 0},
      {0, 4, 0, -5, 0, 1}},
     {{1, 1, 1, 1, 1, 0},
      {0, 1, -1, 2, -2, 0},
      {0, 1, 1, 4, 4, 0},
      {0, 1, -1, 8, -8, 1}}}};

static void winograd_weight(const struct nst_nchw16c_kernels *k)
{
    int i = any(0, NST_WINOGRADS - 1), side = methods[i].side, points = side * side;
    size_t stride = (size_t)B * any(1, 5), m = (points - 1) * stride + B;
    float *g = guarded((size_t)9 * B, true), *u = guarded(m, false);

    k->winograd[i].weight(g, u, stride);
    for (int p = 0; p < points * B; p++) {
        int point = p / B, c = p % B;
        double want = 0;

        for (int r = 0; r < 9; r++)
            want += methods[i].weight[point / side][r / 3] *
                    methods[i].weight[point % side][r % 3] * g[r * B + c];
        compare(u[point * stride + c], want, rounding(1));
    }
    for (size_t p = 0; p < m; p++)
        intact = intact && (p % stride < B || isnan(u[p]));
    release(g, (size_t)9 * B);
    release(u, m);
}

static void winograd_input(const struct nst_nchw16c_kernels *k)
{
    int i = any(0, NST_WINOGRADS - 1), side = methods[i].side, points = side * side;
    size_t pitch = (size_t)B * any(side, 9), stride = (size_t)B * any(1, 5);
    size_t n = (side - 1) * pitch + (size_t)side * B, m = (points - 1) * stride + B;
    float *x = guarded(n, true), *v = guarded(m, false);
    int relu = any(0, 1);

    k->winograd[i].input(x, pitch, relu, v, stride);
    for (int p = 0; p < points * B; p++) {
        int point = p / B, c = p % B;
        double want = 0;

        for (int r = 0; r < points; r++)
            want += methods[i].input[point / side][r / side] *
                    methods[i].input[point % side][r % side] *
                    relu_if(x[r / side * pitch + r % side * B + c], relu);
        compare(v[point * stride + c], want, 10 * rounding(36));
    }
    for (size_t p = 0; p < m; p++) /* between the points */
        intact = intact && (p % stride < B || isnan(v[p]));
    release(x, n);
    release(v, m);
}

static void winograd_output(const struct nst_nchw16c_kernels *k)
{
    int i = any(0, NST_WINOGRADS - 1), side = methods[i].side, points = side * side;
    int rows = any(1, side - 2), columns = any(1, side - 2);
    int relu = any(0, 1), biased = any(0, 1);
    size_t pitch = (size_t)B * any(4, 7), stride = (size_t)B * any(1, 5);
    size_t n = (rows - 1) * pitch + (size_t)columns * B, m = (points - 1) * stride + B;
    float *v = guarded(m, true), *bias = guarded(B, true), *y = guarded(n, false);

    k->winograd[i].output(v, stride, biased ? bias : NULL, relu, y, pitch, rows,
                          columns);
    for (int p = 0; p < rows * columns * B; p++) {
        int row = p / B / columns, column = p / B % columns, c = p % B;
        double want = biased ? bias[c] : 0;

        for (int q = 0; q < points; q++)
            want += methods[i].output[row][q / side] *
                    methods[i].output[column][q % side] * v[q * stride + c];
        compare(y[row * pitch + column * B + c], relu && want < 0 ? 0 : want,
                10 * rounding(36));
    }
    for (size_t p = 0; p < n; p++)
        intact = intact && (p % pitch < (size_t)columns * B || isnan(y[p]));
    release(v, m);
    release(bias, B);
    release(y, n);
}

static void gemm(const struct nst_nchw16c_kernels *k)
{
    static const int blocks[] = {1, 2, 3, 4, 8, 32};
    int in = blocks[any(0, 5)], out = blocks[any(0, 4)], n = any(1, 3 * k->nr);
    int relu = any(0, 1), biased = any(0, 1), add = any(0, 1);
    size_t a_stride = (size_t)B * (n + any(0, 2)),
           c_stride = (size_t)B * (n + any(0, 2));
    size_t na = (in - 1) * a_stride + (size_t)n * B, nw = (size_t)in * out * B * B;
    size_t nc = (out - 1) * c_stride + (size_t)n * B;
    float *a = guarded(na, true), *w = guarded(nw, true), *c = guarded(nc, add);
    float *bias = guarded((size_t)out * B, true), *before = copy_of(c, nc);

    k->gemm(&(struct nst_gemm){n, in, out, a, w, a_stride, c_stride, relu,
                               biased ? bias : NULL, add, c});
    for (int i = 0; i < out * n * B; i++) {
        int o = i / B / n, column = i / B % n, lane = i % B;
        size_t at = o * c_stride + (size_t)column * B + lane;
        double want = (add ? before[at] : 0) + (biased ? bias[o * B + lane] : 0);

        for (int j = 0; j < in * B; j++)
            want += w[((size_t)o * in * B + j) * B + lane] *
                    relu_if(a[j / B * a_stride + column * B + j % B], relu);
        compare(c[at], want, rounding((size_t)in * B));
    }
    for (size_t i = 0; i < nc; i++) /* between the blocks */
        intact = intact && (i % c_stride < (size_t)n * B || isnan(c[i]) ||
                            (add && c[i] == before[i]));
    release(a, na);
    release(w, nw);
    release(c, nc);
    release(bias, (size_t)out * B);
    release(before, nc);
}

static void gram(const struct nst_nchw16c_kernels *k)
{
    int rows = any(1, 4), n = any(1, 40), relu = any(0, 1);
    size_t pitch = (size_t)B * (n + any(0, 3)), m = (rows - 1) * pitch + (size_t)n * B;
    float *a = guarded(m, true), *b = guarded(m, true), *g = guarded(B * B, true);
    float *before = copy_of(g, B * B), *sums = guarded(B, true);
    float *sums_before = copy_of(sums, B);

    k->gram(rows, n, a, b, pitch, relu, g, sums);
    for (int c = 0; c < B; c++) {
        double want = sums_before[c];

        for (int p = 0; p < rows * n; p++)
            want += relu_if(a[p / n * pitch + (size_t)(p % n) * B + c], relu);
        compare(sums[c], want, rounding((size_t)rows * n));
    }
    for (int i = 0; i < B * B; i++) {
        double want = before[i];

        for (int p = 0; p < rows * n; p++) {
            size_t at = p / n * pitch + (size_t)(p % n) * B;

            want += relu_if(a[at + i / B], relu) * relu_if(b[at + i % B], relu);
        }
        compare(g[i], want, rounding((size_t)rows * n));
    }
    release(a, m);
    release(b, m);
    release(g, B * B);
    release(before, B * B);
    release(sums, B);
    release(sums_before, B);
}

/* One channel of a row of blocked pixels, as a planar row. */
static void take_channel(const float *v, int n, int c, float *out)
{
    for (int i = 0; i < n; i++)
        out[i] = v[i * B + c];
}

/* Both poolings and their gradients, on rows with equal maxima. */
static void pooling(const struct nst_nchw16c_kernels *k)
{
    int n = any(1, 70), relu = any(0, 1), w = 2 * n;
    size_t two = (size_t)w * B, one = (size_t)n * B;
    float *x0 = guarded(two, true), *x1 = guarded(two, true), *gy = guarded(one, true);
    float *y = guarded(one, false), *g0 = guarded(two, false),
          *g1 = guarded(two, false);
    float *map = malloc(2 * (size_t)w * sizeof *map),
          *way = malloc(2 * (size_t)w * sizeof *way);
    float *small = malloc((size_t)n * sizeof *small),
          *line = malloc((size_t)w * sizeof *line);
    bool max = any(0, 1);

    for (size_t i = 0; i < two; i++) {
        x0[i] = roundf(2 * x0[i]) / 2;
        x1[i] = roundf(2 * x1[i]) / 2;
    }
    (max ? k->maxpool : k->avgpool)(n, x0, x1, relu, y);
    if (max)
        k->maxpool_grad(n, x0, x1, relu, gy, g0, g1);
    else
        k->avgpool_grad(n, gy, g0, g1);
    for (int c = 0; c < B; c++) {
        take_channel(x0, w, c, map);
        take_channel(x1, w, c, map + w);
        (max ? nst_maxpool_c : nst_avgpool_c)(map, relu, small, 1, 2, w);
        take_channel(y, n, c, line);
        compare_all(line, small, (size_t)n, rounding(4));
        take_channel(gy, n, c, small);
        if (max)
            nst_maxpool_grad_c(map, relu, small, way, 1, 2, w);
        else
            nst_avgpool_grad_c(small, way, 1, 2, w);
        take_channel(g0, w, c, line);
        compare_all(line, way, (size_t)w, rounding(1));
        take_channel(g1, w, c, line);
        compare_all(line, way + w, (size_t)w, rounding(1));
    }
    free(map);
    free(way);
    free(small);
    free(line);
    release(x0, two);
    release(x1, two);
    release(gy, one);
    release(y, one);
    release(g0, two);
    release(g1, two);
}

static void rows(const struct nst_nchw16c_kernels *k)
{
    int pixels = any(1, 90), relu = any(0, 1);
    size_t n = (size_t)pixels * B;
    float *upstream = guarded(n, true), *after = guarded(n, true),
          *before = guarded(n, true);
    float *y = guarded(n, true), *was = copy_of(y, n), scale = tap_random(&seed);
    const float *in[3] = {any(0, 1) ? upstream : NULL, any(0, 1) ? after : NULL,
                          any(0, 1) ? before : NULL};
    double error = 0;

    k->relu_grad(pixels, in[0], in[1], in[2], y);
    for (size_t i = 0; i < n; i++)
        compare(
            y[i],
            (was[i] > 0 ? (in[0] ? upstream[i] : 0.0) + (in[1] ? after[i] : 0.0) : 0) +
                (in[2] ? before[i] : 0.0),
            rounding(3));
    memcpy(was, y, n * sizeof *y);
    k->relu(pixels, y);
    for (size_t i = 0; i < n; i++)
        compare(y[i], relu_if(was[i], 1), FLT_EPSILON);
    memcpy(was, y, n * sizeof *y);
    k->add_difference(pixels, upstream, relu, after, scale, y);
    for (size_t i = 0; i < n; i++) {
        compare(y[i], was[i] + scale * (relu_if(upstream[i], relu) - after[i]),
                rounding(3));
        error += pow(relu_if(upstream[i], relu) - after[i], 2);
    }
    compare(k->squared_error(pixels, upstream, relu, after), error,
            8 * FLT_EPSILON * error);
    release(upstream, n);
    release(after, n);
    release(before, n);
    release(y, n);
    release(was, n);
}

/* Lengths around every vector width, and longer than one run of a sum. */
static size_t any_length(void)
{
    return (size_t)(any(0, 1) ? any(1, 40) : any(500, 3000));
}

static uint8_t *random_flags(size_t n)
{
    uint8_t *f = malloc(n);

    for (size_t i = 0; i < n; i++)
        f[i] = (uint8_t)any(0, 1);
    return f;
}

static void vector_dots(const struct nst_vector_kernels *k)
{
    size_t n = any_length();
    float *a = guarded(n, true), *b = guarded(n, true), *y = copy_of(b, n);
    uint8_t *fixed = random_flags(n);
    float alpha = tap_random(&seed);
    double dot = 0, masked_dot = 0, sum = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * b[i];
        masked_dot += fixed[i] ? 0 : (double)a[i] * b[i];
        sum += fabs(a[i]);
        most = fmax(most, fabs(a[i]));
    }
    compare(k->dot(n, a, b), dot, 1e-12);
    compare(k->masked_dot(n, a, b, fixed), masked_dot, 1e-12);
    compare(k->sum_abs(n, a), sum, 1e-12);
    compare(k->max_abs(n, a), most, 1e-12);
    k->axpy(n, y, alpha, a);
    for (size_t i = 0; i < n; i++)
        compare(y[i], b[i] + (double)alpha * a[i], rounding(2));
    memcpy(b, y, n * sizeof *y);
    k->scale(n, y, alpha);
    for (size_t i = 0; i < n; i++)
        compare(y[i], (double)alpha * b[i], rounding(1));
    a[n - 1] = NAN;
    worst = isnan(k->max_abs(n, a)) ? worst : INFINITY;
    free(fixed);
    release(a, n);
    release(b, n);
    release(y, n);
}

static void lbfgs_recurse4(const struct nst_vector_kernels *k)
{
    size_t n = any_length();
    float *d = guarded(n, true), *was, *v[12], factor[4], scale;
    const float *x[4], *z[4], *w[4];
    uint8_t *fixed = any(0, 1) ? random_flags(n) : NULL;
    bool crosses = any(0, 1), fresh = any(0, 2) == 0;
    double sums[14], along[4] = {0}, cross[10] = {0};

    scale = fresh ? 0 : tap_random(&seed);
    for (size_t i = 0; fresh && i < n; i++)
        d[i] = NAN;
    was = copy_of(d, n);
    for (int i = 0; i < 12; i++)
        v[i] = guarded(n, true);
    for (int i = 0; i < 4; i++) {
        factor[i] = tap_random(&seed);
        x[i] = v[i];
        z[i] = v[4 + i];
        w[i] = v[8 + i];
    }
    k->lbfgs_recurse4(n, d, scale, factor, x, fixed, z, crosses ? w : NULL, sums);
    for (size_t i = 0; i < n; i++) {
        double want = fresh ? 0 : (double)scale * was[i];

        for (int j = 0; j < 4; j++)
            want += (double)factor[j] * x[j][i];
        compare(d[i], fixed && fixed[i] ? 0 : want, rounding(5));
        for (int r = 0; r < 4; r++) {
            along[r] += (double)d[i] * z[r][i];
            for (int c = 0; c <= r && !(fixed && fixed[i]); c++)
                cross[r * (r + 1) / 2 + c] += (double)z[r][i] * w[c][i];
        }
    }
    for (int i = 0; i < 4; i++)
        compare(sums[i], along[i], rounding(n));
    for (int i = 0; i < 10 && crosses; i++)
        compare(sums[4 + i], cross[i], rounding(n));
    free(fixed);
    for (int i = 0; i < 12; i++)
        release(v[i], n);
    release(was, n);
    release(d, n);
}

static void box(const struct nst_vector_kernels *k)
{
    size_t n = any_length(), count = 0;
    float *x = guarded(n, true), *d = guarded(n, true), *g = guarded(n, true);
    float *was = copy_of(d, n), *to = guarded(n, false), t = tap_random(&seed);
    uint8_t *fixed = random_flags(n);
    double slope = 0, max_step = 1e10, got;

    for (size_t i = 0; i < n; i++)
        x[i] = fminf(fmaxf(x[i], -0.5f), 0.5f);
    d[any(0, (int)n - 1)] = 0;
    memcpy(was, d, n * sizeof *d);
    compare((double)k->active_set(n, x, g, -0.5f, 0.5f, fixed), 0, INFINITY);
    for (size_t i = 0; i < n; i++) {
        bool want = (x[i] <= -0.5f && g[i] > 0) || (x[i] >= 0.5f && g[i] < 0);

        compare(fixed[i], want, 0.5);
        count += want;
    }
    compare((double)k->active_set(n, x, g, -0.5f, 0.5f, fixed), (double)count, 0.5);
    k->projected_step(n, to, x, t, d, -0.5f, 0.5f);
    for (size_t i = 0; i < n; i++)
        compare(to[i], fmin(fmax(x[i] + (double)t * d[i], -0.5), 0.5), rounding(2));
    got = k->project(n, d, x, -0.5f, 0.5f, g);
    for (size_t i = 0; i < n; i++) {
        double room = d[i] > 0 ? 0.5 - x[i] : x[i] + 0.5;

        compare(d[i], fmin(fmax(x[i] + (double)was[i], -0.5), 0.5) - x[i], rounding(2));
        slope += (double)d[i] * g[i];
        if (d[i] != 0)
            max_step = fmin(max_step, room / fabs(d[i]));
    }
    compare(got, slope, 1e-12);
    compare(k->max_step(n, x, d, -0.5f, 0.5f), max_step, 8 * FLT_EPSILON * max_step);
    free(fixed);
    release(x, n);
    release(d, n);
    release(g, n);
    release(was, n);
    release(to, n);
}

static void accept(const struct nst_vector_kernels *k)
{
    size_t n = any_length();
    float *x = guarded(n, true), *s = guarded(n, true), *y = guarded(n, false);
    float *after = guarded(n, true), *before = guarded(n, true);
    float *from = copy_of(x, n), *to = copy_of(s, n);
    double sy, yy, want_sy = 0, want_yy = 0;

    k->accept(n, x, s, y, after, before, &sy, &yy);
    for (size_t i = 0; i < n; i++) {
        compare(x[i], to[i], FLT_EPSILON);
        compare(s[i], (double)to[i] - from[i], rounding(1));
        compare(y[i], (double)after[i] - before[i], rounding(1));
        want_sy += (double)s[i] * y[i];
        want_yy += (double)y[i] * y[i];
    }
    compare(sy, want_sy, 1e-12);
    compare(yy, want_yy, 1e-12 * (1 + want_yy));
    release(x, n);
    release(s, n);
    release(y, n);
    release(after, n);
    release(before, n);
    release(from, n);
    release(to, n);
}

static const struct nchw16c_check {
    const char *name;
    void (*run)(const struct nst_nchw16c_kernels *k);
} nchw16c[] = {
    {"winograd_weight", winograd_weight},
    {"winograd_input", winograd_input},
    {"winograd_output", winograd_output},
    {"gemm", gemm},
    {"gram", gram},
    {"pooling and its ways back", pooling},
    {"relu_grad, relu, add_difference, squared_error", rows},
};

static const struct vector_check {
    const char *name;
    void (*run)(const struct nst_vector_kernels *k);
} vectors[] = {
    {"dot, masked_dot, sum_abs, max_abs, axpy, scale", vector_dots},
    {"lbfgs_recurse4", lbfgs_recurse4},
    {"active_set, project, projected_step, max_step", box},
    {"accept", accept},
};

static void report(const char *set, const char *name)
{
    tap(worst <= 1 && intact, "%s: %s agrees (%.2f of the tolerance%s)", set, name,
        worst, intact ? "" : ", written outside");
    worst = 0;
    intact = true;
}

int main(void)
{
    seed = tap_seed() | 1;
    intact = true;
    for (const struct nst_nchw16c_kernels *const *k = nst_nchw16c_available(); *k;
         k++) {
        setenv("NST_CPU", (*k)->name, 1);
        for (size_t i = 0; i < sizeof nchw16c / sizeof *nchw16c; i++) {
            for (int r = 0; r < ROUNDS; r++)
                nchw16c[i].run(*k);
            report((*k)->name, nchw16c[i].name);
        }
        for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
            for (int r = 0; r < ROUNDS; r++)
                vectors[i].run(nst_vector_kernels_choose());
            report((*k)->name, vectors[i].name);
        }
    }
    return tap_end();
}
