/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/objective.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "style/content_loss.h"
#include "style/gram_loss.h"
#include "style/variation.h"

/* The features of the content picture in one tile, for each content loss. */
struct targets {
    struct nst_tensor *of[2 * NST_VGG_CONVS];
};

struct nst_objective {
    struct nst_vgg *v;
    double content_weight, style_weight, tv_weight;
    double *row_sums; /* of the variation, or NULL without it */
    int contents, styles;
    struct nst_content_loss content[2 * NST_VGG_CONVS];
    struct nst_gram_loss style[2 * NST_VGG_CONVS];

    struct nst_tiling tiling;
    struct nst_pass *pass;  /* of one tile */
    float *rgb, *grad;      /* a tile's own, when there are several */
    const float *picture;   /* the content, where its features are worked out anew */
    struct targets *target; /* of each tile, or of the one at hand */
};

static void mark_before_relu(const struct nst_taps *taps, bool keep[NST_VGG_CONVS])
{
    for (int i = 0; i < taps->count; i++)
        if (!taps->tap[i].after_relu)
            keep[taps->tap[i].conv] = true;
}

/* Planes of a picture's window, to or from a tile's. */
static void copy_window(const struct nst_tiling *t, struct nst_window w, float *picture,
                        float *tile, int tile_top, int tile_left, bool to_tile)
{
    for (int k = 0; k < 3; k++)
        for (int r = 0; r < w.height; r++) {
            float *p = picture +
                       ((size_t)k * t->height + (size_t)(w.top + r)) * t->width +
                       w.left;
            float *q =
                tile +
                ((size_t)k * t->tile_height + (size_t)(tile_top + r)) * t->tile_width +
                tile_left;

            memcpy(to_tile ? q : p, to_tile ? p : q, (size_t)w.width * sizeof *p);
        }
}

/* The features of one tile of a picture; buffer holds a tile's pixels. */
static void forward(struct nst_pass *pass, const struct nst_tiling *t,
                    const struct nst_tile *tile, const float *picture, float *buffer)
{
    if (nst_tiling_count(t) > 1)
        copy_window(t, tile->outer, (float *)picture, buffer, 0, 0, true);
    nst_pass_forward(pass, nst_tiling_count(t) > 1 ? buffer : picture);
}

static enum nst_status new_pass(struct nst_objective *o, const struct nst_tiling *t,
                                const bool keep[NST_VGG_CONVS], struct nst_pass **pass,
                                float **buffer, struct nst_err *err)
{
    size_t h = (size_t)t->tile_height, w = (size_t)t->tile_width;
    enum nst_status st =
        nst_pass_new(pass, o->v, t->tile_height, t->tile_width, keep, err);

    if (st == NST_OK && nst_tiling_count(t) > 1)
        st = nst_floats_new(buffer, 3, h, w, err);
    return st;
}

/* Gather the Gram matrices of a picture from its tiles. */
static void gather(struct nst_objective *o, struct nst_pass *pass,
                   const struct nst_tiling *t, const float *rgb, float *buffer)
{
    for (int i = 0; i < o->styles; i++)
        nst_gram_loss_begin(&o->style[i]);
    for (int k = 0; k < nst_tiling_count(t); k++) {
        struct nst_tile tile = nst_tiling_tile(t, k);

        forward(pass, t, &tile, rgb, buffer);
        for (int i = 0; i < o->styles; i++)
            nst_gram_loss_gather(&o->style[i], pass, tile.inner);
    }
}

struct nst_tiling nst_objective_tiling(const struct nst_vgg *v, int h, int w, int tile)
{
    return nst_tiling(h, w, tile, nst_vgg_receptive_field(v), nst_vgg_alignment(v));
}

/* A painting has its own size, so it has its own pass, for this once. */
static enum nst_status take_painting(struct nst_objective *o,
                                     const struct nst_objective_config *config,
                                     const struct nst_painting *p,
                                     const bool keep[NST_VGG_CONVS],
                                     struct nst_err *err)
{
    struct nst_tiling t = nst_objective_tiling(o->v, p->height, p->width, config->tile);
    struct nst_pass *pass;
    float *buffer = NULL;
    enum nst_status st = new_pass(o, &t, keep, &pass, &buffer, err);

    if (st == NST_OK) {
        gather(o, pass, &t, p->rgb, buffer);
        for (int i = 0; i < o->styles; i++)
            nst_gram_loss_add_target(&o->style[i], p->share);
    }
    nst_pass_free(pass);
    free(buffer);
    return st;
}

static enum nst_status take_style(struct nst_objective *o,
                                  const struct nst_objective_config *config,
                                  const struct nst_painting *paintings, int count,
                                  const bool keep[NST_VGG_CONVS], struct nst_err *err)
{
    const struct nst_taps *taps = config->style_layers;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < taps->count; i++) {
        o->styles = i + 1;
        st = nst_gram_loss_init(&o->style[i], taps->tap[i],
                                nst_vgg_channels(o->v, taps->tap[i].conv), err);
    }
    for (int i = 0; st == NST_OK && i < count; i++)
        st = take_painting(o, config, &paintings[i], keep, err);
    return st;
}

static bool targets_are_kept(const struct nst_objective *o)
{
    return !o->picture;
}

/* Where the content's features in tile k are, or go. */
static struct targets *targets(const struct nst_objective *o, int k)
{
    return &o->target[targets_are_kept(o) ? k : 0];
}

static void take_targets(struct nst_objective *o, const float *content, int k)
{
    struct nst_tile tile = nst_tiling_tile(&o->tiling, k);

    forward(o->pass, &o->tiling, &tile, content, o->rgb);
    for (int i = 0; i < o->contents; i++)
        nst_content_target_take(targets(o, k)->of[i], &o->content[i], o->pass);
}

static enum nst_status take_content(struct nst_objective *o,
                                    const struct nst_objective_config *config,
                                    const float *rgb, int h, int w,
                                    const bool keep[NST_VGG_CONVS], struct nst_err *err)
{
    const struct nst_taps *taps = config->content_layers;
    int tiles, places;
    enum nst_status st;

    o->tiling = nst_objective_tiling(o->v, h, w, config->tile);
    tiles = nst_tiling_count(&o->tiling);
    st = new_pass(o, &o->tiling, keep, &o->pass, &o->rgb, err);
    if (st == NST_OK && tiles > 1)
        st = nst_floats_new(&o->grad, 3, (size_t)o->tiling.tile_height,
                            (size_t)o->tiling.tile_width, err);
    if (st != NST_OK)
        return st;
    o->contents = taps->count;
    for (int i = 0; i < o->contents; i++)
        o->content[i] = nst_content_loss(taps->tap[i], o->pass, h, w);
    o->picture = tiles > 1 && config->recompute_content ? rgb : NULL;
    places = targets_are_kept(o) ? tiles : 1;
    o->target = nst_xcalloc((size_t)places, sizeof *o->target);
    for (int k = 0; k < places; k++)
        for (int i = 0; st == NST_OK && i < o->contents; i++)
            st = nst_content_target_new(&o->target[k].of[i], &o->content[i], o->pass,
                                        err);
    for (int k = 0; st == NST_OK && targets_are_kept(o) && k < tiles; k++)
        take_targets(o, rgb, k);
    return st;
}

enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  const float *content, int ch, int cw,
                                  const struct nst_painting *paintings, int count,
                                  struct nst_err *err)
{
    struct nst_objective *o = nst_xcalloc(1, sizeof *o);
    bool keep[NST_VGG_CONVS] = {false};
    enum nst_status st;

    *out = NULL;
    o->v = v;
    o->content_weight = config->content_weight;
    o->style_weight = config->style_weight;
    o->tv_weight = config->tv_weight;
    if (o->tv_weight > 0)
        o->row_sums = nst_xcalloc(3 * (size_t)ch, sizeof *o->row_sums);
    mark_before_relu(config->content_layers, keep);
    mark_before_relu(config->style_layers, keep);
    st = take_style(o, config, paintings, count, keep, err);
    if (st == NST_OK)
        st = take_content(o, config, content, ch, cw, keep, err);
    if (st != NST_OK) {
        nst_objective_free(o);
        return st;
    }
    *out = o;
    return NST_OK;
}

void nst_objective_free(struct nst_objective *o)
{
    struct nst_backend *be;

    if (!o)
        return;
    be = nst_vgg_backend(o->v);
    if (o->target)
        for (int k = 0; k < (targets_are_kept(o) ? nst_tiling_count(&o->tiling) : 1);
             k++)
            for (int i = 0; i < o->contents; i++)
                be->ops->tensor_free(be, o->target[k].of[i]);
    free(o->target);
    for (int i = 0; i < o->styles; i++)
        nst_gram_loss_clear(&o->style[i]);
    nst_pass_free(o->pass);
    free(o->rgb);
    free(o->grad);
    free(o->row_sums);
    free(o);
}

/* The maps of a tile, its own pixels, and the scratch it asks for. */
static size_t tile_bytes(const struct nst_vgg *v, const struct nst_tiling *t,
                         size_t *scratch)
{
    size_t bytes = nst_pass_bytes(v, t->tile_height, t->tile_width, scratch);
    size_t pixels = (size_t)t->tile_height * (size_t)t->tile_width;

    return nst_tiling_count(t) > 1 ? bytes + 3 * pixels * sizeof(float) : bytes;
}

size_t nst_objective_bytes(const struct nst_vgg *v,
                           const struct nst_objective_config *config, int ch, int cw,
                           int sh, int sw)
{
    struct nst_tiling style = nst_objective_tiling(v, sh, sw, config->tile);
    struct nst_tiling content = nst_objective_tiling(v, ch, cw, config->tile);
    size_t scratch = 0, grams = 0, targets = 0,
           tiles = (size_t)nst_tiling_count(&content);
    size_t first = tile_bytes(v, &style, &scratch);
    size_t second = tile_bytes(v, &content, &scratch);

    if (tiles > 1)
        second += 3 * (size_t)content.tile_height * content.tile_width * sizeof(float);
    for (int i = 0; i < config->content_layers->count; i++)
        targets += nst_pass_map_bytes(v, config->content_layers->tap[i].conv,
                                      content.tile_height, content.tile_width);
    second += targets * (config->recompute_content ? 1 : tiles);
    for (int i = 0; i < config->style_layers->count; i++) {
        size_t c = (size_t)nst_vgg_channels(v, config->style_layers->tap[i].conv);

        grams += c * c * (2 * sizeof(double) + sizeof(float));
    }
    return scratch + grams + (first > second ? first : second);
}

/* The tile on the way back. */
struct backward {
    const struct nst_objective *o;
    const struct targets *targets;
};

/* nst_pass_terms: the losses that tap this place; the same layer is never tapped twice
 * by losses of one kind. */
static struct nst_terms terms(void *ctx, int conv, bool after_relu)
{
    const struct backward *b = ctx;
    const struct nst_objective *o = b->o;
    struct nst_terms t = {NULL};

    for (int i = 0; i < o->contents; i++) {
        const struct nst_content_loss *l = &o->content[i];

        if (l->tap.conv == conv && l->tap.after_relu == after_relu) {
            t.target = b->targets->of[i];
            t.scale = nst_content_loss_scale(l, o->content_weight * l->tap.weight);
        }
    }
    for (int i = 0; i < o->styles; i++) {
        const struct nst_gram_loss *l = &o->style[i];

        if (l->tap.conv == conv && l->tap.after_relu == after_relu)
            t.gram = l->derivative;
    }
    return t;
}

static void backward(struct nst_objective *o, const struct nst_tile *tile, int k,
                     float *grad)
{
    struct backward b = {o, targets(o, k)};
    struct nst_window w = tile->inner;

    if (nst_tiling_count(&o->tiling) == 1) {
        nst_pass_backward(o->pass, terms, &b, grad);
        return;
    }
    nst_pass_backward(o->pass, terms, &b, o->grad);
    w.top += tile->outer.top;
    w.left += tile->outer.left;
    copy_window(&o->tiling, w, grad, o->grad, tile->inner.top, tile->inner.left, false);
}

void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad)
{
    int tiles = nst_tiling_count(&o->tiling);

    *losses = (struct nst_losses){0};
    gather(o, o->pass, &o->tiling, rgb, o->rgb);
    for (int i = 0; i < o->styles; i++) {
        double w = o->style[i].tap.weight;

        losses->style += w * nst_gram_loss_finish(&o->style[i], o->style_weight * w);
    }
    for (int k = 0; k < tiles; k++) {
        struct nst_tile tile = nst_tiling_tile(&o->tiling, k);

        if (!targets_are_kept(o))
            take_targets(o, o->picture, k);
        if (tiles > 1)
            forward(o->pass, &o->tiling, &tile, rgb, o->rgb);
        for (int i = 0; i < o->contents; i++)
            losses->content +=
                o->content[i].tap.weight *
                nst_content_loss_gather(&o->content[i], o->pass, tile.inner,
                                        targets(o, k)->of[i]);
        if (grad)
            backward(o, &tile, k, grad);
    }
    if (o->row_sums)
        losses->variation =
            nst_variation(rgb, o->tiling.height, o->tiling.width, o->tv_weight, grad,
                          o->row_sums, nst_vgg_backend(o->v)->threads);
    losses->total = o->content_weight * losses->content +
                    o->style_weight * losses->style + o->tv_weight * losses->variation;
}
