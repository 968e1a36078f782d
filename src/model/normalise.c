/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/normalise.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "model/vgg.h"

struct nst_mean_activation {
    struct nst_backend *be;
    struct nst_vgg *v;
    int pictures;
    double sum[NST_VGG_CONVS];  /* of the pictures' means */
    struct nst_layer_sums sums; /* of a map */
};

static double map_mean(const struct nst_mean_activation *a,
                       const struct nst_activations *acts, int conv)
{
    struct nst_backend *be = nst_activations_backend(acts);
    struct nst_layer layer = {.conv = conv, .after_relu = true};
    bool relu;
    const struct nst_tensor *map = nst_activations_map(acts, &layer, &relu);
    size_t bytes = (size_t)map->shape.c * sizeof(double);
    double *sums = nst_xcalloc(1, bytes), sum = 0;

    be->ops->layer_sums(be, map, relu, nst_window_full(map->shape), NULL, false,
                        a->sums);
    be->ops->buffer_download(be, sums, a->sums.sums, bytes);
    for (int c = 0; c < map->shape.c; c++)
        sum += sums[c];
    free(sums);
    return sum / (double)nst_shape_count(map->shape);
}

static enum nst_status alloc_sums(struct nst_mean_activation *a, struct nst_err *err)
{
    const struct nst_backend_ops *ops = a->be->ops;
    size_t bytes = 0;
    enum nst_status st;

    for (int i = 0; i < nst_vgg_convs(a->v); i++)
        if ((size_t)nst_vgg_channels(a->v, i) * sizeof(double) > bytes)
            bytes = (size_t)nst_vgg_channels(a->v, i) * sizeof(double);
    st = ops->buffer_alloc(a->be, &a->sums.sums, bytes, err);
    if (st == NST_OK)
        st = ops->buffer_alloc(a->be, &a->sums.products, bytes * bytes / sizeof(double),
                               err);
    return st;
}

enum nst_status nst_mean_activation_new(struct nst_mean_activation **out,
                                        const struct nst_weights *w,
                                        struct nst_err *err)
{
    struct nst_mean_activation *a = nst_xcalloc(1, sizeof *a);
    struct nst_backend_config config = {.threads = 0};
    enum nst_status st = nst_backend_open(&a->be, NULL, &config, err);

    if (st == NST_OK)
        st = nst_vgg_new(&a->v, a->be, w, NST_POOLING_MAX, NST_PADDING_ZERO, err);
    if (st == NST_OK)
        st = alloc_sums(a, err);
    if (st != NST_OK) {
        nst_mean_activation_free(a);
        a = NULL;
    }
    *out = a;
    return st;
}

void nst_mean_activation_free(struct nst_mean_activation *a)
{
    if (!a)
        return;
    nst_vgg_free(a->v);
    if (a->be) {
        a->be->ops->buffer_free(a->be, a->sums.sums);
        a->be->ops->buffer_free(a->be, a->sums.products);
        a->be->ops->close(a->be);
    }
    free(a);
}

enum nst_status nst_mean_activation_add(struct nst_mean_activation *a, const float *rgb,
                                        int h, int w, struct nst_err *err)
{
    const bool keep[NST_VGG_CONVS] = {false};
    size_t n = 3 * (size_t)h * (size_t)w;
    const struct nst_buffer *device_rgb;
    struct nst_activations *acts;
    enum nst_status st = nst_activations_new(&acts, a->v, h, w, keep, err);

    if (st != NST_OK)
        return st;
    st = nst_backend_to_device(a->be, rgb, n, &device_rgb, err);
    if (st == NST_OK)
        nst_vgg_forward(acts, device_rgb);
    for (int i = 0; st == NST_OK && i < nst_vgg_convs(a->v); i++)
        a->sum[i] += map_mean(a, acts, i);
    a->pictures += st == NST_OK;
    nst_backend_release(a->be, device_rgb);
    nst_activations_free(acts);
    return st;
}

void nst_mean_activation_get(const struct nst_mean_activation *a,
                             double mean[NST_VGG_CONVS])
{
    for (int i = 0; i < NST_VGG_CONVS; i++)
        mean[i] = a->pictures ? a->sum[i] / a->pictures : 0;
}

void nst_weights_normalise(struct nst_weights *w, const double mean[NST_VGG_CONVS])
{
    double before = 1; /* divisor of this convolution's input */

    for (int i = 0; i < w->convs; i++) {
        struct nst_layer_weights *l = &w->conv[i];
        double factor = mean[i] > 0 ? mean[i] : before;

        for (size_t k = 0; k < (size_t)9 * l->cin * l->cout; k++)
            l->weight[k] = (float)(l->weight[k] * before / factor);
        for (int k = 0; k < l->cout; k++)
            l->bias[k] = (float)(l->bias[k] / factor);
        before = factor;
    }
}
