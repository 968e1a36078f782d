/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "net/tape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/net_grad_ops.h"
#include "base/alloc.h"

#define CHANNELS (4 * NST_NET_MAX_WIDTH) /* most of any map */

/* Instance norm of a map. */
struct norm {
    double mean[CHANNELS], deviation[CHANNELS];
    float scale[CHANNELS], shift[CHANNELS];
};

/* What one forward pass leaves for its backward pass. */
struct record {
    struct nst_tensor *map[NST_NET_MAX_CONVS]; /* of each layer but the last, before its
                                                * norm */
    struct nst_tensor *sum[NST_NET_MAX_BLOCKS]; /* what each block makes */
    struct norm *norms;
};

struct nst_net_tape {
    struct nst_backend *be;
    const struct nst_net_ops *ops;
    const struct nst_net_grad_ops *grad;
    struct nst_net_shape shape;
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    int count, slots, height, width;
    size_t parameters;
    float *values; /* of the parameters */
    struct nst_net_conv *convs[NST_NET_MAX_CONVS];
    struct nst_net_grad *grads[NST_NET_MAX_CONVS];
    struct record *records;
    /* gradients of maps: at the picture's size, at half of it, three at a quarter */
    struct nst_tensor *full, *half, *quarter[3];
};

/* Pixels of the picture per pixel of a layer's input, or of its result. */
static int input_stride(const struct nst_net_tape *t, int layer)
{
    int up = t->count - 3;

    return layer <= 1 || layer == t->count - 1 ? 1
           : layer == 2 || layer == up + 1     ? 2
                                               : 4;
}

static int output_stride(const struct nst_net_tape *t, int layer)
{
    int up = t->count - 3;

    return layer == 0 || layer > up ? 1 : layer == 1 || layer == up ? 2 : 4;
}

static struct nst_net_filters filters_of(const struct nst_net_tape *t, int layer)
{
    const struct nst_net_layer *l = &t->layers[layer];

    return (struct nst_net_filters){
        .kind = l->kind,
        .cin = l->cin,
        .cout = l->cout,
        .weight = t->values + l->weight,
        .bias = l->kind == NST_NET_TO_PICTURE ? t->values + l->bias : NULL};
}

static enum nst_status map_new(struct nst_net_tape *t, struct nst_tensor **out,
                               int channels, int stride, struct nst_err *err)
{
    struct nst_shape s = {channels, t->height / stride, t->width / stride};

    return t->be->ops->tensor_new(t->be, out, s, err);
}

static enum nst_status record_new(struct nst_net_tape *t, struct record *r,
                                  struct nst_err *err)
{
    enum nst_status st = NST_OK;

    r->norms = nst_xcalloc((size_t)t->count, sizeof *r->norms);
    for (int i = 0; st == NST_OK && i < t->count - 1; i++)
        st = map_new(t, &r->map[i], t->layers[i].cout, output_stride(t, i), err);
    for (int b = 0; st == NST_OK && b < t->shape.blocks; b++)
        st = map_new(t, &r->sum[b], 4 * t->shape.width, 4, err);
    return st;
}

static enum nst_status convs_new(struct nst_net_tape *t, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < t->count; i++) {
        struct nst_net_filters f = filters_of(t, i);
        int stride = input_stride(t, i);

        st = t->ops->conv_new(t->be, &t->convs[i], &f, err);
        if (st == NST_OK)
            st = t->grad->new (t->be, &t->grads[i], &f, err);
        if (st == NST_OK)
            st = t->ops->conv_prepare(t->be, t->convs[i], t->height / stride,
                                      t->width / stride, err);
        if (st == NST_OK)
            st = t->grad->prepare(t->be, t->grads[i], t->height / stride,
                                  t->width / stride, err);
    }
    return st;
}

static enum nst_status gradients_new(struct nst_net_tape *t, struct nst_err *err)
{
    int w = t->shape.width;
    enum nst_status st = map_new(t, &t->full, w, 1, err);

    if (st == NST_OK)
        st = map_new(t, &t->half, 2 * w, 2, err);
    for (int i = 0; st == NST_OK && i < 3; i++)
        st = map_new(t, &t->quarter[i], 4 * w, 4, err);
    return st;
}

enum nst_status nst_net_tape_new(struct nst_net_tape **out, struct nst_backend *be,
                                 const struct nst_net_weights *w, int height, int width,
                                 int slots, struct nst_err *err)
{
    struct nst_net_tape *t;
    enum nst_status st;

    *out = NULL;
    if (!be->ops->net || !be->ops->net->grad)
        return nst_err_set(err, NST_ERR_ARG,
                           "the backend '%s' cannot train networks: use the CPU "
                           "(--device cpu)",
                           be->ops->name);
    t = nst_xcalloc(1, sizeof *t);
    *t = (struct nst_net_tape){.be = be,
                               .ops = be->ops->net,
                               .grad = be->ops->net->grad,
                               .shape = w->shape,
                               .height = height,
                               .width = width,
                               .slots = slots};
    t->count = nst_net_layers(w->shape, t->layers, &t->parameters);
    t->records = nst_xcalloc((size_t)slots, sizeof *t->records);
    st = nst_floats_new(&t->values, t->parameters, 1, 1, err);
    if (st == NST_OK) {
        memcpy(t->values, w->values, t->parameters * sizeof *t->values);
        st = convs_new(t, err);
    }
    for (int i = 0; st == NST_OK && i < slots; i++)
        st = record_new(t, &t->records[i], err);
    if (st == NST_OK)
        st = gradients_new(t, err);
    if (st != NST_OK) {
        nst_net_tape_free(t);
        return st;
    }
    *out = t;
    return NST_OK;
}

static void record_clear(struct nst_net_tape *t, struct record *r)
{
    for (int i = 0; i < t->count - 1; i++)
        t->be->ops->tensor_free(t->be, r->map[i]);
    for (int b = 0; b < t->shape.blocks; b++)
        t->be->ops->tensor_free(t->be, r->sum[b]);
    free(r->norms);
}

void nst_net_tape_free(struct nst_net_tape *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->slots; i++)
        record_clear(t, &t->records[i]);
    free(t->records);
    for (int i = 0; i < t->count; i++) {
        t->ops->conv_free(t->be, t->convs[i]);
        t->grad->free(t->be, t->grads[i]);
    }
    t->be->ops->tensor_free(t->be, t->full);
    t->be->ops->tensor_free(t->be, t->half);
    for (int i = 0; i < 3; i++)
        t->be->ops->tensor_free(t->be, t->quarter[i]);
    free(t->values);
    free(t);
}

void nst_net_tape_set(struct nst_net_tape *t, const float *values)
{
    memcpy(t->values, values, t->parameters * sizeof *values);
    for (int i = 0; i < t->count; i++) {
        struct nst_net_filters f = filters_of(t, i);

        t->ops->conv_set(t->be, t->convs[i], &f);
        t->grad->set(t->be, t->grads[i], &f);
    }
}

size_t nst_net_tape_bytes(const struct nst_backend *be, struct nst_net_shape shape,
                          int height, int width, int slots)
{
    struct nst_shape full = {shape.width, height, width},
                     half = {2 * shape.width, height / 2, width / 2},
                     quarter = {4 * shape.width, height / 4, width / 4};
    size_t scratch = 0, f = be->ops->tensor_bytes(be, full, &scratch),
           h = be->ops->tensor_bytes(be, half, &scratch),
           q = be->ops->tensor_bytes(be, quarter, &scratch);
    size_t record = 2 * f + 2 * h + (1 + 3 * (size_t)shape.blocks) * q;

    return (size_t)slots * record + f + h + 3 * q + scratch;
}

static void set_norm(const struct nst_net_tape *t, int layer, struct norm *n,
                     const double *sum, const double *squares, double pixels)
{
    const struct nst_net_layer *l = &t->layers[layer];

    for (int c = 0; c < l->cout; c++) {
        double mean = sum[c] / pixels;
        double variance = fmax(squares[c] / pixels - mean * mean, 0);
        double scale;

        n->mean[c] = mean;
        n->deviation[c] = sqrt(variance + NST_NET_VARIANCE_EPSILON);
        scale = t->values[l->scale + (size_t)c] / n->deviation[c];
        n->scale[c] = (float)scale;
        n->shift[c] = (float)(t->values[l->shift + (size_t)c] - scale * mean);
    }
}

/* The map of a layer as its reader sees it. */
static struct nst_net_view view_of(const struct record *r, int layer, bool relu)
{
    return (struct nst_net_view){r->map[layer], r->norms[layer].scale,
                                 r->norms[layer].shift, relu};
}

/* What a block, or the layer after the last one, reads. */
static struct nst_net_view block_input(const struct record *r, int block)
{
    return block ? (struct nst_net_view){.x = r->sum[block - 1]} : view_of(r, 2, true);
}

/* What a layer, 1 or later, reads. */
static struct nst_net_view input_of(const struct nst_net_tape *t,
                                    const struct record *r, int layer)
{
    if (layer < 3 || layer > t->count - 3)
        return view_of(r, layer - 1, true);
    return layer % 2 ? block_input(r, (layer - 3) / 2) : view_of(r, layer - 1, true);
}

static void forward_layer(struct nst_net_tape *t, struct record *r, int layer,
                          const float *rgb)
{
    double sum[CHANNELS], squares[CHANNELS];
    struct nst_tensor *y = r->map[layer];
    struct nst_net_sums sums = {sum, squares, 0, y->shape.h};

    if (layer == 0) {
        t->ops->from_picture(t->be, t->convs[0], rgb, y, &sums);
    } else {
        struct nst_net_view x = input_of(t, r, layer);

        t->ops->conv(t->be, t->convs[layer], &x, y, &sums);
    }
    set_norm(t, layer, &r->norms[layer], sum, squares,
             (double)nst_shape_area(y->shape));
}

void nst_net_tape_forward(struct nst_net_tape *t, int slot, const float *rgb,
                          float *out)
{
    struct record *r = &t->records[slot];
    int last = t->count - 1;
    struct nst_net_view x;

    for (int i = 0; i < 3; i++)
        forward_layer(t, r, i, rgb);
    for (int b = 0; b < t->shape.blocks; b++) {
        struct nst_net_view in = block_input(r, b), made;

        forward_layer(t, r, 3 + 2 * b, NULL);
        forward_layer(t, r, 4 + 2 * b, NULL);
        made = view_of(r, 4 + 2 * b, false);
        t->ops->add(t->be, &made, &in, r->sum[b]);
    }
    forward_layer(t, r, last - 2, NULL);
    forward_layer(t, r, last - 1, NULL);
    x = view_of(r, last - 1, true);
    t->ops->to_picture(t->be, t->convs[last], &x, out);
}

/* From the gradient g by a layer's map as its reader sees it to that by the map, gx,
 * and those by its parameters. */
static void backward_layer(struct nst_net_tape *t, const struct record *r, int layer,
                           bool relu, const float *rgb, const struct nst_tensor *g,
                           struct nst_tensor *gx, float *grad)
{
    const struct nst_net_layer *l = &t->layers[layer];
    struct nst_net_view y = view_of(r, layer, relu);
    struct nst_net_moments m = {r->norms[layer].mean, r->norms[layer].deviation};

    t->grad->norm(t->be, &y, &m, g, gx, grad + l->scale, grad + l->shift);
    if (layer == 0) {
        t->grad->from_picture_weight(t->be, t->grads[0], rgb, gx, grad + l->weight);
    } else {
        struct nst_net_view x = input_of(t, r, layer);

        t->grad->conv_weight(t->be, t->grads[layer], &x, gx, grad + l->weight);
    }
}

/* From the gradient by the result of the blocks to that by what they read, both in
 * quarter[0]. */
static void backward_blocks(struct nst_net_tape *t, const struct record *r, float *grad)
{
    struct nst_tensor **q = t->quarter;

    for (int b = t->shape.blocks - 1; b >= 0; b--) {
        int first = 3 + 2 * b, second = first + 1;

        backward_layer(t, r, second, false, NULL, q[0], q[1], grad);
        t->grad->conv(t->be, t->grads[second], q[1], q[2], false);
        backward_layer(t, r, first, true, NULL, q[2], q[2], grad);
        t->grad->conv(t->be, t->grads[first], q[2], q[0], true);
    }
}

void nst_net_tape_backward(struct nst_net_tape *t, int slot, const float *rgb,
                           const float *grgb, float *grad)
{
    const struct record *r = &t->records[slot];
    int last = t->count - 1;
    const struct nst_net_layer *l = &t->layers[last];
    struct nst_net_view x = view_of(r, last - 1, true);

    t->grad->to_picture_weight(t->be, t->grads[last], &x, grgb, grad + l->weight,
                               grad + l->bias);
    t->grad->to_picture(t->be, t->grads[last], grgb, t->full);
    backward_layer(t, r, last - 1, true, NULL, t->full, t->full, grad);
    t->grad->conv(t->be, t->grads[last - 1], t->full, t->half, false);
    backward_layer(t, r, last - 2, true, NULL, t->half, t->half, grad);
    t->grad->conv(t->be, t->grads[last - 2], t->half, t->quarter[0], false);
    backward_blocks(t, r, grad);
    backward_layer(t, r, 2, true, NULL, t->quarter[0], t->quarter[0], grad);
    t->grad->conv(t->be, t->grads[2], t->quarter[0], t->half, false);
    backward_layer(t, r, 1, true, NULL, t->half, t->half, grad);
    t->grad->conv(t->be, t->grads[1], t->half, t->full, false);
    backward_layer(t, r, 0, true, rgb, t->full, t->full, grad);
}
