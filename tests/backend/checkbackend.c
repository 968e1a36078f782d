/* SPDX-License-Identifier: MIT */
/*
 * Every operator of every backend against the scalar one, on chosen and on random
 * shapes, with outputs filled with NaN beforehand; and the same bits for any number of
 * threads. With $NST_TEST_QUICK only on the smaller ones. Links floors 0 to 2 alone.
 *
 * Tolerance: |got - want| <= c eps sqrt(K) scale for a sum of K terms of that scale.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cuda/cuda.h"
#include "kernels/blocked.h"
#include "../tap.h"

static unsigned seed;

/* What one operator made on one backend: planar values, or a number. */
struct output {
    size_t n;
    float *v;
};

#define REGIONS 3

struct input {
    struct nst_shape s;
    int cout;
    bool relu, guided;
    struct nst_region_terms regions[REGIONS];
    enum nst_pooling pooling;
    float *x, *other, *third, *weight, *bias, *square; /* square is symmetric */
};

static float *random_values(size_t n)
{
    float *v = malloc((n ? n : 1) * sizeof *v);

    /* such as fp16 and TF32 hold, too; some are equal */
    for (size_t i = 0; i < n; i++)
        v[i] = rintf(1024 * tap_random(&seed)) / 1024;
    return v;
}

/* 0 to n - 1 */
static int any(int n)
{
    return (int)((tap_random(&seed) + 1) / 2 * (float)n * 0.999999f);
}

static struct nst_tensor *tensor(struct nst_backend *be, struct nst_shape s,
                                 const float *values)
{
    struct nst_tensor *t;
    size_t n = nst_shape_count(s);
    float *nan = NULL;

    if (be->ops->tensor_new(be, &t, s, NULL) != NST_OK)
        abort();
    if (!values) {
        values = nan = malloc(n * sizeof *nan);
        for (size_t i = 0; i < n; i++)
            nan[i] = NAN;
    }
    be->ops->upload(be, values, t);
    free(nan);
    return t;
}

static struct output take(struct nst_backend *be, struct nst_tensor *t)
{
    struct output o = {nst_shape_count(t->shape), NULL};

    o.v = malloc(o.n * sizeof *o.v);
    be->ops->download(be, t, o.v);
    be->ops->tensor_free(be, t);
    return o;
}

static struct nst_shape with_channels(struct nst_shape s, int c)
{
    s.c = c;
    return s;
}

static struct nst_shape halved(struct nst_shape s)
{
    s.h /= 2;
    s.w /= 2;
    return s;
}

static struct nst_conv *convolution(struct nst_backend *be, const struct input *in,
                                    const struct nst_normalisation *picture)
{
    struct nst_conv *k;
    int cin = picture ? 3 : in->s.c;

    if (be->ops->conv_new(be, &k, in->weight, in->bias, cin, in->cout, picture, NULL))
        abort();
    return k;
}

/* Both outputs, one after the other. */
static struct output both(struct output a, struct output b)
{
    a.v = realloc(a.v, (a.n + b.n) * sizeof *a.v);
    memcpy(a.v + a.n, b.v, b.n * sizeof *b.v);
    a.n += b.n;
    free(b.v);
    return a;
}

static struct output run_conv(struct nst_backend *be, const struct input *in,
                              bool out_relu, bool pools)
{
    struct nst_shape s = with_channels(in->s, in->cout);
    struct nst_tensor *x = tensor(be, in->s, in->x), *y = tensor(be, s, NULL);
    struct nst_tensor *pooled = pools ? tensor(be, halved(s), NULL) : NULL;
    struct nst_conv *k = convolution(be, in, NULL);

    be->ops->conv(be, k, x, in->relu, y, out_relu, in->pooling, pooled);
    be->ops->conv_free(be, k);
    be->ops->tensor_free(be, x);
    return pools ? both(take(be, y), take(be, pooled)) : take(be, y);
}

static struct output conv(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, false, false);
}

static struct output conv_relu(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, true, false);
}

static struct output conv_pool(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, false, true);
}

static struct output conv_relu_pool(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, true, true);
}

/* Pixels of a map of twice the size and one more. */
static size_t guide_area(const struct input *in)
{
    return (size_t)(2 * in->s.h + 1) * (size_t)(2 * in->s.w + 1);
}

/* Numbers that hold what is on the host. */
static void *numbers(struct nst_backend *be, const void *host, size_t bytes)
{
    void *there;

    if (be->ops->numbers_new(be, &there, bytes, NULL) != NST_OK)
        abort();
    be->ops->put(be, there, host, bytes);
    return there;
}

/* Numbers that nobody has set. */
static void *poisoned(struct nst_backend *be, size_t bytes)
{
    char *nan = malloc(bytes);
    void *there;

    memset(nan, 0xff, bytes);
    there = numbers(be, nan, bytes);
    free(nan);
    return there;
}

/* Read n floats of them, and free them. */
static float *read_floats(struct nst_backend *be, void *there, size_t n)
{
    float *v = malloc(n * sizeof *v);

    be->ops->get(be, v, there, n * sizeof *v);
    be->ops->numbers_free(be, there);
    return v;
}

/* A region's matrix, there. */
static float *show_matrix(struct nst_backend *be, const struct input *in,
                          const float *values)
{
    size_t bytes = be->ops->matrix_bytes(be, in->s.c);
    float *matrix = poisoned(be, bytes);

    be->ops->put(be, matrix, values, (size_t)in->s.c * in->s.c * sizeof *values);
    be->ops->ready_matrix(be, in->s.c, matrix);
    return matrix;
}

/* The regions' terms, there. */
static void show_regions(struct nst_backend *be, const struct input *in,
                         struct nst_region_terms there[REGIONS])
{
    size_t c = (size_t)in->s.c;

    for (int i = 0; i < REGIONS; i++) {
        const struct nst_region_terms *t = &in->regions[i];

        there[i] = (struct nst_region_terms){
            show_matrix(be, in, t->matrix),
            t->offset ? numbers(be, t->offset, c * sizeof(float)) : NULL,
            t->guide ? numbers(be, t->guide, guide_area(in) * sizeof(float)) : NULL};
    }
}

static void free_regions(struct nst_backend *be, struct nst_region_terms there[REGIONS])
{
    for (int i = 0; i < REGIONS; i++) {
        be->ops->numbers_free(be, (void *)there[i].matrix);
        be->ops->numbers_free(be, (void *)there[i].offset);
        be->ops->numbers_free(be, (void *)there[i].guide);
    }
}

/* The way back to a map of s, through a convolution (or none, at the last map), with
 * losses or without. */
static struct output run_grad(struct nst_backend *be, const struct input *in,
                              struct nst_shape s, bool pooled, bool losses, bool last)
{
    struct nst_tensor *y = tensor(be, s, in->x), *target = tensor(be, s, in->other);
    struct nst_tensor *gy = tensor(be, with_channels(in->s, in->cout), in->third);
    struct nst_conv *k = convolution(be, in, NULL);
    struct nst_joint j = {
        .y = y, .before_relu = in->relu, .pooled = pooled, .pooling = in->pooling};
    struct nst_region_terms regions[REGIONS];

    show_regions(be, in, regions);
    if (losses) {
        j.after = (struct nst_terms){regions, 1, target, 0.3f};
        if (in->relu)
            j.before = (struct nst_terms){regions, in->guided ? 3 : 1, target, -0.7f};
        if (in->cout % 3 == 1) /* not all of them always */
            j.after.regions = in->guided ? 2 : 0;
        if (in->cout % 3 == 2) {
            j.before.target = NULL;
            j.before.regions = in->relu && in->guided;
        }
    }
    if (last)
        be->ops->last_grad(be, &j);
    else
        be->ops->conv_grad(be, k, gy, &j);
    free_regions(be, regions);
    be->ops->conv_free(be, k);
    be->ops->tensor_free(be, gy);
    be->ops->tensor_free(be, target);
    return take(be, y);
}

static struct output conv_grad(struct nst_backend *be, const struct input *in)
{
    return run_grad(be, in, in->s, false, false, false);
}

static struct output conv_grad_losses(struct nst_backend *be, const struct input *in)
{
    return run_grad(be, in, in->s, false, true, false);
}

/* Pooled from twice the size, and one more of what is odd. */
static struct nst_shape doubled(const struct input *in)
{
    return (struct nst_shape){in->s.c, 2 * in->s.h + in->cout % 2,
                              2 * in->s.w + in->s.h % 2};
}

static struct output conv_grad_pool(struct nst_backend *be, const struct input *in)
{
    return run_grad(be, in, doubled(in), true, false, false);
}

static struct output conv_grad_pool_losses(struct nst_backend *be,
                                           const struct input *in)
{
    return run_grad(be, in, doubled(in), true, true, false);
}

static struct output last_grad(struct nst_backend *be, const struct input *in)
{
    return run_grad(be, in, in->s, false, true, true);
}

static const struct nst_normalisation normalisation = {{0.5f, 0.4f, 0.3f},
                                                       {0.5f, 0.25f, 1}};

static struct output run_picture(struct nst_backend *be, const struct input *in,
                                 bool out_relu)
{
    struct nst_tensor *y = tensor(be, with_channels(in->s, in->cout), NULL);
    struct nst_conv *k = convolution(be, in, &normalisation);

    void *rgb = numbers(be, in->x, 3 * nst_shape_area(in->s) * sizeof(float));

    be->ops->conv_picture(be, k, rgb, y, out_relu);
    be->ops->numbers_free(be, rgb);
    be->ops->conv_free(be, k);
    return take(be, y);
}

static struct output conv_picture(struct nst_backend *be, const struct input *in)
{
    return run_picture(be, in, false);
}

static struct output conv_picture_relu(struct nst_backend *be, const struct input *in)
{
    return run_picture(be, in, true);
}

static struct output conv_picture_grad(struct nst_backend *be, const struct input *in)
{
    struct nst_tensor *gy = tensor(be, with_channels(in->s, in->cout), in->third);
    struct nst_conv *k = convolution(be, in, &normalisation);
    struct output o = {3 * nst_shape_area(in->s), NULL};
    void *grad = poisoned(be, o.n * sizeof(float));

    be->ops->conv_picture_grad(be, k, gy, grad);
    o.v = read_floats(be, grad, o.n);
    be->ops->conv_free(be, k);
    be->ops->tensor_free(be, gy);
    return o;
}

static struct output copy(struct nst_backend *be, const struct input *in)
{
    struct nst_tensor *x = tensor(be, in->s, in->x), *y = tensor(be, in->s, NULL);

    be->ops->tensor_copy(be, x, in->relu, y);
    be->ops->tensor_free(be, x);
    return take(be, y);
}

/* All of a map, or what is left without an edge. */
static struct nst_window part(const struct input *in)
{
    struct nst_window w = nst_whole(in->s);

    if (in->relu && w.height > 3 && w.width > 4)
        w = (struct nst_window){1, 3, w.height - 3, w.width - 4};
    return w;
}

/* Sums of a window: n doubles, that begin as 0.5 where they are added to. */
static struct output sums_of(struct nst_backend *be, size_t n, bool add, double scale,
                             void (*work)(struct nst_backend *be,
                                          const struct input *in, bool add,
                                          double *sums),
                             const struct input *in)
{
    struct output o = {n, malloc(n * sizeof *o.v)};
    double *sums = calloc(n, sizeof *sums);
    void *there;

    for (size_t i = 0; i < n; i++)
        sums[i] = add ? 0.5 : NAN;
    there = numbers(be, sums, n * sizeof *sums);
    work(be, in, add, there);
    be->ops->get(be, sums, there, n * sizeof *sums);
    be->ops->numbers_free(be, there);
    for (size_t i = 0; i < n; i++)
        o.v[i] = (float)(scale * sums[i]);
    free(sums);
    return o;
}

static double by_pixels(const struct input *in)
{
    struct nst_window w = part(in);

    return 1.0 / (w.height * w.width);
}

static void do_gram(struct nst_backend *be, const struct input *in, bool add,
                    double *sums)
{
    struct nst_tensor *f = tensor(be, in->s, in->x);
    struct nst_region_terms regions[REGIONS];

    show_regions(be, in, regions);
    be->ops->gram(be, f, in->relu, part(in), regions[0].guide, add, sums);
    free_regions(be, regions);
    be->ops->tensor_free(be, f);
}

static struct output gram(struct nst_backend *be, const struct input *in)
{
    return sums_of(be, (size_t)in->s.c * in->s.c, in->cout % 2, by_pixels(in), do_gram,
                   in);
}

static void do_channel_sums(struct nst_backend *be, const struct input *in, bool add,
                            double *sums)
{
    struct nst_tensor *f = tensor(be, in->s, in->x);
    struct nst_region_terms regions[REGIONS];

    show_regions(be, in, regions);
    be->ops->channel_sums(be, f, in->relu, part(in), regions[0].guide, add, sums);
    free_regions(be, regions);
    be->ops->tensor_free(be, f);
}

static struct output channel_sums(struct nst_backend *be, const struct input *in)
{
    return sums_of(be, (size_t)in->s.c, in->cout % 2, by_pixels(in), do_channel_sums,
                   in);
}

static void do_squared_error(struct nst_backend *be, const struct input *in, bool add,
                             double *sum)
{
    struct nst_tensor *f = tensor(be, in->s, in->x), *t = tensor(be, in->s, in->other);

    be->ops->squared_error(be, f, in->relu, t, part(in), add, sum);
    be->ops->tensor_free(be, f);
    be->ops->tensor_free(be, t);
}

static struct output squared_error(struct nst_backend *be, const struct input *in)
{
    return sums_of(be, 1, in->cout % 2, 1 / (double)nst_shape_count(in->s),
                   do_squared_error, in);
}

/* A sum, and what else was made, floats. */
static struct output with_sum(struct nst_backend *be, void *sum, double scale,
                              struct output rest)
{
    struct output o = {1, malloc(sizeof *o.v)};
    double v;

    be->ops->get(be, &v, sum, sizeof v);
    be->ops->numbers_free(be, sum);
    o.v[0] = (float)(scale * v);
    return both(o, rest);
}

/* Doubles between -1 and 1, there. */
static double *doubles(struct nst_backend *be, const float *v, size_t n)
{
    double *here = malloc(n * sizeof *here);
    void *there;

    for (size_t i = 0; i < n; i++)
        here[i] = (double)v[i];
    there = numbers(be, here, n * sizeof *here);
    free(here);
    return there;
}

static struct output gram_loss(struct nst_backend *be, const struct input *in)
{
    size_t n = (size_t)in->s.c * in->s.c;
    double *products = doubles(be, in->square, n), *target = doubles(be, in->square, n);
    void *derivative = poisoned(be, n * sizeof(float)),
         *sum = poisoned(be, sizeof(double));

    be->ops->gram_loss(be, in->s.c, products, 0.7, target, -0.3, derivative, sum);
    be->ops->numbers_free(be, products);
    be->ops->numbers_free(be, target);
    return with_sum(be, sum, 1 / (double)n,
                    (struct output){n, read_floats(be, derivative, n)});
}

static struct output moment_loss(struct nst_backend *be, const struct input *in)
{
    size_t c = (size_t)in->s.c, n = c * c;
    float *more = malloc(n * sizeof *more); /* variances far from 0 */
    double *products, *sums = doubles(be, in->square, c);
    double *target = doubles(be, in->square, 2 * c <= n ? 2 * c : n);
    void *derivative = numbers(be, in->square, n * sizeof(float)),
         *offset = poisoned(be, c * sizeof(float)), *sum = poisoned(be, sizeof(double));
    struct nst_layer_moments m = {NULL, sums, 3, target, target + (c > 1 ? c : 0)};

    for (size_t i = 0; i < n; i++)
        more[i] = in->square[i] + 4;
    m.products = products = doubles(be, more, n);
    free(more);
    be->ops->moment_loss(be, in->s.c, &m, 0.3, derivative, offset, sum);
    be->ops->numbers_free(be, products);
    be->ops->numbers_free(be, sums);
    be->ops->numbers_free(be, target);
    return with_sum(be, sum, 1 / (double)c,
                    both((struct output){n, read_floats(be, derivative, n)},
                         (struct output){c, read_floats(be, offset, c)}));
}

/* The losses of pixels: gradients are added to what is there. */
static struct output pixel_loss(struct nst_backend *be, const struct input *in,
                                bool pull)
{
    size_t area = nst_shape_area(in->s), n = 3 * area, bytes = n * sizeof(float);
    void *rgb = numbers(be, in->x, bytes), *before = numbers(be, in->other, bytes);
    void *grad = numbers(be, in->other, bytes), *sum = poisoned(be, sizeof(double));
    struct nst_planes of = {in->s.h, in->s.w};

    if (pull)
        be->ops->pull(be, rgb, of, before, before, 0.3f, grad, sum);
    else
        be->ops->variation(be, rgb, of, 0.3f, grad, sum);
    be->ops->numbers_free(be, rgb);
    be->ops->numbers_free(be, before);
    return with_sum(be, sum, 1 / (double)n,
                    (struct output){n, read_floats(be, grad, n)});
}

static struct output variation(struct nst_backend *be, const struct input *in)
{
    return pixel_loss(be, in, false);
}

static struct output pull(struct nst_backend *be, const struct input *in)
{
    return pixel_loss(be, in, true);
}

/* A window of a picture to the middle of a larger one. */
static struct output copy_window(struct nst_backend *be, const struct input *in)
{
    struct nst_planes of = {in->s.h, in->s.w}, larger = {in->s.h + 3, in->s.w + 2};
    size_t n = 3 * nst_shape_area(in->s),
           most = 3 * (size_t)larger.height * (size_t)larger.width;
    float *zeros = calloc(most, sizeof *zeros);
    void *from = numbers(be, in->x, n * sizeof(float)),
         *to = numbers(be, zeros, most * sizeof *zeros);

    free(zeros);
    be->ops->copy_window(be, from, of, part(in), to, larger, 3, 1);
    be->ops->numbers_free(be, from);
    return (struct output){most, read_floats(be, to, most)};
}

/* terms: how long the sums are, as a multiple of one of the shape's numbers */
static const struct operation {
    const char *name;
    struct output (*run)(struct nst_backend *be, const struct input *in);
    enum { ONE, NINE_IN, NINE_OUT, PICTURE } terms;
    bool pools; /* needs 2 x 2 pixels */
} operators[] = {
    {"conv", conv, NINE_IN, false},
    {"conv with ReLU", conv_relu, NINE_IN, false},
    {"conv and pooling", conv_pool, NINE_IN, true},
    {"conv with ReLU and pooling", conv_relu_pool, NINE_IN, true},
    {"conv_grad", conv_grad, NINE_OUT, false},
    {"conv_grad with losses", conv_grad_losses, NINE_OUT, false},
    {"conv_grad to pooled", conv_grad_pool, NINE_OUT, false},
    {"conv_grad to pooled with losses", conv_grad_pool_losses, NINE_OUT, false},
    {"last_grad", last_grad, NINE_OUT, false},
    {"conv_picture", conv_picture, PICTURE, false},
    {"conv_picture with ReLU", conv_picture_relu, PICTURE, false},
    {"conv_picture_grad", conv_picture_grad, NINE_OUT, false},
    {"tensor_copy", copy, ONE, false},
    {"gram", gram, ONE, false},
    {"channel_sums", channel_sums, ONE, false},
    {"squared_error", squared_error, ONE, false},
    {"gram_loss", gram_loss, ONE, false},
    {"moment_loss", moment_loss, ONE, false},
    {"variation", variation, ONE, false},
    {"pull", pull, ONE, false},
    {"copy_window", copy_window, ONE, false},
};

/* A backend as it is checked. */
struct kind {
    const struct nst_backend_ops *ops;
    const char *name; /* of instructions, or of a precision */
    enum nst_precision precision;
    double products, sums; /* how many times the tolerance of fp32 on the CPU */
};

/*
 * Values are within 1. The transforms of Winograd's F(4x4, 3x3) multiply rounding: K
 * terms add up to sqrt(K) / 3, and 256 eps sqrt(K) is 9e-5 of that; the largest of many
 * values is looked at. TF32 and fp16 keep 11 bits of what is put out, which may be 64
 * times as much.
 */
static double tolerance(const struct kind *k, const struct operation *op,
                        const struct input *in)
{
    double eps = 256 * FLT_EPSILON * k->products;

    switch (op->terms) {
    case NINE_IN:
        return eps * sqrt(9 * in->s.c);
    case NINE_OUT: /* losses add the channels */
        return eps * sqrt(9 * in->cout + in->s.c);
    case PICTURE:
        return eps * sqrt(27);
    case ONE: /* sums over pixels are divided by their number afterwards */
        break;
    }
    return 16 * FLT_EPSILON * k->sums;
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
    be->regions = REGIONS;
    return be;
}

/* One operator on all shapes: worst error over tolerance, and whether threads matter.
 */
static void check(const struct kind *kind, const struct operation *op,
                  const struct input *inputs, int count)
{
    struct nst_backend *scalar = open_backend(&nst_backend_scalar, 0, 1);
    struct nst_backend *one = open_backend(kind->ops, kind->precision, 1);
    struct nst_backend *three = open_backend(kind->ops, kind->precision, 3);
    double ratio = 0;
    bool same = true;
    int at = 0;

    for (int i = 0; i < count; i++) {
        const struct input *in = &inputs[i];
        struct output want, a, b;
        double r;

        if (op->pools && (in->s.h < 2 || in->s.w < 2))
            continue;
        want = op->run(scalar, in);
        a = op->run(one, in);
        b = op->run(three, in);
        r = worst(&a, &want) / tolerance(kind, op, in);
        if (r > ratio) {
            ratio = r;
            at = i;
        }
        same = same && a.n == b.n && memcmp(a.v, b.v, a.n * sizeof *a.v) == 0;
        free(want.v);
        free(a.v);
        free(b.v);
    }
    tap(ratio <= 1 && one->fault.status == NST_OK,
        "%s, %s: %s agrees with the scalar one (%.2f of the tolerance, %dx%dx%d)%s",
        kind->ops->name, kind->name, op->name, ratio, inputs[at].s.c, inputs[at].s.h,
        inputs[at].s.w, one->fault.text);
    tap(same, "%s, %s: %s gives the same bits on one thread and on three",
        kind->ops->name, kind->name, op->name);
    scalar->ops->close(scalar);
    one->ops->close(one);
    three->ops->close(three);
}

static void check_operators(const struct kind *kind, const struct input *inputs,
                            int count)
{
    for (size_t k = 0; k < sizeof operators / sizeof *operators; k++)
        check(kind, &operators[k], inputs, count);
}

/* The CPU backend on one instruction set, if this machine has it. */
static void check_set(const char *set, const struct input *inputs, int count)
{
    setenv("NST_CPU", set, 1);
    if (nst_blocked_choose())
        check_operators(&(struct kind){&nst_backend_cpu, set, 0, 1, 1}, inputs, count);
    else
        tap(1, "cpu, %s # SKIP this machine does not have it", set);
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
    if (nst_cuda_count(&err) == 0) {
        tap(1, "cuda # SKIP %s", err.text);
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        check_operators(&kinds[i], inputs, count);
    if (nst_cuda_device(0, &device, NULL) || strcmp(device.name, "fake") != 0)
        return;
    /* an older one, for which patches are laid out */
    setenv("NST_FAKE_CUDA_CC", "75", 1);
    check_operators(&older, inputs, count);
#else
    (void)inputs, (void)count;
    tap(1, "cuda # SKIP this build is without it");
#endif
}

/* In a third of the inputs, regions with guides, partly 0, and offsets. */
static void make_regions(struct input *in, size_t area)
{
    in->guided = any(3) == 0;
    for (int i = 0; i < REGIONS; i++) {
        struct nst_region_terms *t = &in->regions[i];
        float *guide = in->guided ? random_values(area) : NULL;

        for (size_t p = 0; guide && p < area; p++)
            guide[p] = guide[p] > 0 && (p >> 7) % (i + 2u) ? guide[p] : 0;
        *t =
            (struct nst_region_terms){in->square, i != any(3) ? in->bias : NULL, guide};
    }
}

/* Values for c x h x w and cout. */
static void make_input(struct input *in, const int s[4], int odd)
{
    int larger = s[0] > s[3] ? s[0] : s[3];
    size_t area;

    larger = larger > 3 ? larger : 3;
    in->s = (struct nst_shape){s[0], s[1], s[2]};
    in->cout = s[3];
    in->relu = odd;
    in->pooling = odd ? NST_POOLING_AVG : NST_POOLING_MAX;
    area = guide_area(in) * (size_t)larger;
    in->x = random_values(area);
    in->other = random_values(area);
    in->third = random_values(area);
    in->weight = random_values((size_t)9 * larger * larger);
    in->bias = random_values((size_t)larger);
    in->square = random_values((size_t)s[0] * s[0]);
    for (int r = 0; r < s[0]; r++)
        for (int c = 0; c < r; c++)
            in->square[r * s[0] + c] = in->square[c * s[0] + r];
    make_regions(in, guide_area(in));
}

/* One row, one column or neither; small where there are many channels. */
static void random_shape(int s[4])
{
    static const int channels[] = {3, 16, 20, 64, 512};
    int limit;

    s[0] = channels[any(5)];
    s[3] = s[0] == 512 ? channels[any(4)] : channels[any(5)];
    limit = s[0] * s[3] > 4096 ? 12 : 70;
    s[1] = any(4) ? 1 + any(limit) : 1;
    s[2] = any(4) ? 1 + any(limit) : 1;
}

int main(void)
{
    static const char *const sets[] = {"avx512", "avx2", "base"};
    /* c, h, w, cout: single pixels, widths round vectors and tiles, odd everything,
     * what a GPU's tensor cores take, few channels and many. Then strips that end
     * within a row, many channels on a small map, channels that do not fill slices of
     * 64 bytes in tiles of 16 rows. */
    static const int shapes[][4] = {
        {1, 1, 1, 1},     {3, 1, 1, 5},      {2, 1, 17, 3},    {2, 19, 1, 3},
        {3, 16, 16, 16},  {3, 31, 33, 17},   {16, 15, 17, 3},  {5, 4, 4, 7},
        {32, 9, 35, 66},  {33, 13, 9, 15},   {40, 12, 20, 24}, {136, 3, 4, 8},
        {64, 12, 20, 64}, {128, 6, 5, 96},   {1, 257, 129, 2}, {7, 45, 100, 16},
        {512, 2, 5, 256}, {20, 14, 60, 128}, {48, 15, 50, 64}, {96, 18, 17, 23},
        {200, 17, 16, 8}, {264, 17, 16, 4},  {128, 22, 20, 3}};
    enum { COUNT = sizeof shapes / sizeof *shapes, SMALL = 12, RANDOM = 12 };
    bool quick = getenv("NST_TEST_QUICK");
    int chosen = quick ? 2 * SMALL : 2 * COUNT, count = chosen + (quick ? 0 : RANDOM);
    struct input inputs[2 * COUNT + RANDOM];

    seed = tap_seed() | 1;
    for (int i = 0; i < count; i++) {
        int any[4];

        random_shape(any);
        make_input(&inputs[i], i < chosen ? shapes[i / 2] : any, i % 2);
    }
    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++)
        check_set(sets[set], inputs, count);
    check_cuda(inputs, count);
    for (int i = 0; i < count; i++) {
        free(inputs[i].x);
        free(inputs[i].other);
        free(inputs[i].third);
        free(inputs[i].weight);
        free(inputs[i].bias);
        free(inputs[i].square);
        for (int k = 0; k < REGIONS; k++)
            free((float *)inputs[i].regions[k].guide);
    }
    return tap_end();
}
