/* SPDX-License-Identifier: MIT */
/*
 * objective.h - what is minimised over pictures (Gatys et al. 2016, eq. 7):
 *   content_weight sum_l w_l L_content(l) + style_weight sum_l w_l L_style(l)
 * with the layers and their weights w_l of two tap lists.
 */
#ifndef NST_STYLE_OBJECTIVE_H
#define NST_STYLE_OBJECTIVE_H

#include "model/vgg.h"

struct nst_objective;

struct nst_objective_config {
    const struct nst_taps *content_layers, *style_layers; /* borrowed for the call */
    double content_weight, style_weight;
};

struct nst_losses {
    double content, style; /* the sums above without content_weight, style_weight */
    double total;
};

/*
 * Take the targets from two pictures (planar RGB, 3 x h x w, borrowed for the call),
 * and make ready for pictures of the content's size. v is borrowed.
 * *out belongs to the caller: nst_objective_free().
 * Errors: NST_ERR_ARG (a picture too small for the layers), NST_ERR_MEM.
 */
enum nst_status nst_objective_new(struct nst_objective **out, struct nst_vgg *v,
                                  const struct nst_objective_config *config,
                                  const float *content, int ch, int cw,
                                  const float *style, int sh, int sw,
                                  struct nst_err *err);
void nst_objective_free(struct nst_objective *o);

/* The losses of rgb (3 x ch x cw) and, unless grad is NULL, the gradient by rgb. */
void nst_objective_evaluate(struct nst_objective *o, const float *rgb,
                            struct nst_losses *losses, float *grad);

#endif
