/* SPDX-License-Identifier: MIT */
/*
 * Compares every operator of every backend with the scalar one, on chosen and random
 * shapes, with outputs filled with NaN beforehand. Results must be bit-identical on one
 * thread and on five, which divide a border in another way. $NST_TEST_QUICK skips large
 * shapes. Links floors 0 to 2 only.
 *
 * Tolerance: |got - want| <= c eps sqrt(K) scale for a sum of K terms of that scale.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "backend/cuda/cuda.h"
#include "kernels/nchw16c.h"
#include "operators.h"
#include "../blas.h"
#include "../tap.h"

/* A backend under test. */
struct kind {
    const struct nst_backend_ops *ops;
    const char *name; /* instruction set or precision */
    enum nst_precision precision;
    double products, sums; /* tolerances relative to fp32 on the CPU */
};

/*
 * Values are within 1. The transforms of Winograd's F(4x4, 3x3) amplify rounding: K
 * terms add up to sqrt(K) / 3, and 256 eps sqrt(K) is 9e-5 of that, for the maximum of
 * many values. TF32 and fp16 keep 11 bits; their error may be 64 times as large.
 */
static double tolerance(const struct kind *k, const struct operation *op,
                        const struct input *in)
{
    double eps = 256 * FLT_EPSILON * k->products;

    switch (op->terms) {
    case NINE_IN:
        return eps * sqrt(9 * in->s.c);
    case NINE_OUT: /* losses add terms of all channels */
        return eps * sqrt(9 * in->cout + in->s.c);
    case PICTURE:
        return eps * sqrt(27);
    case ONE: /* sums over pixels are divided by their number; 4000 terms in single
               * precision deviate by 5 eps, the worst of many by 19 */
        break;
    }
    return 32 * FLT_EPSILON * k->sums;
}

static bool applies(const struct operation *op, const struct input *in)
{
    return !op->pools || (in->s.h >= 2 && in->s.w >= 2);
}

static double worst(const struct output *a, const struct output *b)
{
    double w = 0;

    if (a->n != b->n)
        return INFINITY;
    for (size_t i = 0; i < a->n; i++) {
        double d = fabs((double)a->v[i] - b->v[i]);

        if (!(d <= w))
            w = isnan(d) ? INFINITY : d;
    }
    return w;
}

static struct nst_backend *open_backend(const struct nst_backend_ops *ops,
                                        enum nst_precision precision, int threads)
{
    struct nst_backend_config config = {.threads = threads, .precision = precision};
    struct nst_backend *be;

    if (ops->open(&be, &config, NULL) != NST_OK)
        abort();
    be->max_regions = REGIONS;
    return be;
}

/* What the scalar backend makes of each input, one array for each operator. It is slow,
 * so it runs each only once. */
enum { MAX_OPERATORS = 64 };
static struct output *expected[MAX_OPERATORS];
static int operators;

static void expect_of(const struct operation *op, const struct input *inputs, int count)
{
    struct nst_backend *scalar = open_backend(&nst_backend_scalar, 0, 1);
    struct output *want = calloc((size_t)count, sizeof *want);

    if (!want || operators == MAX_OPERATORS)
        abort();
    for (int i = 0; i < count; i++)
        if (applies(op, &inputs[i]))
            want[i] = op->run(scalar, &inputs[i]);
    scalar->ops->close(scalar);
    expected[operators++] = want;
}

static void free_expected(int count)
{
    for (int k = 0; k < operators; k++) {
        for (int i = 0; i < count; i++)
            free(expected[k][i].v);
        free(expected[k]);
    }
}

/* One operator on all shapes: maximum error / tolerance, and equal bits. */
static void check(const struct kind *kind, const struct operation *op,
                  const struct input *inputs, int count, const struct output *want)
{
    struct nst_backend *one = open_backend(kind->ops, kind->precision, 1);
    struct nst_backend *five = open_backend(kind->ops, kind->precision, 5);
    double ratio = 0;
    bool same = true;
    int at = 0;

    for (int i = 0; i < count; i++) {
        const struct input *in = &inputs[i];
        struct output a, b;
        double r;

        if (!applies(op, in))
            continue;
        a = op->run(one, in);
        b = op->run(five, in);
        r = worst(&a, &want[i]) / tolerance(kind, op, in);
        if (r > ratio) {
            ratio = r;
            at = i;
        }
        same = same && a.n == b.n && memcmp(a.v, b.v, a.n * sizeof *a.v) == 0;
        free(a.v);
        free(b.v);
    }
    tap(ratio <= 1 && one->error.status == NST_OK,
        "%s, %s: %s agrees with the scalar one (%.2f of the tolerance, %dx%dx%d)%s",
        kind->ops->name, kind->name, op->name, ratio, inputs[at].s.c, inputs[at].s.h,
        inputs[at].s.w, one->error.text);
    tap(same, "%s, %s: %s gives the same bits on one thread and on five",
        kind->ops->name, kind->name, op->name);
    one->ops->close(one);
    five->ops->close(five);
}

static void check_operators(const struct kind *kind, const struct input *inputs,
                            int count)
{
    struct output **want = expected;

    for (const struct operation *op = convolution_operators; op->name; op++)
        check(kind, op, inputs, count, *want++);
    for (const struct operation *op = sum_operators; op->name; op++)
        check(kind, op, inputs, count, *want++);
}

/* The CPU backend with one instruction set, if this machine has it. */
static void check_set(const char *set, const struct input *inputs, int count)
{
    setenv("NST_CPU", set, 1);
    if (nst_nchw16c_choose())
        check_operators(&(struct kind){&nst_backend_cpu, set, 0, 1, 1}, inputs, count);
    else
        tap(1, "cpu, %s # SKIP this machine does not have it", set);
}

/* The backend blas, if there is a BLAS. */
static void check_blas(const struct input *inputs, int count)
{
    const struct nst_backend_ops *blas = blas_or_skip();

    if (blas)
        check_operators(&(struct kind){blas, "fp32", 0, 0.25, 1}, inputs, count);
}

/* The CUDA backend, if there is a device. */
static void check_cuda(const struct input *inputs, int count)
{
#ifdef HAVE_CUDA
    static const struct kind kinds[] = {
        {&nst_backend_cuda, "fp32", NST_PRECISION_FP32, 1, 1},
        {&nst_backend_cuda, "TF32", NST_PRECISION_TF32, 64, 8},
        {&nst_backend_cuda, "fp16", NST_PRECISION_FP16, 64, 8}};
    const struct kind older = {&nst_backend_cuda, "fp16 of 7.5", NST_PRECISION_FP16, 64,
                               8};
    struct nst_cuda_device device;
    struct nst_err err;

    unsetenv("NST_FAKE_CUDA_DRIVER");
    if (nst_cuda_device_count(&err) == 0) {
        tap(1, "cuda # SKIP %s", err.text);
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        check_operators(&kinds[i], inputs, count);
    if (nst_cuda_device(0, &device, NULL) || strcmp(device.name, "fake") != 0)
        return;
    /* an older GPU, which uses explicit im2col */
    setenv("NST_FAKE_CUDA_CC", "75", 1);
    check_operators(&older, inputs, count);
#else
    (void)inputs, (void)count;
    tap(1, "cuda # SKIP this build is without it");
#endif
}

int main(void)
{
    static const char *const sets[] = {"avx512", "avx2", "base"};
    int count;
    struct input *inputs = make_inputs(&count);

    for (const struct operation *op = convolution_operators; op->name; op++)
        expect_of(op, inputs, count);
    for (const struct operation *op = sum_operators; op->name; op++)
        expect_of(op, inputs, count);
    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++)
        check_set(sets[set], inputs, count);
    check_blas(inputs, count);
    check_cuda(inputs, count);
    free_expected(count);
    free_inputs(inputs, count);
    return tap_end();
}
