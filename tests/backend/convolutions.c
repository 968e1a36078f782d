/* SPDX-License-Identifier: MIT */
/* convolutions.c - convolutions and their gradients on a backend. */
#include "config.h"

#include <stdlib.h>

#include "operators.h"

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
    struct nst_filters filters = {in->weight, in->bias,    picture ? 3 : in->s.c,
                                  in->cout,   in->padding, picture};
    struct nst_conv *k;

    if (be->ops->conv_new(be, &k, &filters, NULL) ||
        nst_backend_conv_prepare(be, k, in->s.h, in->s.w, NULL))
        abort();
    return k;
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

/* Backward step to a map of shape s, from a convolution (at the last map: from none),
 * with or without losses. */
static struct output run_grad(struct nst_backend *be, const struct input *in,
                              struct nst_shape s, bool pooled, bool losses, bool last)
{
    struct nst_tensor *y = tensor(be, s, in->x), *target = tensor(be, s, in->other);
    struct nst_tensor *gy = tensor(be, with_channels(in->s, in->cout), in->third);
    struct nst_conv *k = convolution(be, in, NULL);
    struct nst_backward_step j = {
        .y = y, .before_relu = in->relu, .pooled = pooled, .pooling = in->pooling};
    struct nst_region_grad regions[REGIONS];

    regions_to_device(be, in, regions);
    if (losses) {
        j.after = (struct nst_loss_grad){regions, 1, target, 0.3f};
        if (in->relu)
            j.before =
                (struct nst_loss_grad){regions, in->guided ? 3 : 1, target, -0.7f};
        if (in->cout % 3 == 1) /* vary the losses */
            j.after.regions = in->guided ? 2 : 0;
        if (in->cout % 3 == 2) {
            j.before.target = NULL;
            j.before.regions = in->relu && in->guided;
        }
    }
    if (last)
        be->ops->head_grad(be, &j);
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

/* A map whose pooled shape is in->s: twice the size, sometimes odd. */
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

static struct output head_grad(struct nst_backend *be, const struct input *in)
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

    struct nst_buffer *rgb =
        buffer(be, in->x, 3 * nst_shape_area(in->s) * sizeof(float));

    be->ops->first_conv(be, k, rgb, y, out_relu);
    be->ops->buffer_free(be, rgb);
    be->ops->conv_free(be, k);
    return take(be, y);
}

static struct output first_conv(struct nst_backend *be, const struct input *in)
{
    return run_picture(be, in, false);
}

static struct output first_conv_relu(struct nst_backend *be, const struct input *in)
{
    return run_picture(be, in, true);
}

static struct output first_conv_grad(struct nst_backend *be, const struct input *in)
{
    struct nst_tensor *gy = tensor(be, with_channels(in->s, in->cout), in->third);
    struct nst_conv *k = convolution(be, in, &normalisation);
    struct output o = {3 * nst_shape_area(in->s), NULL};
    struct nst_buffer *grad = poisoned(be, o.n * sizeof(float));

    be->ops->first_conv_grad(be, k, gy, grad);
    o.v = read_floats(be, grad, o.n);
    be->ops->conv_free(be, k);
    be->ops->tensor_free(be, gy);
    return o;
}

const struct operation convolution_operators[] = {
    {"conv", conv, NINE_IN, false},
    {"conv with ReLU", conv_relu, NINE_IN, false},
    {"conv and pooling", conv_pool, NINE_IN, true},
    {"conv with ReLU and pooling", conv_relu_pool, NINE_IN, true},
    {"conv_grad", conv_grad, NINE_OUT, false},
    {"conv_grad with losses", conv_grad_losses, NINE_OUT, false},
    {"conv_grad to pooled", conv_grad_pool, NINE_OUT, false},
    {"conv_grad to pooled with losses", conv_grad_pool_losses, NINE_OUT, false},
    {"head_grad", head_grad, NINE_OUT, false},
    {"first_conv", first_conv, PICTURE, false},
    {"first_conv with ReLU", first_conv_relu, PICTURE, false},
    {"first_conv_grad", first_conv_grad, NINE_OUT, false},
    {0},
};
