/* SPDX-License-Identifier: MIT */
/*
 * scalar.c - the backend that is nothing but the scalar kernels, on planar tensors.
 * Slow and plain: what the others are tested against. NST_BACKEND=scalar runs the
 * whole program on it.
 */
#include "config.h"

#include "backend/backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"

struct nst_conv {
    float *weight, *bias;
    int cin, cout;
};

static enum nst_status scalar_open(struct nst_backend **out, int threads,
                                   struct nst_err *err)
{
    struct nst_backend *be = nst_xcalloc(1, sizeof *be);

    (void)threads, (void)err;
    be->ops = &nst_backend_scalar;
    be->threads = 1;
    *out = be;
    return NST_OK;
}

static void scalar_close(struct nst_backend *be)
{
    free(be);
}

static size_t tensor_floats(struct nst_backend *be, struct nst_shape shape)
{
    (void)be;
    return nst_shape_count(shape);
}

static enum nst_status tensor_new(struct nst_backend *be, struct nst_tensor **out,
                                  struct nst_shape shape, struct nst_err *err)
{
    struct nst_tensor *t = nst_xcalloc(1, sizeof *t);
    enum nst_status st;

    (void)be;
    *out = NULL;
    st = nst_floats_new(&t->data, shape.c, shape.h, shape.w, err);
    if (st != NST_OK) {
        free(t);
        return st;
    }
    t->shape = shape;
    t->capacity = nst_shape_count(shape);
    *out = t;
    return NST_OK;
}

static void tensor_free(struct nst_backend *be, struct nst_tensor *t)
{
    (void)be;
    if (!t)
        return;
    free(t->data);
    free(t);
}

static void tensor_reshape(struct nst_backend *be, struct nst_tensor *t,
                           struct nst_shape shape)
{
    (void)be;
    assert(nst_shape_count(shape) <= t->capacity);
    t->shape = shape;
}

static void upload(struct nst_backend *be, const float *planar, struct nst_tensor *t)
{
    (void)be;
    memcpy(t->data, planar, nst_shape_count(t->shape) * sizeof *planar);
}

static void download(struct nst_backend *be, const struct nst_tensor *t, float *planar)
{
    (void)be;
    memcpy(planar, t->data, nst_shape_count(t->shape) * sizeof *planar);
}

static void tensor_zero(struct nst_backend *be, struct nst_tensor *t)
{
    (void)be;
    memset(t->data, 0, nst_shape_count(t->shape) * sizeof *t->data);
}

static void tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                        bool relu, struct nst_tensor *to)
{
    (void)be;
    for (size_t i = 0; i < nst_shape_count(from->shape); i++)
        to->data[i] = relu && !(from->data[i] > 0) ? 0 : from->data[i];
}

static void conv_free(struct nst_backend *be, struct nst_conv *k)
{
    (void)be;
    if (!k)
        return;
    free(k->weight);
    free(k->bias);
    free(k);
}

static enum nst_status conv_new(struct nst_backend *be, struct nst_conv **out,
                                const float *weight, const float *bias, int cin,
                                int cout, bool gradient, struct nst_err *err)
{
    struct nst_conv *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st;

    (void)gradient;
    *out = NULL;
    k->cin = cin;
    k->cout = cout;
    st = nst_floats_new(&k->weight, cout, cin, 9, err);
    if (st == NST_OK)
        st = nst_floats_new(&k->bias, cout, 1, 1, err);
    if (st != NST_OK) {
        conv_free(be, k);
        return st;
    }
    memcpy(k->weight, weight, (size_t)cout * cin * 9 * sizeof *weight);
    memcpy(k->bias, bias, (size_t)cout * sizeof *bias);
    *out = k;
    return NST_OK;
}

static void conv(struct nst_backend *be, const struct nst_conv *k,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                 bool out_relu)
{
    nst_conv3x3_c(x->data, relu, k->weight, k->bias, y->data, k->cin, k->cout,
                  x->shape.h, x->shape.w);
    if (out_relu)
        tensor_copy(be, y, true, y);
}

static void conv_grad(struct nst_backend *be, const struct nst_conv *k,
                      const struct nst_tensor *gy, struct nst_tensor *gx)
{
    (void)be;
    nst_conv3x3_grad_c(gy->data, k->weight, gx->data, k->cin, k->cout, gy->shape.h,
                       gy->shape.w);
}

static void pool(struct nst_backend *be, enum nst_pooling kind,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y)
{
    struct nst_shape s = x->shape;

    (void)be;
    if (kind == NST_POOLING_MAX)
        nst_maxpool_c(x->data, relu, y->data, s.c, s.h, s.w);
    else
        nst_avgpool_c(x->data, relu, y->data, s.c, s.h, s.w);
}

static void pool_grad(struct nst_backend *be, enum nst_pooling kind,
                      const struct nst_tensor *x, bool relu,
                      const struct nst_tensor *gy, struct nst_tensor *gx)
{
    struct nst_shape s = x->shape;

    (void)be;
    if (kind == NST_POOLING_MAX)
        nst_maxpool_grad_c(x->data, relu, gy->data, gx->data, s.c, s.h, s.w);
    else
        nst_avgpool_grad_c(gy->data, gx->data, s.c, s.h, s.w);
}

static void relu_grad(struct nst_backend *be, const struct nst_tensor *y,
                      struct nst_tensor *g)
{
    (void)be;
    nst_relu_grad_c(y->data, g->data, nst_shape_count(y->shape));
}

static void gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                 float *g)
{
    (void)be;
    nst_gram_c(f->data, relu, g, f->shape.c, nst_shape_area(f->shape));
}

static void gram_grad(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                      const float *s, struct nst_tensor *g)
{
    (void)be;
    nst_gram_grad_c(f->data, relu, s, g->data, f->shape.c, nst_shape_area(f->shape));
}

static double squared_error(struct nst_backend *be, const struct nst_tensor *f,
                            bool relu, const struct nst_tensor *t)
{
    (void)be;
    return nst_squared_error_c(f->data, relu, t->data, nst_shape_count(f->shape));
}

static void squared_error_grad(struct nst_backend *be, const struct nst_tensor *f,
                               bool relu, const struct nst_tensor *t, float scale,
                               struct nst_tensor *g)
{
    (void)be;
    nst_squared_error_grad_c(f->data, relu, t->data, scale, g->data,
                             nst_shape_count(f->shape));
}

const struct nst_backend_ops nst_backend_scalar = {
    .name = "scalar",
    .open = scalar_open,
    .close = scalar_close,
    .tensor_new = tensor_new,
    .tensor_free = tensor_free,
    .tensor_floats = tensor_floats,
    .tensor_reshape = tensor_reshape,
    .tensor_zero = tensor_zero,
    .tensor_copy = tensor_copy,
    .upload = upload,
    .download = download,
    .conv_new = conv_new,
    .conv_free = conv_free,
    .conv = conv,
    .conv_grad = conv_grad,
    .pool = pool,
    .pool_grad = pool_grad,
    .relu_grad = relu_grad,
    .gram = gram,
    .gram_grad = gram_grad,
    .squared_error = squared_error,
    .squared_error_grad = squared_error_grad,
};
