/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "quality/lpips.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "model/safetensors.h"
#include "model/vgg.h"

#define MAX_CHANNELS 4096

/* A convolution, with the pooling before it and the head after it. */
struct layer {
    int index; /* torchvision's index in "features" */
    int kernel_size, stride, padding;
    int pool, pool_stride; /* size of the max pooling before it, or 0 */
    bool head;             /* a head compares its ReLU output */
};

static const struct layer alex[] = {{0, 11, 4, 2, 0, 0, true},
                                    {3, 5, 1, 2, 3, 2, true},
                                    {6, 3, 1, 1, 3, 2, true},
                                    {8, 3, 1, 1, 0, 0, true},
                                    {10, 3, 1, 1, 0, 0, true}};
static const struct layer vgg[] = {
    {0, 3, 1, 1, 0, 0, false}, {2, 3, 1, 1, 0, 0, true},   {5, 3, 1, 1, 2, 2, false},
    {7, 3, 1, 1, 0, 0, true},  {10, 3, 1, 1, 2, 2, false}, {12, 3, 1, 1, 0, 0, false},
    {14, 3, 1, 1, 0, 0, true}, {17, 3, 1, 1, 2, 2, false}, {19, 3, 1, 1, 0, 0, false},
    {21, 3, 1, 1, 0, 0, true}, {24, 3, 1, 1, 2, 2, false}, {26, 3, 1, 1, 0, 0, false},
    {28, 3, 1, 1, 0, 0, true}};

/* The authors normalise 2 x - 1 with these. */
static const double shift[3] = {-.030, -.088, -.188}, scale[3] = {.458, .448, .450};

/* Planar features; owned. */
struct feature_map {
    struct nst_shape shape;
    float *data;
};

struct weights {
    int cin, cout;
    float *weight, *bias;
};

static enum nst_status new_feature_map(struct feature_map *m, int c, int h, int w,
                                       struct nst_err *err)
{
    m->shape = (struct nst_shape){c, h, w};
    if (h < 1 || w < 1)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "lpips: the images are too small for it");
    return nst_floats_new(&m->data, (size_t)c, (size_t)h, (size_t)w, err);
}

static void replace_map(struct feature_map *m, struct feature_map *by)
{
    free(m->data);
    *m = *by;
}

static enum nst_status read_weights(const struct nst_safetensors *f,
                                    const struct layer *l, int cin, struct weights *w,
                                    struct nst_err *err)
{
    char key[40];
    struct nst_array a;
    enum nst_status st;

    snprintf(key, sizeof key, "features.%d.weight", l->index);
    st = nst_safetensors_find(f, key, &a, err);
    if (st == NST_OK &&
        (a.rank != 4 || a.shape[0] > MAX_CHANNELS || a.shape[1] != (uint64_t)cin ||
         a.shape[2] != (uint64_t)l->kernel_size ||
         a.shape[3] != (uint64_t)l->kernel_size))
        return nst_err_set(
            err, NST_ERR_FORMAT, "%s: %s: the shape is not N x %d x %d x %d",
            nst_safetensors_path(f), key, cin, l->kernel_size, l->kernel_size);
    if (st == NST_OK)
        st = nst_safetensors_read_floats(f, key, &a, &w->weight, err);
    w->cin = cin;
    w->cout = st == NST_OK ? (int)a.shape[0] : 0;
    snprintf(key, sizeof key, "features.%d.bias", l->index);
    if (st == NST_OK)
        st = nst_safetensors_find(f, key, &a, err);
    if (st == NST_OK && a.count != (uint64_t)w->cout)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: the shape is not %d",
                           nst_safetensors_path(f), key, w->cout);
    return st == NST_OK ? nst_safetensors_read_floats(f, key, &a, &w->bias, err) : st;
}

static enum nst_status pool(struct feature_map *m, int side, int stride,
                            struct nst_err *err)
{
    struct nst_shape s = m->shape;
    struct feature_map to = {{0}};
    enum nst_status st = new_feature_map(&to, s.c, (s.h - side) / stride + 1,
                                         (s.w - side) / stride + 1, err);
    float *y = to.data;

    if (st == NST_OK && (s.h < side || s.w < side))
        st = nst_err_set(err, NST_ERR_FORMAT, "lpips: the images are too small for it");
    for (int c = 0; st == NST_OK && c < s.c; c++)
        for (int i = 0; i < to.shape.h; i++)
            for (int j = 0; j < to.shape.w; j++) {
                const float *x = m->data +
                                 ((size_t)c * s.h + (size_t)i * stride) * s.w +
                                 (size_t)j * stride;
                float max = x[0];

                for (int u = 0; u < side; u++)
                    for (int v = 0; v < side; v++)
                        max = fmaxf(max, x[(size_t)u * s.w + v]);
                *y++ = max;
            }
    replace_map(m, &to);
    return st;
}

/* Direct convolution of any size, and ReLU; an item is one output channel. */
struct direct_conv {
    const struct layer *l;
    const struct weights *w;
    const struct feature_map *x;
    struct feature_map *y;
};

static void direct_conv_channel(void *ctx, int o, int thread)
{
    const struct direct_conv *p = ctx;
    struct nst_shape from = p->x->shape, to = p->y->shape;
    int kernel_size = p->l->kernel_size, stride = p->l->stride;
    float *y = p->y->data + (size_t)o * nst_shape_area(to);

    (void)thread;
    for (int i = 0; i < to.h; i++)
        for (int j = 0; j < to.w; j++) {
            const float *w =
                p->w->weight + (size_t)o * p->w->cin * kernel_size * kernel_size;
            double sum = p->w->bias[o];

            for (int c = 0; c < p->w->cin; c++)
                for (int u = 0; u < kernel_size; u++)
                    for (int v = 0; v < kernel_size; v++, w++) {
                        int r = i * stride + u - p->l->padding;
                        int q = j * stride + v - p->l->padding;

                        if (r >= 0 && q >= 0 && r < from.h && q < from.w)
                            sum +=
                                (double)*w *
                                p->x->data[((size_t)c * from.h + (size_t)r) * from.w +
                                           q];
                    }
            *y++ = sum > 0 ? (float)sum : 0;
        }
}

static enum nst_status conv_direct(struct nst_backend *be, const struct layer *l,
                                   const struct weights *w, const struct feature_map *x,
                                   struct feature_map *y, struct nst_err *err)
{
    int h = (x->shape.h + 2 * l->padding - l->kernel_size) / l->stride + 1;
    int n = (x->shape.w + 2 * l->padding - l->kernel_size) / l->stride + 1;
    enum nst_status st = new_feature_map(y, w->cout, h, n, err);

    if (st == NST_OK)
        nst_threads_run(be->threads, w->cout, direct_conv_channel,
                        &(struct direct_conv){l, w, x, y});
    return st;
}

/* 3 x 3 convolution and ReLU by the backend. */
static enum nst_status conv_backend(struct nst_backend *be, const struct weights *w,
                                    const struct feature_map *x, struct feature_map *y,
                                    struct nst_err *err)
{
    const struct nst_backend_ops *ops = be->ops;
    struct nst_shape to = {w->cout, x->shape.h, x->shape.w};
    struct nst_filters filters = {w->weight, w->bias,          w->cin,
                                  w->cout,   NST_PADDING_ZERO, NULL};
    struct nst_tensor *in = NULL, *out = NULL;
    struct nst_conv *k = NULL;
    enum nst_status st = new_feature_map(y, to.c, to.h, to.w, err);

    if (st == NST_OK)
        st = ops->conv_new(be, &k, &filters, err);
    if (st == NST_OK)
        st = nst_backend_conv_prepare(be, k, to.h, to.w, err);
    if (st == NST_OK)
        st = ops->tensor_new(be, &in, x->shape, err);
    if (st == NST_OK)
        st = ops->tensor_new(be, &out, to, err);
    if (st == NST_OK) {
        ops->tensor_upload(be, x->data, in);
        ops->conv(be, k, in, false, out, true, NST_POOLING_MAX, NULL);
        ops->tensor_download(be, out, y->data);
        st = nst_backend_error(be, err);
    }
    ops->tensor_free(be, in);
    ops->tensor_free(be, out);
    ops->conv_free(be, k);
    return st;
}

/* Mean over pixels of the weighted squared differences of unit-length features. */
static double layer_distance(const struct feature_map *a, const struct feature_map *b,
                             const float *head)
{
    size_t area = nst_shape_area(a->shape);
    double sum = 0;

    for (size_t p = 0; p < area; p++) {
        double of_a = 0, of_b = 0;

        for (int c = 0; c < a->shape.c; c++) {
            double u = a->data[c * area + p], v = b->data[c * area + p];

            of_a += u * u;
            of_b += v * v;
        }
        of_a = sqrt(of_a) + 1e-10;
        of_b = sqrt(of_b) + 1e-10;
        for (int c = 0; c < a->shape.c; c++) {
            double d = a->data[c * area + p] / of_a - b->data[c * area + p] / of_b;

            sum += head[c] * d * d;
        }
    }
    return sum / (double)area;
}

static enum nst_status add_head(double *out, const struct nst_safetensors *f, int head,
                                const struct feature_map m[2], struct nst_err *err)
{
    char key[40];
    struct nst_array a;
    float *weights = NULL;
    enum nst_status st;

    snprintf(key, sizeof key, "lin%d.model.1.weight", head);
    st = nst_safetensors_find(f, key, &a, err);
    if (st == NST_OK && a.count != (uint64_t)m[0].shape.c)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: is not for %d channels",
                           nst_safetensors_path(f), key, m[0].shape.c);
    if (st == NST_OK)
        st = nst_safetensors_read_floats(f, key, &a, &weights, err);
    if (st == NST_OK)
        *out += layer_distance(&m[0], &m[1], weights);
    free(weights);
    return st;
}

static enum nst_status load_input(struct feature_map *m, struct nst_image image,
                                  struct nst_err *err)
{
    size_t area = nst_area(image.height, image.width);
    enum nst_status st = new_feature_map(m, 3, image.height, image.width, err);

    for (size_t i = 0; st == NST_OK && i < 3 * area; i++)
        m->data[i] =
            (float)((2.0 * image.rgb[i] - 1 - shift[i / area]) / scale[i / area]);
    return st;
}

/* Run both images through one layer. */
static enum nst_status run_layer(struct nst_backend *be, const struct layer *l,
                                 const struct nst_safetensors *network,
                                 struct feature_map m[2], struct nst_err *err)
{
    struct weights w = {0};
    enum nst_status st = read_weights(network, l, m[0].shape.c, &w, err);

    for (int i = 0; i < 2; i++) {
        struct feature_map to = {{0}};

        if (st == NST_OK && l->pool)
            st = pool(&m[i], l->pool, l->pool_stride, err);
        if (st == NST_OK && l->kernel_size == 3 && w.cin > 3)
            st = conv_backend(be, &w, &m[i], &to, err);
        else if (st == NST_OK)
            st = conv_direct(be, l, &w, &m[i], &to, err);
        replace_map(&m[i], &to);
    }
    free(w.weight);
    free(w.bias);
    return st;
}

static bool is_alex(const struct nst_safetensors *f)
{
    struct nst_array a;

    return nst_safetensors_find(f, "features.0.weight", &a, NULL) == NST_OK &&
           a.rank == 4 && a.shape[2] == 11;
}

/* Run both inputs m through the network and add the distances of its heads. */
static enum nst_status run_network(struct nst_lpips *out, struct nst_backend *be,
                                   const struct nst_safetensors *network,
                                   const struct nst_safetensors *heads,
                                   struct feature_map m[2], struct nst_err *err)
{
    bool alexnet = is_alex(network);
    const struct layer *layers = alexnet ? alex : vgg;
    size_t count = alexnet ? sizeof alex / sizeof *alex : sizeof vgg / sizeof *vgg;
    enum nst_status st = NST_OK;
    int head = 0;

    *out = (struct nst_lpips){.network = alexnet ? "alex" : "vgg"};
    for (size_t i = 0; st == NST_OK && i < count; i++) {
        st = run_layer(be, &layers[i], network, m, err);
        if (st == NST_OK && layers[i].head)
            st = add_head(&out->distance, heads, head++, m, err);
    }
    return st;
}

enum nst_status nst_lpips(struct nst_lpips *out, struct nst_session *s,
                          const char *network, const char *heads, struct nst_image a,
                          struct nst_image b, struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(nst_session_network_at(s, 0)->vgg);
    struct nst_safetensors *f = NULL, *g = NULL;
    struct feature_map m[2] = {{{0}}};
    enum nst_status st = nst_safetensors_open(&f, network, err);

    if (st == NST_OK && heads)
        st = nst_safetensors_open(&g, heads, err);
    if (st == NST_OK)
        st = load_input(&m[0], a, err);
    if (st == NST_OK)
        st = load_input(&m[1], b, err);
    if (st == NST_OK)
        st = run_network(out, be, f, g ? g : f, m, err);
    free(m[0].data);
    free(m[1].data);
    nst_safetensors_close(f);
    nst_safetensors_close(g);
    return st;
}
