/* SPDX-License-Identifier: MIT */
/*
 * content_loss.h - how far one layer's features are from the photograph's:
 *   L = mean over C H W of (F - F_content)^2
 * Gatys et al. 2016 eq. 1, with the mean in place of half the sum, so that the weight
 * survives a change of size.
 */
#ifndef NST_STYLE_CONTENT_LOSS_H
#define NST_STYLE_CONTENT_LOSS_H

#include "model/vgg.h"

struct nst_content_loss {
    struct nst_layer layer;
    double count; /* C H W of the whole picture's features */
};

/* The loss at tap for a picture of height x width whose tiles are those of pass. */
struct nst_content_loss nst_content_loss(struct nst_layer layer,
                                         const struct nst_activations *acts, int height,
                                         int width);

/* A place for F_content of what such a pass holds, or of a tile of the same size.
 * NST_ERR_MEM. */
enum nst_status nst_content_target_new(struct nst_tensor **target,
                                       const struct nst_content_loss *l,
                                       const struct nst_activations *acts,
                                       struct nst_err *err);
/* F_content is what pass holds. */
void nst_content_target_set(struct nst_tensor *target, const struct nst_content_loss *l,
                            const struct nst_activations *acts);

/* *sum, one of the backend's numbers, becomes what the pixels seen in window of the
 * picture that pass holds are to count times the loss; with add, it is added. */
void nst_content_loss_accumulate(const struct nst_content_loss *l,
                                 const struct nst_activations *acts,
                                 struct nst_window window,
                                 const struct nst_tensor *target, bool add,
                                 double *sum);
/* The factor of F - F_content in the derivative of weight times the loss. */
float nst_content_loss_grad_scale(const struct nst_content_loss *l, double weight);

#endif
