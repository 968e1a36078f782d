/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/normalise.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/vgg.h"

struct nst_activity {
    struct nst_backend *be;
    struct nst_vgg *v;
    int pictures;
    double sum[NST_VGG_CONVS]; /* of their means */
    double *sums;              /* of a map's channels, among the backend's numbers */
};

static double mean_of(const struct nst_activity *a, const struct nst_pass *p, int conv)
{
    struct nst_backend *be = nst_pass_backend(p);
    struct nst_tap tap = {.conv = conv, .after_relu = true};
    bool relu;
    const struct nst_tensor *map = nst_pass_map(p, &tap, &relu);
    size_t bytes = (size_t)map->shape.c * sizeof(double);
    double *sums = nst_xcalloc(1, bytes), sum = 0;

    be->ops->channel_sums(be, map, relu, nst_whole(map->shape), NULL, false, a->sums);
    be->ops->get(be, sums, a->sums, bytes);
    for (int c = 0; c < map->shape.c; c++)
        sum += sums[c];
    free(sums);
    return sum / (double)nst_shape_count(map->shape);
}

static enum nst_status new_sums(struct nst_activity *a, struct nst_err *err)
{
    int most = 0;
    void *sums;
    enum nst_status st;

    for (int i = 0; i < nst_vgg_convs(a->v); i++)
        if (nst_vgg_channels(a->v, i) > most)
            most = nst_vgg_channels(a->v, i);
    st = a->be->ops->numbers_new(a->be, &sums, (size_t)most * sizeof *a->sums, err);
    a->sums = sums;
    return st;
}

enum nst_status nst_activity_new(struct nst_activity **out, const struct nst_weights *w,
                                 struct nst_err *err)
{
    struct nst_activity *a = nst_xcalloc(1, sizeof *a);
    struct nst_backend_config config = {.threads = 0};
    enum nst_status st = nst_backend_open(&a->be, NULL, &config, err);

    if (st == NST_OK)
        st = nst_vgg_new(&a->v, a->be, w, NST_POOLING_MAX, err);
    if (st == NST_OK)
        st = new_sums(a, err);
    if (st != NST_OK) {
        nst_activity_free(a);
        a = NULL;
    }
    *out = a;
    return st;
}

void nst_activity_free(struct nst_activity *a)
{
    if (!a)
        return;
    nst_vgg_free(a->v);
    if (a->be) {
        a->be->ops->numbers_free(a->be, a->sums);
        a->be->ops->close(a->be);
    }
    free(a);
}

enum nst_status nst_activity_add(struct nst_activity *a, const float *rgb, int h, int w,
                                 struct nst_err *err)
{
    const bool keep[NST_VGG_CONVS] = {false};
    size_t n = 3 * (size_t)h * (size_t)w;
    const float *there;
    struct nst_pass *p;
    enum nst_status st = nst_pass_new(&p, a->v, h, w, keep, err);

    if (st != NST_OK)
        return st;
    st = nst_backend_show(a->be, rgb, n, &there, err);
    if (st == NST_OK)
        nst_pass_forward(p, there);
    for (int i = 0; st == NST_OK && i < nst_vgg_convs(a->v); i++)
        a->sum[i] += mean_of(a, p, i);
    a->pictures += st == NST_OK;
    nst_backend_unshow(a->be, rgb, there);
    nst_pass_free(p);
    return st;
}

void nst_activity_mean(const struct nst_activity *a, double mean[NST_VGG_CONVS])
{
    for (int i = 0; i < NST_VGG_CONVS; i++)
        mean[i] = a->pictures ? a->sum[i] / a->pictures : 0;
}

void nst_weights_normalise(struct nst_weights *w, const double mean[NST_VGG_CONVS])
{
    double before = 1; /* what the input of this convolution was divided by */

    for (int i = 0; i < w->convs; i++) {
        struct nst_layer_weights *l = &w->conv[i];
        double by = mean[i] > 0 ? mean[i] : before;

        for (size_t k = 0; k < (size_t)9 * l->cin * l->cout; k++)
            l->weight[k] = (float)(l->weight[k] * before / by);
        for (int k = 0; k < l->cout; k++)
            l->bias[k] = (float)(l->bias[k] / by);
        before = by;
    }
}
