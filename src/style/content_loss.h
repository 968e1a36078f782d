/* SPDX-License-Identifier: MIT */
/*
 * content_loss.h - distance of one layer's features from the content image's:
 *   L = mean over C H W of (F - F_content)^2
 * Gatys et al. 2016 eq. 1, with the mean in place of half the sum, so that a weight
 * means the same for every picture size.
 */
#ifndef NST_STYLE_CONTENT_LOSS_H
#define NST_STYLE_CONTENT_LOSS_H

#include "model/vgg.h"

struct nst_content_loss {
    struct nst_layer layer;
    double count; /* C H W of the whole picture's features */
};

/* The loss at a layer for a picture of height x width. acts has the maps of a tile. */
struct nst_content_loss nst_content_loss(struct nst_layer layer,
                                         const struct nst_activations *acts, int height,
                                         int width);

/* Allocate F_content for one tile; the caller frees it: tensor_free(). NST_ERR_MEM. */
enum nst_status nst_content_target_new(struct nst_tensor **target,
                                       const struct nst_content_loss *l,
                                       const struct nst_activations *acts,
                                       struct nst_err *err);
/* Copy the current features to F_content. */
void nst_content_target_set(struct nst_tensor *target, const struct nst_content_loss *l,
                            const struct nst_activations *acts);

/* Set sum to the sum of (F - F_content)^2 over a window of the tile's pixels, or add to
 * it. The loss is the sum over the whole picture / count. */
void nst_content_loss_accumulate(const struct nst_content_loss *l,
                                 const struct nst_activations *acts,
                                 struct nst_window window,
                                 const struct nst_tensor *target, bool add,
                                 struct nst_scalar sum);
/* The factor of (F - F_content) in the gradient of weight times the loss. */
float nst_content_loss_grad_scale(const struct nst_content_loss *l, double weight);

#endif
