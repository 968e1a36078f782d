/* SPDX-License-Identifier: MIT */
/*
 * objective.h - what is minimised over pictures (Gatys et al. 2016, eq. 7):
 *   content_weight sum_l w_l L_content(l)
 *   + sum_r sum_l w_l v_rl a_rl (style_weight L_gram(r, l) + moment_weight L_moment(r,
 * l))
 *   + tv_weight V + temporal_weight T (see pixel_losses.h)
 * with the layers l and their weights w_l of two tap lists.
 *
 * The regions r of the picture have their own styles; without masks there is one. a_rl
 * is the part of the layer's pixels that belong to the region, so that they are pulled
 * as hard as if they were all; v_rl is the mean of what its styles say of the layer.
 *
 * A large picture is worked on tile by tile, with the same result but for rounding: all
 * that the style loss wants to know of it are the Gram matrices, which are sums over
 * pixels. So the tiles are walked through once to gather these, and a second time for
 * the gradient, forward and backward.
 */
#ifndef NST_STYLE_OBJECTIVE_H
#define NST_STYLE_OBJECTIVE_H

#include "model/vgg.h"
#include "style/pixel_losses.h"

struct nst_objective;

struct nst_objective_config {
    const struct nst_layers *content_layers, *style_layers; /* borrowed for the call */
    double content_weight, style_weight, moment_weight, tv_weight;
    /* How far the target lies from the content's own statistics (0) to the styles' (1).
     */
    double strength;
    int tile; /* pixels of a tile's interior, each way; 0: pictures in one piece */
    /* Of tiles, work the content's features out anew at each evaluation, and do not
     * keep them. */
    bool recompute_content;
};

struct nst_pack;             /* style/pack.h */
struct nst_statistics_cache; /* style/statistics_cache.h */

/* A picture of which the style is taken. */
struct nst_style_image {
    const float *rgb; /* 3 x height x width, planar */
    int height, width;
    int border; /* outermost pixels on each side that the network sees, and no more */
    const struct nst_pack *pack; /* has it in place of rgb, at that size; or NULL */
    /* Remembers it: with this size in it, rgb is not looked at. Or NULL. */
    struct nst_statistics_cache *cache;
    int region;    /* where it applies */
    double weight; /* of its statistics in the target, next to those of its region */
    /* Its weights of the style layers; NULL: 1 each. One not named has none. */
    const struct nst_layers *layers;
};

/* Whose style goes where; everything is borrowed for the call. */
struct nst_style {
    const struct nst_style_image *images;
    int count;
    int regions; /* 0: one, which is everywhere */
    /* Of each region, how much of each pixel is its: planes of the content's size, 0 to
     * 1. */
    const float *const *masks;
};

struct nst_losses {
    /* the sums above without their weights */
    double content, style, moments, tv, temporal;
    double total;
};

/*
 * Take the targets from the content (planar RGB, 3 x ch x cw) and the style, and make
 * ready for pictures of the content's size. v is borrowed, and so is content, as long
 * as the objective lives. *out belongs to the caller: nst_objective_free(). Errors:
 * NST_ERR_ARG (a picture too small for the layers), NST_ERR_MEM.
 */
enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  const float *content, int ch, int cw,
                                  const struct nst_style *style, struct nst_err *err);
void nst_objective_free(struct nst_objective *o);

/* Bytes that nst_objective_new() and evaluations take at most, sh x sw being the
 * largest painting: of the backend's own memory with the pictures there, else besides
 * the pictures. With regions, besides their planes. */
size_t nst_objective_bytes(const struct nst_vgg *v,
                           const struct nst_objective_config *config, int regions,
                           int ch, int cw, int sh, int sw);

/* Other weights of the content and the style loss, from the next evaluation on. */
void nst_objective_set_weights(struct nst_objective *o, double content_weight,
                               double style_weight);

/* From the next evaluation on, hold pictures to the frame before, which is borrowed as
 * long as the objective lives. NST_ERR_MEM. */
enum nst_status nst_objective_set_temporal_target(struct nst_objective *o,
                                                  struct nst_temporal_target target,
                                                  double weight, struct nst_err *err);

/* The losses of rgb (3 x ch x cw) and, unless grad is NULL, the gradient by rgb; both
 * are among the numbers of v's backend. */
void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad);

#endif
