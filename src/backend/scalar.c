/* SPDX-License-Identifier: MIT */
/*
 * scalar.c - the reference backend: scalar kernels on planar tensors, slow and plain.
 * The other backends are tested against it. NST_BACKEND=scalar selects it.
 */
#include "config.h"

#include "backend/host.h"
#include "backend/planar_conv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/nchw16c.h"
#include "kernels/reference.h"
#include "kernels/vector_kernels.h"

struct scalar {
    struct nst_backend base;
    float *scratch[2]; /* each as large as the largest tensor or picture */
    size_t scratch_floats;
};

static float *values(const struct nst_tensor *t)
{
    return nst_floats(t->data);
}

static enum nst_status scalar_open(struct nst_backend **out,
                                   const struct nst_backend_config *config,
                                   struct nst_err *err)
{
    struct scalar *scalar = nst_xcalloc(1, sizeof *scalar);
    enum nst_status st = nst_backend_require_fp32(config, err);

    *out = NULL;
    if (st == NST_OK && !nst_vector_kernels_choose())
        st = nst_nchw16c_unknown_isa(err);
    if (st == NST_OK)
        st = nst_threads_new(&scalar->base.threads, 1, err);
    if (st != NST_OK) {
        free(scalar);
        return st;
    }
    scalar->base.ops = &nst_backend_scalar;
    scalar->base.config = *config;
    *out = &scalar->base;
    return NST_OK;
}

static void scalar_close(struct nst_backend *be)
{
    struct scalar *scalar = (struct scalar *)be;

    free(scalar->scratch[0]);
    free(scalar->scratch[1]);
    nst_threads_free(be->threads);
    free(scalar);
}

static enum nst_status scalar_clone(struct nst_backend **out,
                                    const struct nst_backend *be, struct nst_err *err)
{
    return scalar_open(out, &be->config, err);
}

static enum nst_status scratch_reserve(struct scalar *scalar, size_t floats,
                                       struct nst_err *err)
{
    if (floats <= scalar->scratch_floats)
        return NST_OK;
    scalar->scratch_floats = 0;
    for (int i = 0; i < 2; i++) {
        enum nst_status st;

        free(scalar->scratch[i]);
        st = nst_floats_new(&scalar->scratch[i], floats, 1, 1, err);
        if (st != NST_OK)
            return st;
    }
    scalar->scratch_floats = floats;
    return NST_OK;
}

static enum nst_status scalar_tensor_new(struct nst_backend *be,
                                         struct nst_tensor **out,
                                         struct nst_shape shape, struct nst_err *err)
{
    size_t floats = nst_shape_area(shape) * (size_t)(shape.c < 3 ? 3 : shape.c);
    enum nst_status st = scratch_reserve((struct scalar *)be, floats, err);

    *out = NULL;
    if (st != NST_OK)
        return st;
    return nst_host_tensor_new(out, shape, shape.c, nst_shape_area(shape), err);
}

static size_t scalar_tensor_bytes(const struct nst_backend *be, struct nst_shape shape,
                                  size_t *scratch)
{
    size_t bytes = nst_shape_count(shape) * sizeof(float);

    (void)be;
    if (2 * bytes > *scratch)
        *scratch = 2 * bytes;
    return bytes;
}

static void scalar_tensor_upload(struct nst_backend *be, const float *planar,
                                 struct nst_tensor *t)
{
    (void)be;
    memcpy(values(t), planar, nst_shape_count(t->shape) * sizeof *planar);
}

static void scalar_tensor_download(struct nst_backend *be, const struct nst_tensor *t,
                                   float *planar)
{
    (void)be;
    memcpy(planar, values(t), nst_shape_count(t->shape) * sizeof *planar);
}

static void scalar_tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                               bool relu, struct nst_tensor *to)
{
    (void)be;
    for (size_t i = 0; i < nst_shape_count(from->shape); i++)
        values(to)[i] = relu && !(values(from)[i] > 0) ? 0 : values(from)[i];
}

static void scalar_conv(struct nst_backend *be, const struct nst_conv *k,
                        const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                        bool out_relu, enum nst_pooling pooling,
                        struct nst_tensor *pooled)
{
    struct nst_shape s = y->shape;

    nst_conv3x3_c(values(x), relu, k->weight, k->bias, values(y), k->cin, k->cout, s.h,
                  s.w, k->padding);
    if (out_relu)
        scalar_tensor_copy(be, y, true, y);
    if (pooled && pooling == NST_POOLING_MAX)
        nst_maxpool_c(values(y), true, values(pooled), s.c, s.h, s.w);
    else if (pooled)
        nst_avgpool_c(values(y), true, values(pooled), s.c, s.h, s.w);
}

static void add_loss_grad(const struct nst_loss_grad *t, const struct nst_tensor *y,
                          bool relu, float *g)
{
    for (int i = 0; i < t->regions; i++)
        nst_gram_grad_c(values(y), relu, nst_const_floats(t->region[i].mask),
                        nst_const_floats(t->region[i].matrix),
                        nst_const_floats(t->region[i].offset), g, y->shape.c,
                        nst_shape_area(y->shape));
    if (t->target)
        nst_squared_error_grad_c(values(y), relu, values(t->target), t->scale, g,
                                 nst_shape_count(y->shape));
}

/* g is the gradient with respect to the ReLU's output; apply the rest of the step. */
static void backward_step(const struct nst_backward_step *step, float *g)
{
    size_t n = nst_shape_count(step->y->shape);

    add_loss_grad(&step->after, step->y, step->before_relu, g);
    nst_relu_grad_c(values(step->y), g, n);
    add_loss_grad(&step->before, step->y, false, g);
    memcpy(values(step->y), g, n * sizeof *g);
}

static void scalar_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                             const struct nst_tensor *gy,
                             const struct nst_backward_step *step)
{
    struct scalar *scalar = (struct scalar *)be;
    struct nst_shape s = step->y->shape;
    float *gx = scalar->scratch[0], *g = gx;

    nst_conv3x3_grad_c(values(gy), k->weight, gx, k->cin, k->cout, gy->shape.h,
                       gy->shape.w, k->padding);
    if (step->pooled) {
        g = scalar->scratch[1];
        if (step->pooling == NST_POOLING_MAX)
            nst_maxpool_grad_c(values(step->y), true, gx, g, s.c, s.h, s.w);
        else
            nst_avgpool_grad_c(gx, g, s.c, s.h, s.w);
    }
    backward_step(step, g);
}

static void scalar_head_grad(struct nst_backend *be,
                             const struct nst_backward_step *step)
{
    struct scalar *scalar = (struct scalar *)be;

    memset(scalar->scratch[0], 0, nst_shape_count(step->y->shape) * sizeof(float));
    backward_step(step, scalar->scratch[0]);
}

static void scalar_first_conv(struct nst_backend *be, const struct nst_conv *k,
                              const struct nst_buffer *rgb, struct nst_tensor *y,
                              bool out_relu)
{
    const float *picture = nst_const_floats(rgb);
    size_t area = nst_shape_area(y->shape);
    float *x = ((struct scalar *)be)->scratch[0];

    for (size_t i = 0; i < 3 * area; i++)
        x[i] =
            (picture[i] - k->picture->mean[i / area]) / k->picture->deviation[i / area];
    nst_conv3x3_c(x, 0, k->weight, k->bias, values(y), 3, k->cout, y->shape.h,
                  y->shape.w, k->padding);
    if (out_relu)
        scalar_tensor_copy(be, y, true, y);
}

static void scalar_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                                   const struct nst_tensor *gy, struct nst_buffer *rgb)
{
    float *grad = nst_floats(rgb);
    size_t area = nst_shape_area(gy->shape);

    (void)be;
    nst_conv3x3_grad_c(values(gy), k->weight, grad, 3, k->cout, gy->shape.h,
                       gy->shape.w, k->padding);
    for (size_t i = 0; i < 3 * area; i++)
        grad[i] /= k->picture->deviation[i / area];
}

/* Copy the window of a plane to out, contiguously. */
static void pack_plane(const float *from, struct nst_shape s, struct nst_window w,
                       float *out)
{
    for (int r = 0; r < w.height; r++)
        memcpy(out + (size_t)r * w.width, from + (size_t)(w.top + r) * s.w + w.left,
               (size_t)w.width * sizeof *out);
}

static void pack_channel(const struct nst_tensor *t, int c, struct nst_window w,
                         float *out)
{
    pack_plane(values(t) + c * nst_shape_area(t->shape), t->shape, w, out);
}

/* Pack all channels of the window into scratch[0], and its mask into scratch[1].
 * Returns the packed mask, or NULL. */
static const float *pack_window(struct scalar *scalar, const struct nst_tensor *f,
                                struct nst_window w, const struct nst_buffer *mask)
{
    for (int c = 0; c < f->shape.c; c++)
        pack_channel(f, c, w, scalar->scratch[0] + c * ((size_t)w.height * w.width));
    if (!mask)
        return NULL;
    pack_plane(nst_const_floats(mask), f->shape, w, scalar->scratch[1]);
    return scalar->scratch[1];
}

static void scalar_layer_sums(struct nst_backend *be, const struct nst_tensor *f,
                              bool relu, struct nst_window w,
                              const struct nst_buffer *mask, bool add,
                              struct nst_layer_sums to)
{
    struct scalar *scalar = (struct scalar *)be;
    const float *packed = pack_window(scalar, f, w, mask);
    double *products = nst_doubles(to.products), *sums = nst_doubles(to.sums);
    size_t c = (size_t)f->shape.c, area = (size_t)w.height * w.width;

    if (!add) {
        memset(products, 0, c * c * sizeof *products);
        if (sums)
            memset(sums, 0, c * sizeof *sums);
    }
    nst_gram_c(scalar->scratch[0], relu, packed, products, f->shape.c, area);
    if (sums)
        nst_channel_sums_c(scalar->scratch[0], relu, packed, sums, f->shape.c, area);
}

static void scalar_squared_error(struct nst_backend *be, const struct nst_tensor *f,
                                 bool relu, const struct nst_tensor *t,
                                 struct nst_window w, bool add, struct nst_scalar sum)
{
    double *to = nst_scalar_at(sum);
    struct scalar *scalar = (struct scalar *)be;
    double total = 0;

    for (int c = 0; c < f->shape.c; c++) {
        pack_channel(f, c, w, scalar->scratch[0]);
        pack_channel(t, c, w, scalar->scratch[1]);
        total += nst_squared_error_c(scalar->scratch[0], relu, scalar->scratch[1],
                                     (size_t)w.height * w.width);
    }
    *to = add ? *to + total : total;
}

const struct nst_backend_ops nst_backend_scalar = {
    .name = "scalar",
    NST_HOST_OPERATORS(scalar),
    .conv_new = nst_planar_conv_new,
    .conv_free = nst_planar_conv_free,
    .net = &nst_net_ops_scalar,
};
