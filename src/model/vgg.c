/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/vgg.h"

#include <stdlib.h>

#include "base/mem.h"

/* What the network was trained with: ImageNet's mean and deviation, RGB 0 to 1. */
static const float mean[3] = {0.485f, 0.456f, 0.406f};
static const float deviation[3] = {0.229f, 0.224f, 0.225f};

struct nst_vgg {
    struct nst_backend *be;
    enum nst_pooling pooling;
    int convs;
    int width[NST_VGG_CONVS]; /* channels that each convolution puts out */
    struct nst_conv *conv[NST_VGG_CONVS];
};

struct nst_pass {
    struct nst_vgg *v;
    float *normalised;                        /* 3 x H x W on the host */
    struct nst_tensor *image;                 /* the same, the network's input */
    struct nst_tensor *map[NST_VGG_CONVS];    /* what each convolution puts out */
    struct nst_tensor *pooled[NST_VGG_CONVS]; /* the same after pooling, or NULL */
    bool before_relu[NST_VGG_CONVS];          /* map holds the value before the ReLU */
    struct nst_tensor *grad[2];               /* of one map after another */
};

enum nst_status nst_vgg_new(struct nst_vgg **out, struct nst_backend *be,
                            const struct nst_weights *w, enum nst_pooling pooling,
                            struct nst_err *err)
{
    struct nst_vgg *v = nst_xcalloc(1, sizeof *v);

    *out = NULL;
    v->be = be;
    v->pooling = pooling;
    v->convs = w->convs;
    for (int i = 0; i < v->convs; i++) {
        const struct nst_layer_weights *l = &w->conv[i];
        enum nst_status st;

        v->width[i] = l->cout;
        st = be->ops->conv_new(be, &v->conv[i], l->weight, l->bias, l->cin, l->cout,
                               true, err);
        if (st != NST_OK) {
            nst_vgg_free(v);
            return st;
        }
    }
    *out = v;
    return NST_OK;
}

void nst_vgg_free(struct nst_vgg *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->convs; i++)
        v->be->ops->conv_free(v->be, v->conv[i]);
    free(v);
}

struct nst_backend *nst_vgg_backend(const struct nst_vgg *v)
{
    return v->be;
}

/* Is there a pooling layer between this convolution and the next one used? */
static bool pools_after(const struct nst_vgg *v, int conv)
{
    return conv + 1 < v->convs && nst_conv_before_pool(conv);
}

static enum nst_status new_maps(struct nst_pass *p, int height, int width,
                                struct nst_err *err)
{
    struct nst_vgg *v = p->v;
    const struct nst_backend_ops *ops = v->be->ops;
    struct nst_shape s = {3, height, width};
    enum nst_status st = ops->tensor_new(v->be, &p->image, s, err);

    for (int i = 0; st == NST_OK && i < v->convs; i++) {
        s.c = v->width[i];
        st = ops->tensor_new(v->be, &p->map[i], s, err);
        if (st != NST_OK || !pools_after(v, i))
            continue;
        s.h /= 2;
        s.w /= 2;
        if (s.h < 1 || s.w < 1)
            return nst_err_set(err, NST_ERR_ARG,
                               "a picture of %dx%d pixels is too small for the layers "
                               "asked for: nothing is left of it after conv_%d",
                               width, height, i + 1);
        st = ops->tensor_new(v->be, &p->pooled[i], s, err);
    }
    return st;
}

/* Two gradient tensors, each as large as the largest map. */
static enum nst_status new_gradients(struct nst_pass *p, struct nst_err *err)
{
    const struct nst_backend_ops *ops = p->v->be->ops;
    struct nst_shape largest = p->image->shape;
    enum nst_status st;

    for (int i = 0; i < p->v->convs; i++)
        if (ops->tensor_floats(p->v->be, p->map[i]->shape) >
            ops->tensor_floats(p->v->be, largest))
            largest = p->map[i]->shape;
    st = ops->tensor_new(p->v->be, &p->grad[0], largest, err);
    if (st == NST_OK)
        st = ops->tensor_new(p->v->be, &p->grad[1], largest, err);
    return st;
}

enum nst_status nst_pass_new(struct nst_pass **out, struct nst_vgg *v, int height,
                             int width, const bool keep_before_relu[NST_VGG_CONVS],
                             bool gradient, struct nst_err *err)
{
    struct nst_pass *p = nst_xcalloc(1, sizeof *p);
    enum nst_status st;

    *out = NULL;
    p->v = v;
    for (int i = 0; i < v->convs; i++)
        p->before_relu[i] = keep_before_relu[i];
    st = nst_floats_new(&p->normalised, 3, (size_t)height, (size_t)width, err);
    if (st == NST_OK)
        st = new_maps(p, height, width, err);
    if (st == NST_OK && gradient)
        st = new_gradients(p, err);
    if (st != NST_OK) {
        nst_pass_free(p);
        return st;
    }
    *out = p;
    return NST_OK;
}

void nst_pass_free(struct nst_pass *p)
{
    const struct nst_backend_ops *ops;
    struct nst_backend *be;

    if (!p)
        return;
    be = p->v->be;
    ops = be->ops;
    free(p->normalised);
    ops->tensor_free(be, p->image);
    for (int i = 0; i < NST_VGG_CONVS; i++) {
        ops->tensor_free(be, p->map[i]);
        ops->tensor_free(be, p->pooled[i]);
    }
    ops->tensor_free(be, p->grad[0]);
    ops->tensor_free(be, p->grad[1]);
    free(p);
}

void nst_pass_forward(struct nst_pass *p, const float *rgb)
{
    struct nst_vgg *v = p->v;
    const struct nst_backend_ops *ops = v->be->ops;
    size_t area = nst_shape_area(p->image->shape);
    const struct nst_tensor *x = p->image;
    bool relu = false; /* is the ReLU still to be applied to x? */

    for (int c = 0; c < 3; c++)
        for (size_t i = c * area; i < (c + 1) * area; i++)
            p->normalised[i] = (rgb[i] - mean[c]) / deviation[c];
    ops->upload(v->be, p->normalised, p->image);
    for (int i = 0; i < v->convs; i++) {
        ops->conv(v->be, v->conv[i], x, relu, p->map[i], !p->before_relu[i]);
        x = p->map[i];
        relu = p->before_relu[i];
        if (pools_after(v, i)) {
            ops->pool(v->be, v->pooling, x, relu, p->pooled[i]);
            x = p->pooled[i];
            relu = false;
        }
    }
}

const struct nst_tensor *nst_pass_map(const struct nst_pass *p,
                                      const struct nst_tap *tap, bool *relu)
{
    *relu = tap->after_relu && p->before_relu[tap->conv];
    return p->map[tap->conv];
}

void nst_pass_backward(struct nst_pass *p, nst_pass_add *add, void *ctx, float *grad)
{
    struct nst_vgg *v = p->v;
    const struct nst_backend_ops *ops = v->be->ops;
    struct nst_tensor *g = p->grad[0], *next = p->grad[1], *swap;
    size_t area = nst_shape_area(p->image->shape);

    ops->tensor_reshape(v->be, g, p->map[v->convs - 1]->shape);
    ops->tensor_zero(v->be, g);
    for (int i = v->convs - 1; i >= 0; i--) {
        const struct nst_tensor *input = p->image;

        if (i > 0)
            input = pools_after(v, i - 1) ? p->pooled[i - 1] : p->map[i - 1];
        add(ctx, i, true, g);
        ops->relu_grad(v->be, p->map[i], g);
        add(ctx, i, false, g);
        ops->tensor_reshape(v->be, next, input->shape);
        ops->conv_grad(v->be, v->conv[i], g, next);
        swap = g, g = next, next = swap;
        if (i > 0 && pools_after(v, i - 1)) {
            ops->tensor_reshape(v->be, next, p->map[i - 1]->shape);
            ops->pool_grad(v->be, v->pooling, p->map[i - 1], p->before_relu[i - 1], g,
                           next);
            swap = g, g = next, next = swap;
        }
    }
    ops->download(v->be, g, grad);
    for (int c = 0; c < 3; c++)
        for (size_t i = c * area; i < (c + 1) * area; i++)
            grad[i] /= deviation[c];
}
