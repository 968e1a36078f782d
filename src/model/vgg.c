/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/vgg.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/input.h"

struct nst_vgg {
    struct nst_backend *be;
    enum nst_pooling pooling;
    int convs;
    int channels[NST_VGG_CONVS]; /* output channels of each convolution */
    struct nst_conv *conv[NST_VGG_CONVS];
    uint64_t fingerprint[NST_VGG_CONVS];
    bool is_clone; /* the convolutions belong to another network */
};

struct nst_activations {
    struct nst_vgg *v;
    /* Output of each convolution; in the backward pass, the gradient by it. */
    struct nst_tensor *map[NST_VGG_CONVS];
    struct nst_tensor *pooled[NST_VGG_CONVS]; /* map after pooling, or NULL */
    bool before_relu[NST_VGG_CONVS];          /* map is the output before the ReLU */
};

/* FNV-1a (Fowler, Noll and Vo), 32 bits at a time. */
static uint64_t fnv1a(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i += sizeof(uint32_t)) {
        uint32_t word;

        memcpy(&word, (const char *)data + i, sizeof word);
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

static uint64_t fingerprint(uint64_t previous, const struct nst_layer_weights *l,
                            enum nst_pooling pooling, bool pooled)
{
    uint32_t pool_tag = pooled ? 1 + (uint32_t)pooling : 0;
    uint64_t hash = fnv1a(0xcbf29ce484222325u, &previous, sizeof previous);

    hash = fnv1a(hash, &pool_tag, sizeof pool_tag);
    hash = fnv1a(hash, l->bias, (size_t)l->cout * sizeof *l->bias);
    return fnv1a(hash, l->weight, (size_t)9 * l->cin * l->cout * sizeof *l->weight);
}

enum nst_status nst_vgg_new(struct nst_vgg **out, struct nst_backend *be,
                            const struct nst_weights *w, enum nst_pooling pooling,
                            enum nst_padding padding, struct nst_err *err)
{
    struct nst_vgg *v = nst_xcalloc(1, sizeof *v);

    *out = NULL;
    v->be = be;
    v->pooling = pooling;
    v->convs = w->convs;
    for (int i = 0; i < v->convs; i++) {
        const struct nst_layer_weights *l = &w->conv[i];
        struct nst_filters filters = {l->weight, l->bias,
                                      l->cin,    l->cout,
                                      padding,   i ? NULL : &nst_input_imagenet};
        enum nst_status st;

        v->channels[i] = l->cout;
        v->fingerprint[i] = fingerprint(i ? v->fingerprint[i - 1] : 0, l, pooling,
                                        i && nst_conv_pool_follows(i - 1));
        st = be->ops->conv_new(be, &v->conv[i], &filters, err);
        if (st != NST_OK) {
            nst_vgg_free(v);
            return st;
        }
    }
    *out = v;
    return NST_OK;
}

void nst_vgg_clone(struct nst_vgg **out, const struct nst_vgg *v,
                   struct nst_backend *be)
{
    *out = nst_xcalloc(1, sizeof **out);
    **out = *v;
    (*out)->be = be;
    (*out)->is_clone = true;
}

void nst_vgg_free(struct nst_vgg *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->convs && !v->is_clone; i++)
        v->be->ops->conv_free(v->be, v->conv[i]);
    free(v);
}

struct nst_backend *nst_vgg_backend(const struct nst_vgg *v)
{
    return v->be;
}

enum nst_pooling nst_vgg_pooling(const struct nst_vgg *v)
{
    return v->pooling;
}

uint64_t nst_vgg_fingerprint(const struct nst_vgg *v, int conv)
{
    return v->fingerprint[conv];
}

uint64_t nst_vgg_whole_fingerprint(const struct nst_vgg *v)
{
    return v->fingerprint[v->convs - 1];
}

int nst_vgg_convs(const struct nst_vgg *v)
{
    return v->convs;
}

int nst_vgg_channels(const struct nst_vgg *v, int conv)
{
    return v->channels[conv];
}

/* True if a pooling layer lies between this convolution and the next one in use. */
static bool is_pooled(const struct nst_vgg *v, int conv)
{
    return conv + 1 < v->convs && nst_conv_pool_follows(conv);
}

static enum nst_status alloc_maps(struct nst_activations *a, int height, int width,
                                  struct nst_err *err)
{
    struct nst_vgg *v = a->v;
    const struct nst_backend_ops *ops = v->be->ops;
    struct nst_shape s = {0, height, width};
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < v->convs; i++) {
        s.c = v->channels[i];
        st = ops->tensor_new(v->be, &a->map[i], s, err);
        if (st == NST_OK)
            st = nst_backend_conv_prepare(v->be, v->conv[i], s.h, s.w, err);
        if (st != NST_OK || !is_pooled(v, i))
            continue;
        s.h /= 2;
        s.w /= 2;
        if (s.h < 1 || s.w < 1)
            return nst_err_set(err, NST_ERR_ARG,
                               "an image of %dx%d pixels is too small for the layers "
                               "asked for: nothing is left of it after conv_%d",
                               width, height, i + 1);
        st = ops->tensor_new(v->be, &a->pooled[i], s, err);
    }
    return st;
}

size_t nst_vgg_map_bytes(const struct nst_vgg *v, int conv, int height, int width)
{
    size_t scratch = 0;

    for (int i = 0; i < conv; i++)
        if (is_pooled(v, i)) {
            height /= 2;
            width /= 2;
        }
    return v->be->ops->tensor_bytes(
        v->be, (struct nst_shape){v->channels[conv], height, width}, &scratch);
}

size_t nst_vgg_plan_weights(struct nst_vgg *v, int height, int width)
{
    const struct nst_backend_ops *ops = v->be->ops;
    size_t bytes = 0;

    for (int i = 0; ops->conv_plan && i < v->convs; i++) {
        bytes += ops->conv_plan(v->be, v->conv[i], height, width);
        if (is_pooled(v, i)) {
            height /= 2;
            width /= 2;
        }
    }
    return bytes;
}

size_t nst_activations_bytes(const struct nst_vgg *v, int height, int width,
                             size_t *scratch)
{
    const struct nst_backend_ops *ops = v->be->ops;
    struct nst_shape s = {0, height, width};
    size_t bytes = 0;

    for (int i = 0; i < v->convs; i++) {
        s.c = v->channels[i];
        bytes += ops->tensor_bytes(v->be, s, scratch);
        if (is_pooled(v, i)) {
            s.h /= 2;
            s.w /= 2;
            bytes += ops->tensor_bytes(v->be, s, scratch);
        }
    }
    return bytes;
}

enum nst_status nst_activations_new(struct nst_activations **out, struct nst_vgg *v,
                                    int height, int width,
                                    const bool keep_before_relu[NST_VGG_CONVS],
                                    struct nst_err *err)
{
    struct nst_activations *a = nst_xcalloc(1, sizeof *a);
    enum nst_status st;

    *out = NULL;
    a->v = v;
    for (int i = 0; i < v->convs; i++)
        a->before_relu[i] = keep_before_relu[i];
    st = alloc_maps(a, height, width, err);
    if (st != NST_OK) {
        nst_activations_free(a);
        return st;
    }
    *out = a;
    return NST_OK;
}

void nst_activations_free(struct nst_activations *a)
{
    const struct nst_backend_ops *ops;
    struct nst_backend *be;

    if (!a)
        return;
    be = a->v->be;
    ops = be->ops;
    for (int i = 0; i < NST_VGG_CONVS; i++) {
        ops->tensor_free(be, a->map[i]);
        ops->tensor_free(be, a->pooled[i]);
    }
    free(a);
}

void nst_vgg_forward(struct nst_activations *a, const struct nst_buffer *rgb)
{
    struct nst_vgg *v = a->v;
    const struct nst_backend_ops *ops = v->be->ops;

    ops->first_conv(v->be, v->conv[0], rgb, a->map[0], !a->before_relu[0]);
    for (int i = 1; i < v->convs; i++) {
        const struct nst_tensor *x = a->pooled[i - 1];

        /* conv() applies the ReLU to an unpooled map before it */
        ops->conv(v->be, v->conv[i], x ? x : a->map[i - 1], !x && a->before_relu[i - 1],
                  a->map[i], !a->before_relu[i], v->pooling, a->pooled[i]);
    }
}

const struct nst_tensor *nst_activations_map(const struct nst_activations *a,
                                             const struct nst_layer *layer, bool *relu)
{
    *relu = layer->after_relu && a->before_relu[layer->conv];
    return a->map[layer->conv];
}

struct nst_backend *nst_activations_backend(const struct nst_activations *a)
{
    return a->v->be;
}

struct nst_window nst_activations_window(const struct nst_activations *a, int conv,
                                         struct nst_window picture)
{
    int bottom = picture.top + picture.height, right = picture.left + picture.width;

    for (int i = 0; i < conv; i++)
        if (is_pooled(a->v, i)) {
            picture.top /= 2;
            picture.left /= 2;
            bottom /= 2;
            right /= 2;
        }
    picture.height = bottom - picture.top;
    picture.width = right - picture.left;
    return picture;
}

int nst_vgg_receptive_field(const struct nst_vgg *v)
{
    int side = 1;

    for (int i = v->convs - 1; i >= 0; i--)
        side = (is_pooled(v, i) ? 2 * side : side) + 2;
    return side;
}

int nst_vgg_log2_stride(const struct nst_vgg *v, int conv)
{
    int n = 0;

    for (int i = 0; i < conv; i++)
        n += is_pooled(v, i);
    return n;
}

int nst_vgg_stride(const struct nst_vgg *v)
{
    return 1 << nst_vgg_log2_stride(v, v->convs - 1);
}

static struct nst_backward_step backward_step(struct nst_activations *a, int conv,
                                              nst_loss_grad_fn *loss_grad, void *ctx)
{
    return (struct nst_backward_step){.y = a->map[conv],
                                      .before_relu = a->before_relu[conv],
                                      .pooled = a->pooled[conv],
                                      .pooling = a->v->pooling,
                                      .before = loss_grad(ctx, conv, false),
                                      .after = loss_grad(ctx, conv, true)};
}

void nst_vgg_backward(struct nst_activations *a, nst_loss_grad_fn *loss_grad, void *ctx,
                      struct nst_buffer *grad)
{
    struct nst_vgg *v = a->v;
    const struct nst_backend_ops *ops = v->be->ops;
    struct nst_backward_step step = backward_step(a, v->convs - 1, loss_grad, ctx);

    ops->head_grad(v->be, &step);
    for (int i = v->convs - 1; i > 0; i--) {
        step = backward_step(a, i - 1, loss_grad, ctx);
        ops->conv_grad(v->be, v->conv[i], a->map[i], &step);
    }
    ops->first_conv_grad(v->be, v->conv[0], a->map[0], grad);
}
