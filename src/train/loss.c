/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "style/content_loss.h"
#include "style/gram_loss.h"
#include "style/moment_loss.h"
#include "style/pack.h"
#include "style/pixel_losses.h"
#include "style/statistics.h"
#include "style/tiled_pass.h"

#define MAX_LAYERS NST_VGG_CONVS
/* The features of a flat photograph are nearly 0. So the mean square of Fc counts as at
 * least this part of that of the style's features in the layer before. */
#define LEAST_CONTENT 0.25
#define LEAST_CONTENT_LAYER 2 /* relu3_1 */

struct style_layer {
    struct nst_statistics statistics;
    struct nst_gram_loss gram;
    struct nst_moment_loss moments;
    struct nst_region_grad grad;
    double gram_norm, moment_norm; /* |Gs|^2, |Ms|^2 */
};

struct nst_train_loss {
    struct nst_vgg *v;
    struct nst_backend *be;
    struct nst_train_weights weights;
    struct nst_activations *acts;
    struct nst_content_loss content;
    struct nst_tensor *target, *zeros; /* Fc; and as many zeros */
    struct nst_window whole;
    int count;
    struct style_layer layer[MAX_LAYERS];
    struct nst_pixel_losses pixels;
    struct nst_buffer *sums; /* doubles: two of each style layer, then SUMS */
    double least_content;    /* of the mean square of Fc */
    float content_scale;     /* of the present photograph */
};

/* After those of the style layers. */
enum { CONTENT, CONTENT_NORM, TV, TEMPORAL, SUMS };

static struct nst_scalar sum_at(const struct nst_train_loss *l, int index)
{
    return (struct nst_scalar){l->sums, (size_t)index};
}

/* The statistics of a style in the layers of s. */
static enum nst_status measure_style(struct nst_train_loss *l,
                                     const struct nst_train_style *style,
                                     struct nst_statistics *const s[],
                                     struct nst_err *err)
{
    if (style->pack) {
        nst_pack_interpolate(style->pack, l->v, style->longest, s, l->count);
        return NST_OK;
    }
    return nst_statistics_compute(
        s, l->count, l->v,
        nst_tiled_pass_tiling(l->v, style->image.height, style->image.width, 0),
        style->image.rgb, err);
}

/* The mean square of a style's features, from its Gram matrix. */
static double mean_square(struct nst_train_loss *l, const struct nst_gram_loss *gram)
{
    size_t c = (size_t)gram->channels;
    double *values = nst_xcalloc(c * c, sizeof *values), sum = 0;

    l->be->ops->buffer_download(l->be, values, gram->target, c * c * sizeof *values);
    for (size_t i = 0; i < c; i++)
        sum += values[i * c + i];
    free(values);
    return sum;
}

static double squared_norm(const struct nst_backend *be, const struct nst_buffer *b,
                           size_t n)
{
    double *values = nst_xcalloc(n, sizeof *values), sum = 0;

    be->ops->buffer_download((struct nst_backend *)be, values, b, n * sizeof *values);
    for (size_t i = 0; i < n; i++)
        sum += values[i] * values[i];
    free(values);
    return sum;
}

static enum nst_status add_styles(struct nst_train_loss *l,
                                  const struct nst_train_style *styles, int count,
                                  struct nst_err *err)
{
    struct nst_statistics *s[MAX_LAYERS];
    enum nst_status st = NST_OK;

    for (int i = 0; i < l->count; i++)
        s[i] = &l->layer[i].statistics;
    for (int k = 0; st == NST_OK && k < count; k++) {
        st = measure_style(l, &styles[k], s, err);
        for (int i = 0; st == NST_OK && i < l->count; i++) {
            nst_gram_loss_add_target(&l->layer[i].gram, s[i], 1. / count);
            nst_moment_loss_add_target(&l->layer[i].moments, s[i], 1. / count);
        }
    }
    for (int i = 0; st == NST_OK && i < l->count; i++) {
        struct style_layer *layer = &l->layer[i];
        size_t c = (size_t)layer->statistics.channels;

        layer->gram_norm = squared_norm(l->be, layer->gram.target, c * c);
        layer->moment_norm = squared_norm(l->be, layer->moments.target, 2 * c);
    }
    if (st == NST_OK)
        l->least_content =
            LEAST_CONTENT * mean_square(l, &l->layer[LEAST_CONTENT_LAYER].gram);
    return st;
}

static enum nst_status layer_new(struct nst_train_loss *l, struct style_layer *to,
                                 struct nst_layer layer, struct nst_err *err)
{
    int channels = nst_vgg_channels(l->v, layer.conv);
    enum nst_status st =
        nst_statistics_init(&to->statistics, l->be, layer, channels, true, err);

    if (st == NST_OK)
        st = nst_gram_loss_init(&to->gram, l->be, channels, err);
    if (st == NST_OK)
        st = nst_moment_loss_init(&to->moments, l->be, channels, err);
    to->grad = (struct nst_region_grad){to->gram.derivative, to->moments.offset, NULL};
    return st;
}

static enum nst_status content_new(struct nst_train_loss *l, int height, int width,
                                   struct nst_err *err)
{
    const bool keep[NST_VGG_CONVS] = {false};
    struct nst_layers layers;
    float *planes = NULL;
    enum nst_status st = nst_layers_parse(&layers, NST_TRAIN_CONTENT_LAYER, err);

    if (st == NST_OK)
        st = nst_activations_new(&l->acts, l->v, height, width, keep, err);
    if (st != NST_OK)
        return st;
    l->content = nst_content_loss(layers.layer[0], l->acts, height, width);
    st = nst_content_target_new(&l->target, &l->content, l->acts, err);
    if (st == NST_OK)
        st = nst_content_target_new(&l->zeros, &l->content, l->acts, err);
    if (st == NST_OK)
        st = nst_floats_new(&planes, nst_shape_count(l->zeros->shape), 1, 1, err);
    if (st == NST_OK)
        l->be->ops->tensor_upload(l->be, planes, l->zeros);
    free(planes);
    return st;
}

enum nst_status nst_train_loss_new(struct nst_train_loss **out, struct nst_vgg *v,
                                   const struct nst_train_style *styles, int count,
                                   int height, int width,
                                   const struct nst_train_weights *weights,
                                   struct nst_err *err)
{
    struct nst_train_loss *l = nst_xcalloc(1, sizeof *l);
    struct nst_layers layers;
    enum nst_status st;

    *out = NULL;
    l->v = v;
    l->be = nst_vgg_backend(v);
    l->weights = *weights;
    l->whole = (struct nst_window){0, 0, height, width};
    l->pixels = (struct nst_pixel_losses){
        .be = l->be, .size = {height, width}, .tv_weight = weights->tv};
    st = nst_layers_parse(&layers, NST_TRAIN_STYLE_LAYERS, err);
    for (int i = 0; st == NST_OK && i < layers.count; i++, l->count++)
        st = layer_new(l, &l->layer[i], layers.layer[i], err);
    if (st == NST_OK)
        st = add_styles(l, styles, count, err);
    if (st == NST_OK)
        st = content_new(l, height, width, err);
    if (st == NST_OK)
        st = l->be->ops->buffer_alloc(
            l->be, &l->sums, (size_t)(2 * l->count + SUMS) * sizeof(double), err);
    if (st != NST_OK) {
        nst_train_loss_free(l);
        return st;
    }
    *out = l;
    return NST_OK;
}

void nst_train_loss_free(struct nst_train_loss *l)
{
    if (!l)
        return;
    for (int i = 0; i < MAX_LAYERS; i++) {
        nst_statistics_clear(&l->layer[i].statistics);
        nst_gram_loss_clear(&l->layer[i].gram);
        nst_moment_loss_clear(&l->layer[i].moments);
    }
    l->be->ops->tensor_free(l->be, l->target);
    l->be->ops->tensor_free(l->be, l->zeros);
    nst_activations_free(l->acts);
    l->be->ops->buffer_free(l->be, l->sums);
    free(l);
}

/* nst_loss_grad_fn. No layer has both losses. */
static struct nst_loss_grad loss_grad_at(void *ctx, int conv, bool after_relu)
{
    const struct nst_train_loss *l = ctx;
    struct nst_loss_grad g = {NULL};

    if (l->content.layer.conv == conv && after_relu) {
        g.target = l->target;
        g.scale = l->content_scale;
    }
    for (int i = 0; after_relu && i < l->count; i++)
        if (l->layer[i].statistics.layer.conv == conv) {
            g.region = &l->layer[i].grad;
            g.regions = 1;
        }
    return g;
}

static void evaluate_style(struct nst_train_loss *l, int i)
{
    struct style_layer *s = &l->layer[i];
    double c = s->statistics.channels, w = l->weights.style / (2 * l->count);

    nst_statistics_reset(&s->statistics);
    nst_statistics_accumulate(&s->statistics, l->acts, l->whole, NULL);
    nst_gram_loss_evaluate(&s->gram, &s->statistics, w * c * c / s->gram_norm,
                           sum_at(l, 2 * i));
    nst_moment_loss_evaluate(&s->moments, &s->statistics, w * c / s->moment_norm,
                             s->gram.derivative, sum_at(l, 2 * i + 1));
    l->be->ops->matrix_pack(l->be, s->gram.channels, s->gram.derivative);
}

void nst_train_loss_evaluate(struct nst_train_loss *l, const float *photo,
                             const float *painted, struct nst_train_losses *losses,
                             float *grad)
{
    const struct nst_buffer *from = nst_backend_wrap(l->be, (float *)photo),
                            *to = nst_backend_wrap(l->be, (float *)painted);
    struct nst_buffer *gradient = nst_backend_wrap(l->be, grad);
    int first = 2 * l->count;
    double sums[2 * MAX_LAYERS + SUMS], norm;

    nst_vgg_forward(l->acts, from);
    nst_content_target_set(l->target, &l->content, l->acts);
    nst_content_loss_accumulate(&l->content, l->acts, l->whole, l->zeros, false,
                                sum_at(l, first + CONTENT_NORM));
    l->be->ops->buffer_download(l->be, sums, l->sums,
                                (size_t)(first + SUMS) * sizeof *sums);
    norm = fmax(sums[first + CONTENT_NORM], l->least_content * l->content.count);
    l->content_scale = (float)(2 * l->weights.content / norm);
    nst_vgg_forward(l->acts, to);
    nst_content_loss_accumulate(&l->content, l->acts, l->whole, l->target, false,
                                sum_at(l, first + CONTENT));
    for (int i = 0; i < l->count; i++)
        evaluate_style(l, i);
    nst_vgg_backward(l->acts, loss_grad_at, l, gradient);
    nst_pixel_losses_evaluate(&l->pixels, to, gradient, sum_at(l, first + TV),
                              sum_at(l, first + TEMPORAL));
    l->be->ops->buffer_download(l->be, sums, l->sums,
                                (size_t)(first + SUMS) * sizeof *sums);
    losses->content = sums[first + CONTENT] / norm;
    losses->tv =
        l->weights.tv > 0 ? sums[first + TV] / nst_pixel_losses_count(&l->pixels) : 0;
    losses->style = 0;
    for (int i = 0; i < l->count; i++)
        losses->style += (sums[2 * i] / l->layer[i].gram_norm +
                          sums[2 * i + 1] / l->layer[i].moment_norm) /
                         (2 * l->count);
}

double nst_train_loss_total(const struct nst_train_weights *w,
                            const struct nst_train_losses *l)
{
    return w->content * l->content + w->style * l->style + w->tv * l->tv;
}
