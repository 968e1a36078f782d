/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/vgg.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What the network was trained with: ImageNet's mean and deviation, RGB 0 to 1. */
static const struct nst_normalisation imagenet = {{0.485f, 0.456f, 0.406f},
                                                  {0.229f, 0.224f, 0.225f}};

struct nst_vgg {
    struct nst_backend *be;
    enum nst_pooling pooling;
    int convs;
    int width[NST_VGG_CONVS]; /* channels that each convolution puts out */
    struct nst_conv *conv[NST_VGG_CONVS];
    uint64_t fingerprint[NST_VGG_CONVS];
    bool shared; /* the convolutions belong to another */
};

struct nst_pass {
    struct nst_vgg *v;
    struct nst_tensor *map[NST_VGG_CONVS];    /* what each convolution puts out; on the
                                                 way back, the gradient by it */
    struct nst_tensor *pooled[NST_VGG_CONVS]; /* the same after pooling, or NULL */
    bool before_relu[NST_VGG_CONVS];          /* map holds the value before the ReLU */
};

/* FNV-1a (Fowler, Noll and Vo), 32 bits at a time. */
static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i += sizeof(uint32_t)) {
        uint32_t word;

        memcpy(&word, (const char *)data + i, sizeof word);
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

static uint64_t fingerprint(uint64_t below, const struct nst_layer_weights *l,
                            enum nst_pooling pooling, bool pooled)
{
    uint32_t how = pooled ? 1 + (uint32_t)pooling : 0;
    uint64_t hash = mix(0xcbf29ce484222325u, &below, sizeof below);

    hash = mix(hash, &how, sizeof how);
    hash = mix(hash, l->bias, (size_t)l->cout * sizeof *l->bias);
    return mix(hash, l->weight, (size_t)9 * l->cin * l->cout * sizeof *l->weight);
}

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
        v->fingerprint[i] = fingerprint(i ? v->fingerprint[i - 1] : 0, l, pooling,
                                        i && nst_conv_before_pool(i - 1));
        st = be->ops->conv_new(be, &v->conv[i], l->weight, l->bias, l->cin, l->cout,
                               i ? NULL : &imagenet, err);
        if (st != NST_OK) {
            nst_vgg_free(v);
            return st;
        }
    }
    *out = v;
    return NST_OK;
}

void nst_vgg_share(struct nst_vgg **out, const struct nst_vgg *v,
                   struct nst_backend *be)
{
    *out = nst_xcalloc(1, sizeof **out);
    **out = *v;
    (*out)->be = be;
    (*out)->shared = true;
}

void nst_vgg_free(struct nst_vgg *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->convs && !v->shared; i++)
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
    return v->width[conv];
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
    struct nst_shape s = {0, height, width};
    enum nst_status st = NST_OK;

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

size_t nst_pass_map_bytes(const struct nst_vgg *v, int conv, int height, int width)
{
    size_t scratch = 0;

    for (int i = 0; i < conv; i++)
        if (pools_after(v, i)) {
            height /= 2;
            width /= 2;
        }
    return v->be->ops->tensor_bytes(
        v->be, (struct nst_shape){v->width[conv], height, width}, &scratch);
}

size_t nst_pass_bytes(const struct nst_vgg *v, int height, int width, size_t *scratch)
{
    const struct nst_backend_ops *ops = v->be->ops;
    struct nst_shape s = {0, height, width};
    size_t bytes = 0;

    for (int i = 0; i < v->convs; i++) {
        s.c = v->width[i];
        bytes += ops->tensor_bytes(v->be, s, scratch);
        if (pools_after(v, i)) {
            s.h /= 2;
            s.w /= 2;
            bytes += ops->tensor_bytes(v->be, s, scratch);
        }
    }
    return bytes;
}

enum nst_status nst_pass_new(struct nst_pass **out, struct nst_vgg *v, int height,
                             int width, const bool keep_before_relu[NST_VGG_CONVS],
                             struct nst_err *err)
{
    struct nst_pass *p = nst_xcalloc(1, sizeof *p);
    enum nst_status st;

    *out = NULL;
    p->v = v;
    for (int i = 0; i < v->convs; i++)
        p->before_relu[i] = keep_before_relu[i];
    st = new_maps(p, height, width, err);
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
    for (int i = 0; i < NST_VGG_CONVS; i++) {
        ops->tensor_free(be, p->map[i]);
        ops->tensor_free(be, p->pooled[i]);
    }
    free(p);
}

void nst_pass_forward(struct nst_pass *p, const float *rgb)
{
    struct nst_vgg *v = p->v;
    const struct nst_backend_ops *ops = v->be->ops;

    ops->conv_picture(v->be, v->conv[0], rgb, p->map[0], !p->before_relu[0]);
    for (int i = 1; i < v->convs; i++) {
        const struct nst_tensor *x = p->pooled[i - 1];

        /* the ReLU is still to be applied to a map of values before it */
        ops->conv(v->be, v->conv[i], x ? x : p->map[i - 1], !x && p->before_relu[i - 1],
                  p->map[i], !p->before_relu[i], v->pooling, p->pooled[i]);
    }
}

const struct nst_tensor *nst_pass_map(const struct nst_pass *p,
                                      const struct nst_tap *tap, bool *relu)
{
    *relu = tap->after_relu && p->before_relu[tap->conv];
    return p->map[tap->conv];
}

struct nst_backend *nst_pass_backend(const struct nst_pass *p)
{
    return p->v->be;
}

struct nst_window nst_pass_window(const struct nst_pass *p, int conv,
                                  struct nst_window picture)
{
    int bottom = picture.top + picture.height, right = picture.left + picture.width;

    for (int i = 0; i < conv; i++)
        if (pools_after(p->v, i)) {
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
        side = (pools_after(v, i) ? 2 * side : side) + 2;
    return side;
}

int nst_vgg_halvings(const struct nst_vgg *v, int conv)
{
    int n = 0;

    for (int i = 0; i < conv; i++)
        n += pools_after(v, i);
    return n;
}

int nst_vgg_alignment(const struct nst_vgg *v)
{
    return 1 << nst_vgg_halvings(v, v->convs - 1);
}

static struct nst_joint joint(struct nst_pass *p, int conv, nst_pass_terms *terms,
                              void *ctx)
{
    return (struct nst_joint){.y = p->map[conv],
                              .before_relu = p->before_relu[conv],
                              .pooled = p->pooled[conv],
                              .pooling = p->v->pooling,
                              .before = terms(ctx, conv, false),
                              .after = terms(ctx, conv, true)};
}

void nst_pass_backward(struct nst_pass *p, nst_pass_terms *terms, void *ctx,
                       float *grad)
{
    struct nst_vgg *v = p->v;
    const struct nst_backend_ops *ops = v->be->ops;
    struct nst_joint j = joint(p, v->convs - 1, terms, ctx);

    ops->last_grad(v->be, &j);
    for (int i = v->convs - 1; i > 0; i--) {
        j = joint(p, i - 1, terms, ctx);
        ops->conv_grad(v->be, v->conv[i], p->map[i], &j);
    }
    ops->conv_picture_grad(v->be, v->conv[0], p->map[0], grad);
}
