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
    double content_weight, style_weight, moment_weight;
    struct nst_pixel_losses pixels;
    int contents, styles, regions;
    struct nst_content_loss content[MOST_LAYERS];
    struct nst_tap style[MOST_LAYERS];
    struct region *region;
    struct nst_region_terms *terms; /* of each style layer, those of the regions */

    double
        *sums; /* what is left of an evaluation, among the backend's numbers: below */
    /* On a device, where evaluations of a picture in one piece are always of the same
     * numbers, so that they can be repeated; else NULL. */
    float *rgb, *grad;
    struct nst_program *program;
    struct nst_walk walk;
    const float *content_rgb; /* on the host, and */
    const void *picture;      /* among the backend's numbers */
    bool recompute;           /* the content's features, at each evaluation */
    struct targets *target;   /* of each tile, or of the one at hand */
};

/* Of sums: those of the regions' style layers, of their moments, of the contents, and
 * of the pixels. */
static int style_sum(const struct nst_objective *o, int layer, int region)
{
    return layer * o->regions + region;
}

static int moment_sum(const struct nst_objective *o, int layer, int region)
{
    return (o->styles + layer) * o->regions + region;
}

static int content_sum(const struct nst_objective *o, int layer)
{
    return 2 * o->styles * o->regions + layer;
}

static int pixel_sums(const struct nst_objective *o)
{
    return content_sum(o, o->contents);
}

static int all_sums(const struct nst_objective *o)
{
    return pixel_sums(o) + 2;
}

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

/* Gather the statistics of all regions of a picture of numbers from its tiles. */
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
                                      o->walk.tile.inner, o->region[r].guide);
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
    gather(o, o->picture);
    for (int r = 0; r < o->regions; r++) {
        for (int i = 0; i < o->styles; i++)
            nst_statistics_read(&o->region[r].layer[i].statistics);
        add_targets(o, &o->region[r], share);
    }
}

/* Where the content's features in tile k are, or go. */
static struct targets *targets(const struct nst_objective *o, int k)
{
    return &o->target[!o->recompute ? k : 0];
}

static void take_targets(struct nst_objective *o, int k)
{
    nst_walk_forward(&o->walk, o->picture, k);
    for (int i = 0; i < o->contents; i++)
        nst_content_target_take(targets(o, k)->of[i], &o->content[i], o->walk.pass);
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
        st = nst_backend_show(be, rgb, 3 * (size_t)h * (size_t)w * sizeof *rgb,
                              &o->picture, err);
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
        take_targets(o, k);
    return st;
}

/* The content is not looked at any more. */
static void put_away(struct nst_objective *o)
{
    nst_backend_unshow(nst_vgg_backend(o->v), o->content_rgb, o->picture);
    o->content_rgb = NULL;
    o->picture = NULL;
}

static size_t picture_bytes(const struct nst_objective *o)
{
    return 3 * (size_t)o->pixels.of.height * (size_t)o->pixels.of.width * sizeof(float);
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
        st = be->ops->numbers_new(be, &rgb, picture_bytes(o), err);
    o->rgb = rgb;
    if (st == NST_OK)
        st = be->ops->numbers_new(be, &grad, picture_bytes(o), err);
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
    if (nst_vgg_backend(v)->memory) { /* where the pictures are, too */
        first += 3 * (size_t)sh * (size_t)sw * sizeof(float);
        second += 3 * 3 * (size_t)ch * (size_t)cw * sizeof(float);
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
    for (int i = 0; i < o->styles; i++)
        if (o->style[i].conv == conv && o->style[i].after_relu == after_relu) {
            t.region = o->terms + i * o->regions;
            t.regions = o->regions;
        }
    return t;
}

/* What a style layer's loss in a region counts. */
static double weight_of(const struct nst_objective *o, int i, int r)
{
    const struct style_layer *l = &o->region[r].layer[i];

    return o->style[i].weight * l->weight * (l->statistics.pixels / l->statistics.area);
}

/* The sums of what was gathered, and its derivative, for a style layer in a region. */
static void finish_layer(struct nst_objective *o, int i, int r)
{
    struct style_layer *l = &o->region[r].layer[i];
    double w = weight_of(o, i, r);

    nst_gram_loss_finish(&l->gram, &l->statistics, o->style_weight * w,
                         &o->sums[style_sum(o, i, r)]);
    if (o->moment_weight > 0)
        nst_moment_loss_finish(&l->moments, &l->statistics, o->moment_weight * w,
                               l->gram.derivative, &o->sums[moment_sum(o, i, r)]);
}

/* The next evaluation is another one. */
static void forget(struct nst_objective *o)
{
    struct nst_backend *be = nst_vgg_backend(o->v);

    be->ops->forget(be, o->program);
    o->program = NULL;
}

void nst_objective_weigh(struct nst_objective *o, double content_weight,
                         double style_weight)
{
    forget(o);
    o->content_weight = content_weight;
    o->style_weight = style_weight;
}

enum nst_status nst_objective_hold(struct nst_objective *o, struct nst_before before,
                                   double weight, struct nst_err *err)
{
    forget(o);
    return nst_pixel_losses_hold(&o->pixels, before, weight, err);
}

/* All sums of rgb, and the gradient by it. */
static void work_out(struct nst_objective *o, const float *rgb, float *grad)
{
    int tiles = nst_walk_count(&o->walk);

    gather(o, rgb);
    for (int i = 0; i < o->styles; i++)
        for (int r = 0; r < o->regions; r++)
            finish_layer(o, i, r);
    for (int k = 0; k < tiles; k++) {
        struct backward b = {o, targets(o, k)};

        if (o->recompute)
            take_targets(o, k);
        if (tiles > 1) {
            nst_walk_forward(&o->walk, rgb, k);
            turn_guides(o, &o->walk.tile);
        }
        for (int i = 0; i < o->contents; i++)
            nst_content_loss_gather(&o->content[i], o->walk.pass, o->walk.tile.inner,
                                    targets(o, k)->of[i], k > 0,
                                    &o->sums[content_sum(o, i)]);
        if (grad)
            nst_walk_backward(&o->walk, terms, &b, grad);
    }
    nst_pixel_losses_add(&o->pixels, rgb, grad, &o->sums[pixel_sums(o)]);
}

static void work_out_again(void *ctx)
{
    struct nst_objective *o = ctx;

    work_out(o, o->rgb, o->grad);
}

/* The same, as a device does it over and over. */
static void repeat(struct nst_objective *o, const float *rgb, float *grad)
{
    struct nst_backend *be = nst_vgg_backend(o->v);

    be->ops->copy(be, o->rgb, rgb, picture_bytes(o));
    be->ops->repeat(be, &o->program, work_out_again, o);
    be->ops->copy(be, grad, o->grad, picture_bytes(o));
}

/* What the sums, now on the host, say. */
static struct nst_losses losses_of(const struct nst_objective *o, const double *sums)
{
    const struct nst_pixel_losses *p = &o->pixels;
    struct nst_losses l = {0};

    for (int i = 0; i < o->styles; i++)
        for (int r = 0; r < o->regions; r++) {
            const struct nst_statistics *s = &o->region[r].layer[i].statistics;
            double w = weight_of(o, i, r), c = s->channels;

            l.style += w * (sums[style_sum(o, i, r)] / (c * c));
            if (o->moment_weight > 0 && s->pixels > 0)
                l.moments += w * (sums[moment_sum(o, i, r)] / c);
        }
    for (int i = 0; i < o->contents; i++)
        l.content +=
            o->content[i].tap.weight * (sums[content_sum(o, i)] / o->content[i].count);
    if (p->tv_weight > 0)
        l.variation = sums[pixel_sums(o)] / nst_pixel_losses_count(p);
    if (p->before.rgb)
        l.temporal = sums[pixel_sums(o) + 1] / nst_pixel_losses_count(p);
    l.total = o->content_weight * l.content + o->style_weight * l.style +
              o->moment_weight * l.moments + p->tv_weight * l.variation +
              p->temporal_weight * l.temporal;
    return l;
}

void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    double sums[all_sums(o)];

    do { /* once more where the gradient's precision could not hold it */
        if (o->grad && grad)
            repeat(o, rgb, grad);
        else
            work_out(o, rgb, grad);
        be->ops->get(be, sums, o->sums, sizeof sums);
    } while (grad && be->again);
    *losses = losses_of(o, sums);
}
