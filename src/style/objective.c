/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/objective.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "style/content_loss.h"
#include "style/gram_loss.h"
#include "style/guide.h"
#include "style/kept.h"
#include "style/moment_loss.h"
#include "style/pack.h"
#include "style/variation.h"
#include "style/walk.h"

#define MOST_LAYERS (2 * NST_VGG_CONVS)

/* The features of the content picture in one tile, for each content loss. */
struct targets {
    struct nst_tensor *of[MOST_LAYERS];
};

/* A style layer in one region. */
struct style_layer {
    double weight; /* as a part of the layer's own */
    struct nst_statistics statistics;
    struct nst_gram_loss gram;
    struct nst_moment_loss moments; /* unless their weight is 0 */
};

struct region {
    struct nst_guide *guide; /* NULL: everywhere */
    struct style_layer layer[MOST_LAYERS];
};

struct nst_objective {
    struct nst_vgg *v;
    double content_weight, style_weight, moment_weight, tv_weight;
    struct nst_before before; /* or NULLs */
    double temporal_weight;
    double *row_sums; /* of the variation and of what holds to before */
    int contents, styles, regions;
    struct nst_content_loss content[MOST_LAYERS];
    struct nst_tap style[MOST_LAYERS];
    struct region *region;
    struct nst_region_terms *terms; /* of each style layer, those of the regions */

    struct nst_walk walk;
    const float *picture;   /* the content, where its features are worked out anew */
    struct targets *target; /* of each tile, or of the one at hand */
};

static void mark_before_relu(const struct nst_taps *taps, bool keep[NST_VGG_CONVS])
{
    for (int i = 0; i < taps->count; i++)
        if (!taps->tap[i].after_relu)
            keep[taps->tap[i].conv] = true;
}

/* The parts of the regions that a tile shows. */
static void turn_guides(const struct nst_objective *o, const struct nst_tile *tile)
{
    for (int r = 0; r < o->regions; r++)
        if (o->region[r].guide)
            nst_guide_turn(o->region[r].guide, tile);
}

/* Gather the statistics of all regions of a picture from its tiles. */
static void gather(struct nst_objective *o, const float *rgb)
{
    for (int r = 0; r < o->regions; r++)
        for (int i = 0; i < o->styles; i++)
            nst_statistics_begin(&o->region[r].layer[i].statistics);
    for (int k = 0; k < nst_walk_count(&o->walk); k++) {
        nst_walk_forward(&o->walk, rgb, k);
        turn_guides(o, &o->walk.tile);
        for (int r = 0; r < o->regions; r++)
            for (int i = 0; i < o->styles; i++)
                nst_statistics_gather(&o->region[r].layer[i].statistics, o->walk.pass,
                                      o->walk.tile.inner,
                                      o->terms[i * o->regions + r].guide);
    }
}

/* What was gathered in a region has these shares in its targets. */
static void add_targets(struct nst_objective *o, struct region *region,
                        const double share[])
{
    for (int i = 0; i < o->styles; i++) {
        struct style_layer *l = &region->layer[i];

        nst_gram_loss_add_target(&l->gram, &l->statistics, share[i]);
        if (o->moment_weight > 0)
            nst_moment_loss_add_target(&l->moments, &l->statistics, share[i]);
    }
}

/* What a painting says of a style layer. */
static double layer_weight(const struct nst_painting *p, const struct nst_tap *tap)
{
    for (int i = 0; p->layers && i < p->layers->count; i++)
        if (p->layers->tap[i].conv == tap->conv &&
            p->layers->tap[i].after_relu == tap->after_relu)
            return p->layers->tap[i].weight;
    return p->layers ? 0 : 1;
}

/* The paintings' shares among those of their region, layer by layer, times strength;
 * the layers' weights are the mean of what they say. */
static void divide(struct nst_objective *o, double strength,
                   const struct nst_painting *paintings, int count,
                   double share[][MOST_LAYERS])
{
    for (int r = 0; r < o->regions; r++)
        for (int i = 0; i < o->styles; i++) {
            double of_all = 0, of_layer = 0;

            for (int k = 0; k < count; k++)
                if (paintings[k].region == r) {
                    share[k][i] =
                        paintings[k].share * layer_weight(&paintings[k], &o->style[i]);
                    of_all += paintings[k].share;
                    of_layer += share[k][i];
                }
            for (int k = 0; k < count; k++)
                if (paintings[k].region == r)
                    share[k][i] *= of_layer > 0 ? strength / of_layer : 0;
            o->region[r].layer[i].weight = of_all > 0 ? of_layer / of_all : 0;
        }
}

/* A painting to be looked at: it has its own size, so its own walk, for this once. */
struct look {
    struct nst_objective *o;
    const struct nst_painting *painting;
    const bool *keep;
    int tile;
    struct nst_statistics *s[MOST_LAYERS];
};

static enum nst_status look(void *ctx, struct nst_err *err)
{
    struct look *l = ctx;
    const struct nst_painting *p = l->painting;

    return nst_statistics_measure(
        l->s, l->o->styles, l->o->v,
        nst_walk_tiling(l->o->v, p->height, p->width, l->tile), p->rgb, l->keep, err);
}

static enum nst_status take_painting(struct nst_objective *o,
                                     const struct nst_objective_config *config,
                                     const struct nst_painting *p,
                                     const bool keep[NST_VGG_CONVS],
                                     const double share[], struct nst_err *err)
{
    struct region *region = &o->region[p->region];
    struct look l = {o, p, keep, config->tile, {NULL}};
    enum nst_status st = NST_OK;

    for (int i = 0; i < o->styles; i++)
        l.s[i] = &region->layer[i].statistics;
    if (p->pack)
        nst_pack_read(p->pack, o->v, p->height > p->width ? p->height : p->width, l.s,
                      o->styles);
    else if (p->kept)
        st = nst_kept_read(p->kept,
                           (struct nst_kept_size){p->height, p->width, config->tile},
                           l.s, o->styles, look, &l, err);
    else
        st = look(&l, err);
    if (st == NST_OK)
        add_targets(o, region, share);
    return st;
}

static enum nst_status new_layer(struct nst_objective *o, int r, int i,
                                 struct nst_err *err)
{
    struct style_layer *l = &o->region[r].layer[i];
    int channels = nst_vgg_channels(o->v, o->style[i].conv);
    bool moments = o->moment_weight > 0;
    enum nst_status st =
        nst_statistics_init(&l->statistics, o->style[i], channels, moments, err);

    if (st == NST_OK)
        st = nst_gram_loss_init(&l->gram, channels, err);
    if (st == NST_OK && moments)
        st = nst_moment_loss_init(&l->moments, channels, err);
    o->terms[i * o->regions + r] = (struct nst_region_terms){
        l->gram.derivative, l->moments.offset,
        o->region[r].guide ? nst_guide_at(o->region[r].guide, o->style[i].conv) : NULL};
    return st;
}

static enum nst_status new_regions(struct nst_objective *o, const struct nst_taps *taps,
                                   const struct nst_style *style, struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    enum nst_status st = NST_OK;

    o->styles = taps->count;
    o->regions = style->regions ? style->regions : 1;
    if (o->regions > be->regions)
        be->regions = o->regions;
    o->region = nst_xcalloc((size_t)o->regions, sizeof *o->region);
    o->terms = nst_xcalloc((size_t)o->regions * (size_t)o->styles, sizeof *o->terms);
    for (int i = 0; i < o->styles; i++)
        o->style[i] = taps->tap[i];
    for (int r = 0; st == NST_OK && r < o->regions; r++) {
        if (style->regions)
            st = nst_guide_new(&o->region[r].guide, o->v, style->guides[r],
                               &o->walk.tiling, err);
        for (int i = 0; st == NST_OK && i < o->styles; i++)
            st = new_layer(o, r, i, err);
    }
    return st;
}

static enum nst_status take_style(struct nst_objective *o,
                                  const struct nst_objective_config *config,
                                  const struct nst_style *style,
                                  const bool keep[NST_VGG_CONVS], struct nst_err *err)
{
    double(*share)[MOST_LAYERS] = nst_xcalloc((size_t)style->count + 1, sizeof *share);
    enum nst_status st = new_regions(o, config->style_layers, style, err);

    if (st == NST_OK)
        divide(o, config->strength, style->paintings, style->count, share);
    for (int i = 0; st == NST_OK && i < style->count; i++)
        st = take_painting(o, config, &style->paintings[i], keep, share[i], err);
    free(share);
    return st;
}

/* What strength leaves of the targets is the content's own. */
static void mix_content(struct nst_objective *o, double strength, const float *content)
{
    double share[MOST_LAYERS];

    if (strength == 1)
        return;
    for (int i = 0; i < o->styles; i++)
        share[i] = 1 - strength;
    gather(o, content);
    for (int r = 0; r < o->regions; r++)
        add_targets(o, &o->region[r], share);
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
    nst_walk_forward(&o->walk, content, k);
    for (int i = 0; i < o->contents; i++)
        nst_content_target_take(targets(o, k)->of[i], &o->content[i], o->walk.pass);
}

static enum nst_status take_content(struct nst_objective *o,
                                    const struct nst_objective_config *config,
                                    const float *rgb, int h, int w,
                                    const bool keep[NST_VGG_CONVS], struct nst_err *err)
{
    const struct nst_taps *taps = config->content_layers;
    int tiles = nst_walk_count(&o->walk), places;
    enum nst_status st = nst_walk_init(&o->walk, o->v, o->walk.tiling, keep, true, err);

    if (st != NST_OK)
        return st;
    o->contents = taps->count;
    for (int i = 0; i < o->contents; i++)
        o->content[i] = nst_content_loss(taps->tap[i], o->walk.pass, h, w);
    o->picture = tiles > 1 && config->recompute_content ? rgb : NULL;
    places = targets_are_kept(o) ? tiles : 1;
    o->target = nst_xcalloc((size_t)places, sizeof *o->target);
    for (int k = 0; k < places; k++)
        for (int i = 0; st == NST_OK && i < o->contents; i++)
            st = nst_content_target_new(&o->target[k].of[i], &o->content[i],
                                        o->walk.pass, err);
    for (int k = 0; st == NST_OK && targets_are_kept(o) && k < tiles; k++)
        take_targets(o, rgb, k);
    return st;
}

enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  const float *content, int ch, int cw,
                                  const struct nst_style *style, struct nst_err *err)
{
    struct nst_objective *o = nst_xcalloc(1, sizeof *o);
    bool keep[NST_VGG_CONVS] = {false};
    enum nst_status st;

    *out = NULL;
    o->v = v;
    o->content_weight = config->content_weight;
    o->style_weight = config->style_weight;
    o->moment_weight = config->moment_weight;
    o->tv_weight = config->tv_weight;
    o->walk.tiling = nst_walk_tiling(v, ch, cw, config->tile);
    o->row_sums = nst_xcalloc(3 * (size_t)ch, sizeof *o->row_sums);
    mark_before_relu(config->content_layers, keep);
    mark_before_relu(config->style_layers, keep);
    st = take_style(o, config, style, keep, err);
    if (st == NST_OK)
        st = take_content(o, config, content, ch, cw, keep, err);
    if (st != NST_OK) {
        nst_objective_free(o);
        return st;
    }
    mix_content(o, config->strength, content);
    *out = o;
    return NST_OK;
}

static void free_regions(struct nst_objective *o)
{
    for (int r = 0; o->region && r < o->regions; r++) {
        nst_guide_free(o->region[r].guide);
        for (int i = 0; i < o->styles; i++) {
            struct style_layer *l = &o->region[r].layer[i];

            nst_statistics_clear(&l->statistics);
            nst_gram_loss_clear(&l->gram);
            nst_moment_loss_clear(&l->moments);
        }
    }
    free(o->region);
    free(o->terms);
}

void nst_objective_free(struct nst_objective *o)
{
    struct nst_backend *be;

    if (!o)
        return;
    be = nst_vgg_backend(o->v);
    if (o->target)
        for (int k = 0; k < (targets_are_kept(o) ? nst_walk_count(&o->walk) : 1); k++)
            for (int i = 0; i < o->contents; i++)
                be->ops->tensor_free(be, o->target[k].of[i]);
    free(o->target);
    free_regions(o);
    nst_walk_clear(&o->walk);
    free(o->row_sums);
    free(o);
}

size_t nst_objective_bytes(const struct nst_vgg *v,
                           const struct nst_objective_config *config, int regions,
                           int ch, int cw, int sh, int sw)
{
    struct nst_tiling style = nst_walk_tiling(v, sh, sw, config->tile);
    struct nst_tiling content = nst_walk_tiling(v, ch, cw, config->tile);
    size_t scratch = 0, grams = 0, targets = 0,
           tiles = (size_t)nst_tiling_count(&content);
    size_t first = nst_walk_bytes(v, &style, false, &scratch);
    size_t second = nst_walk_bytes(v, &content, true, &scratch);

    for (int i = 0; i < config->content_layers->count; i++)
        targets += nst_pass_map_bytes(v, config->content_layers->tap[i].conv,
                                      content.tile_height, content.tile_width);
    second += targets * (config->recompute_content ? 1 : tiles);
    for (int i = 0; i < config->style_layers->count; i++) {
        size_t c = (size_t)nst_vgg_channels(v, config->style_layers->tap[i].conv);

        /* and the derivative, which the backend copies on either side of a ReLU */
        grams += c * c * (2 * sizeof(double) + 3 * sizeof(float));
    }
    if (regions)
        grams = (size_t)regions * (grams + nst_guide_bytes(v, &content));
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
    for (int i = 0; i < o->styles; i++)
        if (o->style[i].conv == conv && o->style[i].after_relu == after_relu) {
            t.region = o->terms + i * o->regions;
            t.regions = o->regions;
        }
    return t;
}

/* The loss of what was gathered, and its derivative, for a style layer in a region. */
static void finish_layer(struct nst_objective *o, int i, int r,
                         struct nst_losses *losses)
{
    struct style_layer *l = &o->region[r].layer[i];
    const struct nst_statistics *s = &l->statistics;
    double w = o->style[i].weight * l->weight * (s->pixels / s->area);

    losses->style += w * nst_gram_loss_finish(&l->gram, s, o->style_weight * w);
    if (o->moment_weight > 0)
        losses->moments +=
            w * nst_moment_loss_finish(&l->moments, s, o->moment_weight * w,
                                       l->gram.derivative);
}

void nst_objective_weigh(struct nst_objective *o, double content_weight,
                         double style_weight)
{
    o->content_weight = content_weight;
    o->style_weight = style_weight;
}

void nst_objective_hold(struct nst_objective *o, struct nst_before before,
                        double weight)
{
    o->before = before;
    o->temporal_weight = weight;
}

/* The losses that look at pixels alone. */
static void add_pixel_losses(const struct nst_objective *o, const float *rgb,
                             struct nst_losses *losses, float *grad)
{
    struct nst_threads *threads = nst_vgg_backend(o->v)->threads;
    int h = o->walk.tiling.height, w = o->walk.tiling.width;

    if (o->tv_weight > 0)
        losses->variation =
            nst_variation(rgb, h, w, o->tv_weight, grad, o->row_sums, threads);
    if (o->before.rgb)
        losses->temporal = nst_temporal_loss(rgb, &o->before, h, w, o->temporal_weight,
                                             grad, o->row_sums, threads);
}

/* The gradient by tile k, whose features are there; once more where its precision could
 * not hold it. */
static void backward(struct nst_objective *o, const float *rgb, int k, float *grad)
{
    const struct nst_backend *be = nst_vgg_backend(o->v);
    struct backward b = {o, targets(o, k)};

    nst_walk_backward(&o->walk, terms, &b, grad);
    while (be->again) {
        nst_walk_forward(&o->walk, rgb, k);
        nst_walk_backward(&o->walk, terms, &b, grad);
    }
}

void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad)
{
    int tiles = nst_walk_count(&o->walk);

    *losses = (struct nst_losses){0};
    gather(o, rgb);
    for (int i = 0; i < o->styles; i++)
        for (int r = 0; r < o->regions; r++)
            finish_layer(o, i, r, losses);
    for (int k = 0; k < tiles; k++) {
        if (!targets_are_kept(o))
            take_targets(o, o->picture, k);
        if (tiles > 1) {
            nst_walk_forward(&o->walk, rgb, k);
            turn_guides(o, &o->walk.tile);
        }
        for (int i = 0; i < o->contents; i++)
            losses->content +=
                o->content[i].tap.weight *
                nst_content_loss_gather(&o->content[i], o->walk.pass,
                                        o->walk.tile.inner, targets(o, k)->of[i]);
        if (grad)
            backward(o, rgb, k, grad);
    }
    add_pixel_losses(o, rgb, losses, grad);
    losses->total =
        o->content_weight * losses->content + o->style_weight * losses->style +
        o->moment_weight * losses->moments + o->tv_weight * losses->variation +
        o->temporal_weight * losses->temporal;
}
