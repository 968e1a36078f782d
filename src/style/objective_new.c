/* SPDX-License-Identifier: MIT */
/*
 * objective_new.c - construction of an objective: targets from the content and the
 * style images, and buffers for evaluations.
 */
#include "config.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "style/objective_internal.h"
#include "style/pack.h"
#include "style/statistics_cache.h"

static void mark_before_relu(const struct nst_layers *layers, bool keep[NST_VGG_CONVS])
{
    for (int i = 0; i < layers->count; i++)
        if (!layers->layer[i].after_relu)
            keep[layers->layer[i].conv] = true;
}

/* Add the region's current statistics to its targets; one weight per layer. */
static void add_targets(struct nst_objective *o, struct region *region,
                        const double weight[])
{
    for (int i = 0; i < o->style_count; i++) {
        struct style_layer *l = &region->layer[i];

        nst_gram_loss_add_target(&l->gram, &l->statistics, weight[i]);
        if (o->moment_weight > 0)
            nst_moment_loss_add_target(&l->moments, &l->statistics, weight[i]);
    }
}

/* The weight that a style image gives to a style layer. */
static double layer_weight(const struct nst_style_image *p,
                           const struct nst_layer *layer)
{
    for (int i = 0; p->layers && i < p->layers->count; i++)
        if (p->layers->layer[i].conv == layer->conv &&
            p->layers->layer[i].after_relu == layer->after_relu)
            return p->layers->layer[i].weight;
    return p->layers ? 0 : 1;
}

/* Per layer, scale the weights of a region's images to the sum strength. The layer's
 * own weight (v_rl) is the mean of the images' weights for it. */
static void normalise_weights(struct nst_objective *o, double strength,
                              const struct nst_style_image *images, int count,
                              double weight[][MAX_LAYERS])
{
    for (int r = 0; r < o->regions; r++)
        for (int i = 0; i < o->style_count; i++) {
            double of_all = 0, of_layer = 0;

            for (int k = 0; k < count; k++)
                if (images[k].region == r) {
                    weight[k][i] =
                        images[k].weight * layer_weight(&images[k], &o->style[i]);
                    of_all += images[k].weight;
                    of_layer += weight[k][i];
                }
            for (int k = 0; k < count; k++)
                if (images[k].region == r)
                    weight[k][i] *= of_layer > 0 ? strength / of_layer : 0;
            o->region[r].layer[i].weight = of_all > 0 ? of_layer / of_all : 0;
        }
}

/* Arguments of measure_style(), which runs a tiled pass of the image's own size. */
struct measure_ctx {
    struct nst_objective *o;
    const struct nst_style_image *image;
    int tile;
    struct nst_statistics *statistics[MAX_LAYERS];
};

static enum nst_status measure_style(void *ctx, struct nst_err *err)
{
    struct measure_ctx *l = ctx;
    const struct nst_style_image *image = l->image;

    return nst_statistics_compute(l->statistics, l->o->style_count, l->o->v,
                                  nst_tiled_pass_tiling(l->o->v, image->image.height,
                                                        image->image.width, l->tile),
                                  image->image.rgb, err);
}

static enum nst_status add_style_image(struct nst_objective *o,
                                       const struct nst_objective_config *config,
                                       const struct nst_style_image *image,
                                       const double weight[], struct nst_err *err)
{
    struct region *region = &o->region[image->region];
    struct measure_ctx ctx = {o, image, config->tile, {NULL}};
    enum nst_status st = NST_OK;

    for (int i = 0; i < o->style_count; i++)
        ctx.statistics[i] = &region->layer[i].statistics;
    if (image->pack)
        nst_pack_interpolate(image->pack, o->v,
                             nst_longest(image->image.height, image->image.width),
                             ctx.statistics, o->style_count);
    else if (image->cache)
        st = nst_statistics_cache_get(
            image->cache,
            (struct nst_statistics_key){image->image.height, image->image.width,
                                        config->tile, nst_vgg_whole_fingerprint(o->v)},
            &(struct nst_statistics_request){ctx.statistics, o->style_count,
                                             measure_style, &ctx},
            err);
    else
        st = measure_style(&ctx, err);
    if (st == NST_OK)
        add_targets(o, region, weight);
    return st;
}

static enum nst_status init_layer(struct nst_objective *o, int r, int i,
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
    o->region_grads[i * o->regions + r] = (struct nst_region_grad){
        l->gram.derivative, l->moments.offset,
        o->region[r].guidance
            ? nst_guidance_mask(o->region[r].guidance, o->style[i].conv)
            : NULL};
    return st;
}

static enum nst_status init_regions(struct nst_objective *o,
                                    const struct nst_layers *layers,
                                    const struct nst_style *style, struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    enum nst_status st = NST_OK;

    o->style_count = layers->count;
    o->regions = style->regions ? style->regions : 1;
    if (o->regions > be->max_regions)
        be->max_regions = o->regions;
    o->region = nst_xcalloc((size_t)o->regions, sizeof *o->region);
    o->region_grads = nst_xcalloc((size_t)o->regions * (size_t)o->style_count,
                                  sizeof *o->region_grads);
    for (int i = 0; i < o->style_count; i++)
        o->style[i] = layers->layer[i];
    for (int r = 0; st == NST_OK && r < o->regions; r++) {
        if (style->regions)
            st = nst_guidance_new(&o->region[r].guidance, o->v, style->masks[r],
                                  &o->pass.tiling, err);
        for (int i = 0; st == NST_OK && i < o->style_count; i++)
            st = init_layer(o, r, i, err);
    }
    return st;
}

static enum nst_status init_style(struct nst_objective *o,
                                  const struct nst_objective_config *config,
                                  const struct nst_style *style, struct nst_err *err)
{
    double(*weight)[MAX_LAYERS] = nst_xcalloc((size_t)style->count + 1, sizeof *weight);
    enum nst_status st = init_regions(o, config->style_layers, style, err);

    if (st == NST_OK)
        normalise_weights(o, config->strength, style->images, style->count, weight);
    for (int i = 0; st == NST_OK && i < style->count; i++)
        st = add_style_image(o, config, &style->images[i], weight[i], err);
    free(weight);
    return st;
}

/* Add the content's own statistics to the targets, times 1 - strength. */
static void blend_content(struct nst_objective *o, double strength)
{
    double weight[MAX_LAYERS];

    if (strength == 1)
        return;
    for (int i = 0; i < o->style_count; i++)
        weight[i] = 1 - strength;
    nst_objective_accumulate(o, o->content_rgb);
    for (int r = 0; r < o->regions; r++) {
        for (int i = 0; i < o->style_count; i++)
            nst_statistics_download(&o->region[r].layer[i].statistics);
        add_targets(o, &o->region[r], weight);
    }
}

static enum nst_status init_content(struct nst_objective *o,
                                    const struct nst_objective_config *config,
                                    struct nst_image image,
                                    const bool keep[NST_VGG_CONVS], struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    const struct nst_layers *layers = config->content_layers;
    int tiles = nst_tiled_pass_count(&o->pass), slots;
    enum nst_status st =
        nst_tiled_pass_init(&o->pass, o->v, o->pass.tiling, keep, true, err);

    if (st == NST_OK)
        st = nst_backend_to_device(be, image.rgb,
                                   3 * nst_area(image.height, image.width),
                                   &o->content_rgb, err);
    if (st != NST_OK)
        return st;
    o->content_count = layers->count;
    for (int i = 0; i < o->content_count; i++)
        o->content[i] =
            nst_content_loss(layers->layer[i], o->pass.acts, image.height, image.width);
    o->recompute = tiles > 1 && config->recompute_content;
    slots = !o->recompute ? tiles : 1;
    o->target = nst_xcalloc((size_t)slots, sizeof *o->target);
    for (int k = 0; k < slots; k++)
        for (int i = 0; st == NST_OK && i < o->content_count; i++)
            st = nst_content_target_new(&o->target[k].tensor[i], &o->content[i],
                                        o->pass.acts, err);
    for (int k = 0; st == NST_OK && !o->recompute && k < tiles; k++)
        nst_objective_compute_targets(o, k);
    return st;
}

static void release_content(struct nst_objective *o)
{
    nst_backend_release(nst_vgg_backend(o->v), o->content_rgb);
    o->content_rgb = NULL;
}

/* Allocate the buffers of evaluations besides those of the tiled pass. */
static enum nst_status alloc_buffers(struct nst_objective *o, struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(o->v);
    enum nst_status st =
        be->ops->buffer_alloc(be, &o->sums, (size_t)sum_count(o) * sizeof(double), err);

    o->host_sums = nst_xcalloc((size_t)sum_count(o), sizeof *o->host_sums);
    if (!be->device_memory || nst_tiled_pass_count(&o->pass) > 1)
        return st;
    if (st == NST_OK)
        st = be->ops->buffer_alloc(be, &o->rgb, nst_objective_picture_bytes(o), err);
    if (st == NST_OK)
        st = be->ops->buffer_alloc(be, &o->grad, nst_objective_picture_bytes(o), err);
    return st;
}

enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  struct nst_image content,
                                  const struct nst_style *style, struct nst_err *err)
{
    struct nst_objective *o = nst_xcalloc(1, sizeof *o);
    bool keep[NST_VGG_CONVS] = {false};
    enum nst_status st;

    *out = NULL;
    nst_vgg_backend(v)->loss_scale = 1; /* independent of earlier objectives */
    o->v = v;
    o->content_weight = config->content_weight;
    o->style_weight = config->style_weight;
    o->moment_weight = config->moment_weight;
    o->pixels = (struct nst_pixel_losses){.be = nst_vgg_backend(v),
                                          .size = {content.height, content.width},
                                          .tv_weight = config->tv_weight};
    o->pass.tiling =
        nst_tiled_pass_tiling(v, content.height, content.width, config->tile);
    mark_before_relu(config->content_layers, keep);
    mark_before_relu(config->style_layers, keep);
    st = init_style(o, config, style, err);
    if (st == NST_OK)
        st = init_content(o, config, content, keep, err);
    if (st == NST_OK)
        st = alloc_buffers(o, err);
    if (st != NST_OK) {
        nst_objective_free(o);
        return st;
    }
    blend_content(o, config->strength);
    if (!o->recompute)
        release_content(o);
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
        for (int k = 0; k < (!o->recompute ? nst_tiled_pass_count(&o->pass) : 1); k++)
            for (int i = 0; i < o->content_count; i++)
                be->ops->tensor_free(be, o->target[k].tensor[i]);
    free(o->target);
    for (int r = 0; o->region && r < o->regions; r++) {
        nst_guidance_free(o->region[r].guidance);
        for (int i = 0; i < o->style_count; i++) {
            struct style_layer *l = &o->region[r].layer[i];

            nst_statistics_clear(&l->statistics);
            nst_gram_loss_clear(&l->gram);
            nst_moment_loss_clear(&l->moments);
        }
    }
    free(o->region);
    free(o->region_grads);
    free(o->host_sums);
    nst_tiled_pass_clear(&o->pass);
    nst_pixel_losses_clear(&o->pixels);
    be->ops->graph_free(be, o->graph);
    be->ops->buffer_free(be, o->sums);
    be->ops->buffer_free(be, o->rgb);
    be->ops->buffer_free(be, o->grad);
    release_content(o);
    free(o);
}

size_t nst_objective_bytes(const struct nst_vgg *v,
                           const struct nst_objective_config *config, int regions,
                           struct nst_size content, struct nst_size style)
{
    const struct nst_backend *be = nst_vgg_backend(v);
    struct nst_tiling of_style =
        nst_tiled_pass_tiling(v, style.height, style.width, config->tile);
    struct nst_tiling of_content =
        nst_tiled_pass_tiling(v, content.height, content.width, config->tile);
    size_t scratch = 0, grams = 0, targets = 0,
           tiles = (size_t)nst_tiling_count(&of_content);
    size_t first = nst_tiled_pass_bytes(v, &of_style, false, &scratch);
    size_t second = nst_tiled_pass_bytes(v, &of_content, true, &scratch);

    for (int i = 0; i < config->content_layers->count; i++)
        targets += nst_vgg_map_bytes(v, config->content_layers->layer[i].conv,
                                     of_content.tile_height, of_content.tile_width);
    second += targets * (config->recompute_content ? 1 : tiles);
    for (int i = 0; i < config->style_layers->count; i++) {
        int channels = nst_vgg_channels(v, config->style_layers->layer[i].conv);
        size_t c = (size_t)channels;

        grams += c * c * 2 * sizeof(double) + be->ops->matrix_bytes(be, channels);
    }
    if (regions)
        grams = (size_t)regions * (grams + nst_guidance_bytes(v, &of_content));
    if (be->device_memory) { /* includes the pictures */
        first += 3 * nst_area(style.height, style.width) * sizeof(float);
        second += 3 * 3 * nst_area(content.height, content.width) * sizeof(float);
    }
    return scratch + grams + (first > second ? first : second);
}
