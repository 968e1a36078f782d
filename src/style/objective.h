/* SPDX-License-Identifier: MIT */
/*
 * objective.h - the function to minimise over pictures (Gatys et al. 2016, eq. 7):
 *   content_weight sum_l w_l L_content(l)
 *   + sum_r sum_l w_l v_rl a_rl (style_weight L_gram(r, l)
 *                                + moment_weight L_moment(r, l))
 *   + tv_weight V + temporal_weight T (see pixel_losses.h)
 * The layers l and their weights w_l come from two lists, for content and style.
 *
 * Each region r of the picture has its own styles; without masks there is one region.
 * v_rl is the mean weight that the region's styles give to the layer. a_rl is the share
 * of the layer's pixels in the region: with it the gradient at a pixel is as strong as
 * if the region were the whole picture.
 *
 * A large picture is evaluated tile by tile, with the same result except for rounding:
 * the style losses need only statistics that are sums over pixels. A first pass over
 * the tiles accumulates them, a second one runs forward and backward for the gradient.
 */
#ifndef NST_STYLE_OBJECTIVE_H
#define NST_STYLE_OBJECTIVE_H

#include "base/image.h"
#include "model/vgg.h"
#include "style/pixel_losses.h"

struct nst_objective;

struct nst_objective_config {
    const struct nst_layers *content_layers, *style_layers; /* borrowed for the call */
    double content_weight, style_weight, moment_weight, tv_weight;
    /* Target statistics, from the content's own (0) to the styles' (1). */
    double strength;
    int tile; /* side of a tile's interior in pixels; 0: no tiling */
    /* With tiles: save memory, recompute the content's features per evaluation. */
    bool recompute_content;
};

struct nst_pack;             /* style/pack.h */
struct nst_statistics_cache; /* style/statistics_cache.h */

/* A style image. */
struct nst_style_image {
    struct nst_image image;
    const struct nst_pack *pack; /* statistics at this size, in place of rgb; or NULL */
    /* Caches the statistics; rgb is not read if it contains this size. Or NULL. */
    struct nst_statistics_cache *cache;
    int region;    /* index of the region it applies to */
    double weight; /* in the target, relative to the other images of the region */
    /* Its weights of the style layers; NULL: 1 each. Unlisted layers have 0. */
    const struct nst_layers *layers;
};

/* Style images and their regions; borrowed for the call. */
struct nst_style {
    const struct nst_style_image *images;
    int count;
    int regions; /* 0: one region, the whole picture */
    /* Guidance mask of each region: content's height x width, 0 to 1. */
    const float *const *masks;
};

struct nst_losses {
    /* the terms of the objective without the weights of struct nst_objective_config */
    double content, style, moments, tv, temporal;
    double total;
};

/*
 * Compute the targets from content and style, and
 * allocate buffers for pictures of the content's size. v and content are borrowed as
 * long as the objective lives. *out belongs to the caller: nst_objective_free().
 * NST_ERR_ARG (a picture too small for the layers), NST_ERR_MEM.
 */
enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  struct nst_image content,
                                  const struct nst_style *style, struct nst_err *err);
void nst_objective_free(struct nst_objective *o);

/* Peak bytes of nst_objective_new() and evaluations; style: size of the largest style
 * image. Device memory, including pictures, if the backend has its own; else host
 * memory, without pictures. The caller's region masks are not included. */
size_t nst_objective_bytes(const struct nst_vgg *v,
                           const struct nst_objective_config *config, int regions,
                           struct nst_size content, struct nst_size style);

/* Change the content and style weights from the next evaluation on. */
void nst_objective_set_weights(struct nst_objective *o, double content_weight,
                               double style_weight);

/* Add the temporal loss from the next evaluation on. The arrays of target are borrowed
 * as long as the objective lives. NST_ERR_MEM. */
enum nst_status nst_objective_set_temporal_target(struct nst_objective *o,
                                                  struct nst_temporal_target target,
                                                  double weight, struct nst_err *err);

/* The losses of rgb (3 x height x width) and, unless grad is NULL, their gradient by
 * rgb, on v's backend. */
void nst_objective_evaluate(struct nst_objective *o, const struct nst_buffer *rgb,
                            struct nst_losses *losses, struct nst_buffer *grad);

#endif
