/* SPDX-License-Identifier: MIT */
/*
 * scales.h - the perceptual loss of a painted picture (train/loss.h) at two scales: the
 * picture as it is, and reduced to half its side. The features of a picture of half the
 * side see twice as far. Without that scale a network learns a fine mesh first, which
 * has nearly the statistics of brush strokes, and takes long to unlearn it.
 */
#ifndef NST_TRAIN_SCALES_H
#define NST_TRAIN_SCALES_H

#include "train/loss.h"

#define NST_TRAIN_SCALES 2

struct nst_train_scales;

/* For square pictures of this side, a multiple of 4. styles[k] are count styles, as
 * they look at scale k: 0 is the full one. The loss is the mean of those of both
 * scales; the half scale has a weight of 1, the full one that of detail (0: it is left
 * out). The rest is as in nst_train_loss_new(). nst_train_scales_free() (NULL is fine).
 */
enum nst_status nst_train_scales_new(struct nst_train_scales **out, struct nst_vgg *v,
                                     struct nst_train_style *const styles[], int count,
                                     int size, const struct nst_train_weights *weights,
                                     double detail, struct nst_err *err);
void nst_train_scales_free(struct nst_train_scales *s);

/* As nst_train_loss_evaluate(); each of the losses is such a mean. */
void nst_train_scales_evaluate(struct nst_train_scales *s, const float *photo,
                               const float *painted, struct nst_train_losses *losses,
                               float *grad);

#endif
