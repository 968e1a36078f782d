/* SPDX-License-Identifier: MIT */
/*
 * scalar_net_grad.c - gradients of the operators of feed-forward networks on planar
 * tensors, slow and plain: the specification (see net_grad_ops.h).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "backend/host.h"
#include "backend/net_grad_ops.h"
#include "backend/scalar_net.h"
#include "base/alloc.h"

struct nst_net_grad {
    enum nst_net_kind kind;
    int cin, cout;
    float *weight; /* owned */
};

static void grad_free(struct nst_backend *be, struct nst_net_grad *k)
{
    (void)be;
    if (!k)
        return;
    free(k->weight);
    free(k);
}

static void grad_set(struct nst_backend *be, struct nst_net_grad *k,
                     const struct nst_net_filters *f)
{
    int side = nst_net_side(f->kind);

    (void)be;
    memcpy(k->weight, f->weight,
           (size_t)f->cout * (size_t)f->cin * side * side * sizeof *f->weight);
}

static enum nst_status grad_new(struct nst_backend *be, struct nst_net_grad **out,
                                const struct nst_net_filters *f, struct nst_err *err)
{
    struct nst_net_grad *k = nst_xcalloc(1, sizeof *k);
    int side = nst_net_side(f->kind);
    enum nst_status st =
        nst_floats_new(&k->weight, (size_t)f->cout * f->cin, side, side, err);

    *out = NULL;
    k->kind = f->kind;
    k->cin = f->cin;
    k->cout = f->cout;
    if (st != NST_OK) {
        grad_free(be, k);
        return st;
    }
    grad_set(be, k, f);
    *out = k;
    return NST_OK;
}

static enum nst_status grad_prepare(struct nst_backend *be, struct nst_net_grad *k,
                                    int height, int width, struct nst_err *err)
{
    (void)be;
    (void)k;
    (void)height;
    (void)width;
    (void)err;
    return NST_OK;
}

static void grad_conv(struct nst_backend *be, const struct nst_net_grad *k,
                      const struct nst_tensor *gy, struct nst_tensor *gx, bool add)
{
    struct nst_shape s = gx->shape;
    float *to = nst_floats(gx->data);

    (void)be;
    if (!add)
        memset(to, 0, nst_shape_count(s) * sizeof *to);
    nst_net_conv_grad_c(nst_scalar_net_geometry(k->kind), nst_const_floats(gy->data),
                        k->weight, to, k->cin, k->cout, s.h, s.w);
}

static void grad_to_picture(struct nst_backend *be, const struct nst_net_grad *k,
                            const float *rgb, struct nst_tensor *gx)
{
    struct nst_shape s = gx->shape;
    float *to = nst_floats(gx->data);

    (void)be;
    memset(to, 0, nst_shape_count(s) * sizeof *to);
    nst_net_conv_grad_c(nst_scalar_net_geometry(k->kind), rgb, k->weight, to, k->cin, 3,
                        s.h, s.w);
}

static void grad_conv_weight(struct nst_backend *be, const struct nst_net_grad *k,
                             const struct nst_net_view *x, const struct nst_tensor *gy,
                             float *weight)
{
    struct nst_shape s = x->x->shape;
    float *values = nst_scalar_net_view_values(x);

    (void)be;
    nst_net_weight_grad_c(nst_scalar_net_geometry(k->kind), nst_const_floats(gy->data),
                          values, weight, k->cin, k->cout, s.h, s.w);
    free(values);
}

static void grad_from_picture_weight(struct nst_backend *be,
                                     const struct nst_net_grad *k, const float *rgb,
                                     const struct nst_tensor *gy, float *weight)
{
    (void)be;
    nst_net_weight_grad_c(nst_scalar_net_geometry(k->kind), nst_const_floats(gy->data),
                          rgb, weight, 3, k->cout, gy->shape.h, gy->shape.w);
}

static void grad_to_picture_weight(struct nst_backend *be, const struct nst_net_grad *k,
                                   const struct nst_net_view *x, const float *grgb,
                                   float *weight, float *bias)
{
    struct nst_shape s = x->x->shape;
    size_t area = nst_shape_area(s);
    float *values = nst_scalar_net_view_values(x);

    (void)be;
    nst_net_weight_grad_c(nst_scalar_net_geometry(k->kind), grgb, values, weight,
                          k->cin, 3, s.h, s.w);
    free(values);
    for (int c = 0; c < 3; c++) {
        double sum = 0;

        for (size_t i = 0; i < area; i++)
            sum += grgb[c * area + i];
        bias[c] += (float)sum;
    }
}

/* dx = scale (g - mean(g) - n mean(g n)), with n = (x - mean) / deviation */
static void norm_channel(const struct nst_net_view *v, int c, double mean,
                         double deviation, size_t area, const float *x, const float *g,
                         float *gx, float *gamma, float *beta)
{
    double sum = 0, product = 0;

    for (size_t i = 0; i < area; i++) {
        gx[i] = v->relu && !(nst_scalar_net_seen(v, c, x[i]) > 0) ? 0 : g[i];
        sum += gx[i];
        product += gx[i] * (x[i] - mean) / deviation;
    }
    *gamma += (float)product;
    *beta += (float)sum;
    sum /= (double)area;
    product /= (double)area;
    for (size_t i = 0; i < area; i++)
        gx[i] =
            (float)(v->scale[c] * (gx[i] - sum - (x[i] - mean) / deviation * product));
}

static void grad_norm(struct nst_backend *be, const struct nst_net_view *x,
                      const struct nst_net_moments *moments, const struct nst_tensor *g,
                      struct nst_tensor *gx, float *gamma, float *beta)
{
    size_t area = nst_shape_area(gx->shape);

    (void)be;
    for (int c = 0; c < gx->shape.c; c++)
        norm_channel(x, c, moments->mean[c], moments->deviation[c], area,
                     nst_const_floats(x->x->data) + c * area,
                     nst_const_floats(g->data) + c * area,
                     nst_floats(gx->data) + c * area, &gamma[c], &beta[c]);
}

const struct nst_net_grad_ops nst_net_grad_ops_scalar = {
    .new = grad_new,
    .free = grad_free,
    .set = grad_set,
    .prepare = grad_prepare,
    .conv = grad_conv,
    .to_picture = grad_to_picture,
    .conv_weight = grad_conv_weight,
    .from_picture_weight = grad_from_picture_weight,
    .to_picture_weight = grad_to_picture_weight,
    .norm = grad_norm};
