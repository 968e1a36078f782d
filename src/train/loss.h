/* SPDX-License-Identifier: MIT */
/*
 * loss.h - the perceptual loss that a feed-forward network is trained on (Johnson,
 * Alahi and Fei-Fei 2016), of one painted picture:
 *   content |F - Fc|^2 / |Fc|^2
 *   + style mean_l (|G - Gs|^2 / |Gs|^2 + |M - Ms|^2 / |Ms|^2) / 2
 *   + tv V
 * F are features of one layer, Fc those of the photograph; G is a Gram matrix, M the
 * means and deviations of the channels of a layer, Gs and Ms those of the style. V is
 * the total variation (style/pixel_losses.h). |Fc|^2 of a flat photograph counts as
 * more than it is. The terms are relative, so a weight means the same for every style
 * and every network of features.
 */
#ifndef NST_TRAIN_LOSS_H
#define NST_TRAIN_LOSS_H

#include "base/image.h"
#include "model/vgg.h"

struct nst_train_loss;
struct nst_pack;

/* Layers of the loss. */
#define NST_TRAIN_CONTENT_LAYER "relu3_2"
#define NST_TRAIN_STYLE_LAYERS "relu1_1,relu2_1,relu3_1,relu4_1"

struct nst_train_weights {
    double content, style, tv;
};

/* Without their weights. */
struct nst_train_losses {
    double content, style, tv;
};

/* A style: a picture, or a pack with the size of the picture to imagine. */
struct nst_train_style {
    struct nst_image image;
    const struct nst_pack *pack; /* or NULL */
    int longest;                 /* of the pack */
};

/* For painted pictures of height x width. The styles, of which the targets are the
 * mean, are borrowed for the call; v as long as the loss lives. Its backend is on a
 * CPU. *out belongs to the caller: nst_train_loss_free() (NULL is fine). NST_ERR_ARG (a
 * picture is too small), NST_ERR_MEM. */
enum nst_status nst_train_loss_new(struct nst_train_loss **out, struct nst_vgg *v,
                                   const struct nst_train_style *styles, int count,
                                   int height, int width,
                                   const struct nst_train_weights *weights,
                                   struct nst_err *err);
void nst_train_loss_free(struct nst_train_loss *l);

/* The losses of a painted picture against its photograph, both 3 x height x width, and
 * the gradient by the painted picture of their weighted sum. */
void nst_train_loss_evaluate(struct nst_train_loss *l, const float *photo,
                             const float *painted, struct nst_train_losses *losses,
                             float *grad);
/* The weighted sum. */
double nst_train_loss_total(const struct nst_train_weights *w,
                            const struct nst_train_losses *l);

#endif
