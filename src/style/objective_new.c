/* SPDX-License-Identifier: MIT */
/*
 * objective_new.c - how an objective is made: its targets from the content and the
 * paintings, and room for evaluations.
 */
#include "config.h"

#include <stdlib.h>

#include "base/mem.h"
#include "style/kept.h"
#include "style/objective_parts.h"
#include "style/pack.h"

static void mark_before_relu(const struct nst_taps *taps, bool keep[NST_VGG_CONVS])
{
    for (int i = 0; i < taps->count; i++)
        if (!taps->tap[i].after_relu)
            keep[taps->tap[i].conv] = true;
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
        nst_walk_tiling(l->o->v, p->height, p->width, l->tile), p->border, p->rgb,
        l->keep, err);
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
                           (struct nst_kept_size){p->height, p->width, config->tile,
                                                  nst_vgg_whole_fingerprint(o->v)},
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
    struct nst_backend *be = nst_vgg_backend(o->v);
    enum nst_status st =
        nst_statistics_init(&l->statistics, be, o->style[i], channels, moments, err);

    if (st == NST_OK)
        st = nst_gram_loss_init(&l->gram, be, channels, err);
    if (st == NST_OK && moments)
        st = nst_moment_loss_init(&l->moments, be, channels, err);
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
static void mix_content(struct nst_objective *o, double strength)
{
    double share[MOST_LAYERS];

    if (strength == 1)
        return;
    for (int i = 0; i < o->styles; i++)
        share[i] = 1 - strength;
    nst_objective_gather(o, o->picture);
    for (int r = 0; r < o->regions; r++) {
        for (int i = 0; i < o->styles; i++)
            nst_statistics_read(&o->region[r].layer[i].statistics);
        add_targets(o, &o->region[r], share);
    }
}

static enum nst_status take_content(struct nst_objective *o,
                                    const struct nst_objective_config *config,
                                    const float *rgb, int h, int w,
                                    const bool keep[NST_VGG_CONVS], struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    const struct nst_taps *taps = config->content_layers;
    int tiles = nst_walk_count(&o->walk), places;
    enum nst_status st = nst_walk_init(&o->walk, o->v, o->walk.tiling, keep, true, err);

    if (st == NST_OK)
        st = nst_backend_show(be, rgb, 3 * (size_t)h * (size_t)w, &o->picture, err);
    o->content_rgb = rgb;
    if (st != NST_OK)
        return st;
    o->contents = taps->count;
    for (int i = 0; i < o->contents; i++)
        o->content[i] = nst_content_loss(taps->tap[i], o->walk.pass, h, w);
    o->recompute = tiles > 1 && config->recompute_content;
    places = !o->recompute ? tiles : 1;
    o->target = nst_xcalloc((size_t)places, sizeof *o->target);
    for (int k = 0; k < places; k++)
        for (int i = 0; st == NST_OK && i < o->contents; i++)
            st = nst_content_target_new(&o->target[k].of[i], &o->content[i],
                                        o->walk.pass, err);
    for (int k = 0; st == NST_OK && !o->recompute && k < tiles; k++)
        nst_objective_take_targets(o, k);
    return st;
}

/* The content is not looked at any more. */
static void put_away(struct nst_objective *o)
{
    nst_backend_unshow(nst_vgg_backend(o->v), o->content_rgb, o->picture);
    o->content_rgb = NULL;
    o->picture = NULL;
}

/* What an evaluation works on besides the walk. */
static enum nst_status new_numbers(struct nst_objective *o, struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    void *sums, *rgb = NULL, *grad = NULL;
    enum nst_status st =
        be->ops->numbers_new(be, &sums, (size_t)all_sums(o) * sizeof *o->sums, err);

    o->sums = sums;
    if (!be->memory || nst_walk_count(&o->walk) > 1)
        return st;
    if (st == NST_OK)
        st = be->ops->numbers_new(be, &rgb, nst_objective_picture_bytes(o), err);
    o->rgb = rgb;
    if (st == NST_OK)
        st = be->ops->numbers_new(be, &grad, nst_objective_picture_bytes(o), err);
    o->grad = grad;
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
    nst_vgg_backend(v)->gradient_scale = 1; /* as if there had been no other */
    o->v = v;
    o->content_weight = config->content_weight;
    o->style_weight = config->style_weight;
    o->moment_weight = config->moment_weight;
    o->pixels = (struct nst_pixel_losses){
        .be = nst_vgg_backend(v), .of = {ch, cw}, .tv_weight = config->tv_weight};
    o->walk.tiling = nst_walk_tiling(v, ch, cw, config->tile);
    mark_before_relu(config->content_layers, keep);
    mark_before_relu(config->style_layers, keep);
    st = take_style(o, config, style, keep, err);
    if (st == NST_OK)
        st = take_content(o, config, content, ch, cw, keep, err);
    if (st == NST_OK)
        st = new_numbers(o, err);
    if (st != NST_OK) {
        nst_objective_free(o);
        return st;
    }
    mix_content(o, config->strength);
    if (!o->recompute)
        put_away(o);
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
        for (int k = 0; k < (!o->recompute ? nst_walk_count(&o->walk) : 1); k++)
            for (int i = 0; i < o->contents; i++)
                be->ops->tensor_free(be, o->target[k].of[i]);
    free(o->target);
    free_regions(o);
    nst_walk_clear(&o->walk);
    nst_pixel_losses_clear(&o->pixels);
    be->ops->forget(be, o->program);
    be->ops->numbers_free(be, o->sums);
    be->ops->numbers_free(be, o->rgb);
    be->ops->numbers_free(be, o->grad);
    put_away(o);
    free(o);
}

size_t nst_objective_bytes(const struct nst_vgg *v,
                           const struct nst_objective_config *config, int regions,
                           int ch, int cw, int sh, int sw)
{
    const struct nst_backend *be = nst_vgg_backend(v);
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
        int channels = nst_vgg_channels(v, config->style_layers->tap[i].conv);
        size_t c = (size_t)channels;

        grams += c * c * 2 * sizeof(double) + be->ops->matrix_bytes(be, channels);
    }
    if (regions)
        grams = (size_t)regions * (grams + nst_guide_bytes(v, &content));
    if (regions) /* the painting without its border */
        first += nst_guide_bytes(v, &style) + (size_t)sh * (size_t)sw * sizeof(float);
    if (be->memory) { /* where the pictures are, too */
        first += 3 * (size_t)sh * (size_t)sw * sizeof(float);
        second += 3 * 3 * (size_t)ch * (size_t)cw * sizeof(float);
    }
    return scratch + grams + (first > second ? first : second);
}
