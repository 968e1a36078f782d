/* SPDX-License-Identifier: MIT */
/*
 * objective.h - what is minimised over pictures (Gatys et al. 2016, eq. 7):
 *   content_weight sum_l w_l L_content(l) + style_weight sum_l w_l L_style(l)
 *   + tv_weight V (see variation.h)
 * with the layers and their weights w_l of two tap lists.
 *
 * A large picture is worked on tile by tile, with the same result but for rounding: all
 * that the style loss wants to know of it are the Gram matrices, which are sums over
 * pixels. So the tiles are walked through once to gather these, and a second time for
 * the gradient, forward and backward.
 */
#ifndef NST_STYLE_OBJECTIVE_H
#define NST_STYLE_OBJECTIVE_H

#include "model/vgg.h"
#include "style/tiling.h"

struct nst_objective;

struct nst_objective_config {
    const struct nst_taps *content_layers, *style_layers; /* borrowed for the call */
    double content_weight, style_weight, tv_weight;
    int tile; /* pixels of a tile's interior, each way; 0: pictures in one piece */
    /* Of tiles, work the content's features out anew at each evaluation, and do not
     * keep them. */
    bool recompute_content;
};

/* A picture of which the style is taken. */
struct nst_painting {
    const float *rgb; /* 3 x height x width, planar, borrowed for the call */
    int height, width;
    double share; /* of its Gram matrices in the target; all shares add up to 1 */
};

struct nst_losses {
    double content, style, variation; /* the sums above without their weights */
    double total;
};

/*
 * Take the targets from the content (planar RGB, 3 x ch x cw) and count paintings, and
 * make ready for pictures of the content's size. v is borrowed, and so is content, as
 * long as the objective lives.
 * *out belongs to the caller: nst_objective_free().
 * Errors: NST_ERR_ARG (a picture too small for the layers), NST_ERR_MEM.
 */
enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  const float *content, int ch, int cw,
                                  const struct nst_painting *paintings, int count,
                                  struct nst_err *err);
void nst_objective_free(struct nst_objective *o);

/* The tiles that pictures of h x w are worked on in. */
struct nst_tiling nst_objective_tiling(const struct nst_vgg *v, int h, int w, int tile);
/* Bytes that nst_objective_new() and evaluations take at most, besides the pictures, of
 * which sh x sw is the largest painting. */
size_t nst_objective_bytes(const struct nst_vgg *v,
                           const struct nst_objective_config *config, int ch, int cw,
                           int sh, int sw);

/* The losses of rgb (3 x ch x cw) and, unless grad is NULL, the gradient by rgb. */
void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad);

#endif
