/* SPDX-License-Identifier: MIT */
/* sums.c - copies, sums over pixels and losses on a backend. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "operators.h"

static struct output copy(struct nst_backend *be, const struct input *in)
{
    struct nst_tensor *x = tensor(be, in->s, in->x), *y = tensor(be, in->s, NULL);

    be->ops->tensor_copy(be, x, in->relu, y);
    be->ops->tensor_free(be, x);
    return take(be, y);
}

/* The full map, or part of it without its edges. */
static struct nst_window part(const struct input *in)
{
    struct nst_window w = nst_window_full(in->s);

    if (in->relu && w.height > 3 && w.width > 4)
        w = (struct nst_window){1, 3, w.height - 3, w.width - 4};
    return w;
}

/* Sums over a window: n doubles, which start at 0.5 if add. */
static struct output sums_of(struct nst_backend *be, size_t n, bool add, double scale,
                             void (*work)(struct nst_backend *be,
                                          const struct input *in, bool add,
                                          struct nst_buffer *sums),
                             const struct input *in)
{
    struct output o = {n, malloc(n * sizeof *o.v)};
    double *sums = calloc(n, sizeof *sums);
    struct nst_buffer *there;

    for (size_t i = 0; i < n; i++)
        sums[i] = add ? 0.5 : NAN;
    there = buffer(be, sums, n * sizeof *sums);
    work(be, in, add, there);
    be->ops->buffer_download(be, sums, there, n * sizeof *sums);
    be->ops->buffer_free(be, there);
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

/* The sums of products, or of the channels. */
static void do_layer_sums(struct nst_backend *be, const struct input *in, bool add,
                          bool products, struct nst_buffer *sums)
{
    struct nst_tensor *f = tensor(be, in->s, in->x);
    size_t c = (size_t)in->s.c, bytes = (products ? c : c * c) * sizeof(double);
    struct nst_buffer *other = poisoned(be, bytes);
    struct nst_region_grad regions[REGIONS];

    regions_to_device(be, in, regions);
    be->ops->layer_sums(be, f, in->relu, part(in), regions[0].mask, add,
                        products ? (struct nst_layer_sums){sums, other}
                                 : (struct nst_layer_sums){other, sums});
    free_regions(be, regions);
    be->ops->buffer_free(be, other);
    be->ops->tensor_free(be, f);
}

static void do_products(struct nst_backend *be, const struct input *in, bool add,
                        struct nst_buffer *sums)
{
    do_layer_sums(be, in, add, true, sums);
}

static void do_channel_sums(struct nst_backend *be, const struct input *in, bool add,
                            struct nst_buffer *sums)
{
    do_layer_sums(be, in, add, false, sums);
}

static struct output products(struct nst_backend *be, const struct input *in)
{
    return sums_of(be, (size_t)in->s.c * in->s.c, in->cout % 2, by_pixels(in),
                   do_products, in);
}

static struct output channel_sums(struct nst_backend *be, const struct input *in)
{
    return sums_of(be, (size_t)in->s.c, in->cout % 2, by_pixels(in), do_channel_sums,
                   in);
}

static void do_squared_error(struct nst_backend *be, const struct input *in, bool add,
                             struct nst_buffer *sum)
{
    struct nst_tensor *f = tensor(be, in->s, in->x), *t = tensor(be, in->s, in->other);

    be->ops->squared_error(be, f, in->relu, t, part(in), add,
                           (struct nst_scalar){sum, 0});
    be->ops->tensor_free(be, f);
    be->ops->tensor_free(be, t);
}

static struct output squared_error(struct nst_backend *be, const struct input *in)
{
    return sums_of(be, 1, in->cout % 2, 1 / (double)nst_shape_count(in->s),
                   do_squared_error, in);
}

/* Two doubles; operators store their sum in the second. */
static struct nst_buffer *new_sum(struct nst_backend *be)
{
    return poisoned(be, 2 * sizeof(double));
}

static struct nst_scalar second(struct nst_buffer *sum)
{
    return (struct nst_scalar){sum, 1};
}

/* The scaled sum, followed by the other outputs. */
static struct output with_sum(struct nst_backend *be, struct nst_buffer *sum,
                              double scale, struct output rest)
{
    struct output o = {1, malloc(sizeof *o.v)};
    double v[2];

    be->ops->buffer_download(be, v, sum, sizeof v);
    be->ops->buffer_free(be, sum);
    o.v[0] = (float)(isnan(v[0]) ? scale * v[1] : NAN);
    return both(o, rest);
}

/* A buffer with the n floats at v as doubles. */
static struct nst_buffer *doubles(struct nst_backend *be, const float *v, size_t n)
{
    double *here = malloc(n * sizeof *here);
    struct nst_buffer *there;

    for (size_t i = 0; i < n; i++)
        here[i] = (double)v[i];
    there = buffer(be, here, n * sizeof *here);
    free(here);
    return there;
}

static struct output gram_loss(struct nst_backend *be, const struct input *in)
{
    size_t n = (size_t)in->s.c * in->s.c;
    struct nst_buffer *products = doubles(be, in->square, n),
                      *target = doubles(be, in->square, n);
    struct nst_buffer *derivative = poisoned(be, n * sizeof(float)), *sum = new_sum(be);

    be->ops->gram_loss(be, in->s.c, products, 0.7, target, -0.3, derivative,
                       second(sum));
    be->ops->buffer_free(be, products);
    be->ops->buffer_free(be, target);
    return with_sum(be, sum, 1 / (double)n,
                    (struct output){n, read_floats(be, derivative, n)});
}

static struct output moment_loss(struct nst_backend *be, const struct input *in)
{
    size_t c = (size_t)in->s.c, n = c * c;
    float *more = malloc(n * sizeof *more); /* variances far from 0 */
    float *moments = malloc(2 * c * sizeof *moments);
    struct nst_buffer *products, *target, *sums = doubles(be, in->square, c);
    struct nst_buffer *derivative = buffer(be, in->square, n * sizeof(float)),
                      *offset = poisoned(be, c * sizeof(float)), *sum = new_sum(be);
    struct nst_layer_moments m = {.sums = sums, .pixels = 3};

    for (size_t i = 0; i < n; i++)
        more[i] = in->square[i] + 4;
    m.products = products = doubles(be, more, n);
    free(more);
    for (size_t i = 0; i < 2 * c; i++)
        moments[i] = in->square[i % n];
    m.target = target = doubles(be, moments, 2 * c);
    free(moments);
    be->ops->moment_loss(be, in->s.c, &m, 0.3, derivative, offset, second(sum));
    be->ops->buffer_free(be, products);
    be->ops->buffer_free(be, sums);
    be->ops->buffer_free(be, target);
    return with_sum(be, sum, 1 / (double)c,
                    both((struct output){n, read_floats(be, derivative, n)},
                         (struct output){c, read_floats(be, offset, c)}));
}

/* Pixel losses; their gradients are added to grad. */
static struct output pixel_loss(struct nst_backend *be, const struct input *in,
                                bool temporal_loss)
{
    size_t area = nst_shape_area(in->s), n = 3 * area, bytes = n * sizeof(float);
    struct nst_buffer *rgb = buffer(be, in->x, bytes),
                      *before = buffer(be, in->other, bytes);
    struct nst_buffer *grad = buffer(be, in->other, bytes), *sum = new_sum(be);
    struct nst_image_size of = {in->s.h, in->s.w};

    if (temporal_loss)
        be->ops->temporal_loss(be, rgb, of, before, before, 0.3f, grad, second(sum));
    else
        be->ops->tv_loss(be, rgb, of, 0.3f, grad, second(sum));
    be->ops->buffer_free(be, rgb);
    be->ops->buffer_free(be, before);
    return with_sum(be, sum, 1 / (double)n,
                    (struct output){n, read_floats(be, grad, n)});
}

static struct output tv_loss(struct nst_backend *be, const struct input *in)
{
    return pixel_loss(be, in, false);
}

static struct output temporal_loss(struct nst_backend *be, const struct input *in)
{
    return pixel_loss(be, in, true);
}

/* Copies a window of a picture to the middle of a larger one. */
static struct output copy_window(struct nst_backend *be, const struct input *in)
{
    struct nst_image_size of = {in->s.h, in->s.w}, larger = {in->s.h + 3, in->s.w + 2};
    size_t n = 3 * nst_shape_area(in->s),
           most = 3 * (size_t)larger.height * (size_t)larger.width;
    float *zeros = calloc(most, sizeof *zeros);
    struct nst_buffer *from = buffer(be, in->x, n * sizeof(float)),
                      *to = buffer(be, zeros, most * sizeof *zeros);

    free(zeros);
    be->ops->copy_window(be, from, of, part(in), to, larger, 3, 1);
    be->ops->buffer_free(be, from);
    return (struct output){most, read_floats(be, to, most)};
}

const struct operation sum_operators[] = {
    {"tensor_copy", copy, ONE, false},
    {"layer_sums, products", products, ONE, false},
    {"layer_sums, channels", channel_sums, ONE, false},
    {"squared_error", squared_error, ONE, false},
    {"gram_loss", gram_loss, ONE, false},
    {"moment_loss", moment_loss, ONE, false},
    {"tv_loss", tv_loss, ONE, false},
    {"temporal_loss", temporal_loss, ONE, false},
    {"copy_window", copy_window, ONE, false},
    {0},
};
