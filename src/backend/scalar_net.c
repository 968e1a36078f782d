/* SPDX-License-Identifier: MIT */
/*
 * scalar_net.c - the operators of feed-forward networks on planar tensors, slow and
 * plain: the specification (see net_ops.h).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "backend/host.h"
#include "backend/net_grad_ops.h"
#include "backend/scalar_net.h"
#include "base/alloc.h"
#include "kernels/net_reference.h"

struct nst_net_conv {
    enum nst_net_kind kind;
    int cin, cout;
    float *weight, *bias; /* owned; bias may be NULL */
};

static void scalar_conv_set(struct nst_backend *be, struct nst_net_conv *k,
                            const struct nst_net_filters *f)
{
    int side = nst_net_side(f->kind);

    (void)be;
    memcpy(k->weight, f->weight,
           (size_t)f->cout * (size_t)f->cin * side * side * sizeof *f->weight);
    if (f->bias)
        memcpy(k->bias, f->bias, (size_t)f->cout * sizeof *f->bias);
}

static void scalar_conv_free(struct nst_backend *be, struct nst_net_conv *k)
{
    (void)be;
    if (!k)
        return;
    free(k->weight);
    free(k->bias);
    free(k);
}

static enum nst_status scalar_conv_new(struct nst_backend *be,
                                       struct nst_net_conv **out,
                                       const struct nst_net_filters *f,
                                       struct nst_err *err)
{
    struct nst_net_conv *k = nst_xcalloc(1, sizeof *k);
    int side = nst_net_side(f->kind);
    enum nst_status st =
        nst_floats_new(&k->weight, (size_t)f->cout * f->cin, side, side, err);

    *out = NULL;
    if (st == NST_OK && f->bias)
        st = nst_floats_new(&k->bias, f->cout, 1, 1, err);
    if (st != NST_OK) {
        scalar_conv_free(be, k);
        return st;
    }
    k->kind = f->kind;
    k->cin = f->cin;
    k->cout = f->cout;
    scalar_conv_set(be, k, f);
    *out = k;
    return NST_OK;
}

/* Each call allocates its input as its reader sees it. */
static size_t scalar_conv_bytes(const struct nst_backend *be,
                                const struct nst_net_filters *f, int height, int width,
                                size_t *scratch)
{
    size_t input = (size_t)f->cin * (size_t)height * (size_t)width * sizeof(float);
    size_t side = (size_t)nst_net_side(f->kind);

    (void)be;
    if (input > *scratch)
        *scratch = input;
    return (size_t)f->cout * (size_t)f->cin * side * side * sizeof(float);
}

static enum nst_status scalar_conv_prepare(struct nst_backend *be,
                                           struct nst_net_conv *k, int height,
                                           int width, struct nst_err *err)
{
    (void)be;
    (void)k;
    (void)height;
    (void)width;
    (void)err;
    return NST_OK;
}

static void sum_rows(const struct nst_tensor *y, const struct nst_net_sums *sums)
{
    struct nst_shape s = y->shape;

    for (int c = 0; sums && c < s.c; c++) {
        const float *plane = nst_floats(y->data) + (size_t)c * nst_shape_area(s);

        sums->sum[c] = sums->squares[c] = 0;
        for (size_t i = (size_t)sums->first * s.w; i < (size_t)sums->last * s.w; i++) {
            sums->sum[c] += plane[i];
            sums->squares[c] += (double)plane[i] * plane[i];
        }
    }
}

static void scalar_conv(struct nst_backend *be, const struct nst_net_conv *k,
                        const struct nst_net_view *x, struct nst_tensor *y,
                        const struct nst_net_sums *sums)
{
    struct nst_shape s = x->x->shape;
    float *values = nst_scalar_net_view_values(x);

    (void)be;
    nst_net_conv_c(nst_scalar_net_geometry(k->kind), values, k->weight, k->bias,
                   nst_floats(y->data), k->cin, k->cout, s.h, s.w);
    free(values);
    sum_rows(y, sums);
}

static void scalar_from_picture(struct nst_backend *be, const struct nst_net_conv *k,
                                const float *rgb, struct nst_tensor *y,
                                const struct nst_net_sums *sums)
{
    (void)be;
    nst_net_conv_c(nst_scalar_net_geometry(k->kind), rgb, k->weight, k->bias,
                   nst_floats(y->data), 3, k->cout, y->shape.h, y->shape.w);
    sum_rows(y, sums);
}

static void scalar_to_picture(struct nst_backend *be, const struct nst_net_conv *k,
                              const struct nst_net_view *x, float *rgb)
{
    struct nst_shape s = x->x->shape;
    float *values = nst_scalar_net_view_values(x);

    (void)be;
    nst_net_conv_c(nst_scalar_net_geometry(k->kind), values, k->weight, k->bias, rgb,
                   k->cin, 3, s.h, s.w);
    free(values);
}

static void scalar_add(struct nst_backend *be, const struct nst_net_view *x,
                       const struct nst_net_view *y, struct nst_tensor *z)
{
    size_t area = nst_shape_area(z->shape);
    const float *a = nst_const_floats(x->x->data), *b = nst_const_floats(y->x->data);
    float *to = nst_floats(z->data);

    (void)be;
    for (size_t i = 0; i < nst_shape_count(z->shape); i++)
        to[i] = nst_scalar_net_seen(x, (int)(i / area), a[i]) +
                nst_scalar_net_seen(y, (int)(i / area), b[i]);
}

static void scalar_reshape(struct nst_backend *be, struct nst_tensor *t, int height,
                           int width)
{
    (void)be;
    t->shape.h = height;
    t->shape.w = width;
}

static void scalar_copy_rows(struct nst_backend *be, const struct nst_tensor *from,
                             int from_row, int count, struct nst_tensor *to, int to_row)
{
    size_t w = (size_t)from->shape.w;

    (void)be;
    for (int c = 0; c < from->shape.c; c++)
        memcpy(nst_floats(to->data) + ((size_t)c * to->shape.h + to_row) * w,
               nst_const_floats(from->data) +
                   ((size_t)c * from->shape.h + from_row) * w,
               (size_t)count * w * sizeof(float));
}

const struct nst_net_ops nst_net_ops_scalar = {.grad = &nst_net_grad_ops_scalar,
                                               .conv_new = scalar_conv_new,
                                               .conv_free = scalar_conv_free,
                                               .conv_set = scalar_conv_set,
                                               .conv_bytes = scalar_conv_bytes,
                                               .conv_prepare = scalar_conv_prepare,
                                               .conv = scalar_conv,
                                               .from_picture = scalar_from_picture,
                                               .to_picture = scalar_to_picture,
                                               .add = scalar_add,
                                               .reshape = scalar_reshape,
                                               .copy_rows = scalar_copy_rows};
