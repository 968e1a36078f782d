/* SPDX-License-Identifier: MIT */
/*
 * normalise.h - weight normalisation: divide each layer's output by its mean activation
 * over some pictures, so that a style weight means the same for every VGG19. ReLU and
 * pooling preserve positive factors, so nothing but the scale of a layer changes.
 */
#ifndef NST_MODEL_NORMALISE_H
#define NST_MODEL_NORMALISE_H

#include "model/weights.h"

struct nst_mean_activation; /* mean activation of each layer of a network */

/* w is borrowed. *out belongs to the caller: nst_mean_activation_free(). NST_ERR_ARG
 * ($NST_BACKEND), NST_ERR_MEM. */
enum nst_status nst_mean_activation_new(struct nst_mean_activation **out,
                                        const struct nst_weights *w,
                                        struct nst_err *err);
void nst_mean_activation_free(struct nst_mean_activation *a); /* NULL is fine */
/* Add the picture rgb, 3 x h x w, sRGB, 0 to 1. NST_ERR_ARG (too small),
 * NST_ERR_MEM. */
enum nst_status nst_mean_activation_add(struct nst_mean_activation *a, const float *rgb,
                                        int h, int w, struct nst_err *err);
/* mean[i] becomes the mean of convolution i's output after the ReLU, over channels,
 * pixels and the pictures added. */
void nst_mean_activation_get(const struct nst_mean_activation *a,
                             double mean[NST_VGG_CONVS]);

/* Scale each convolution so that a mean of mean[i] becomes 1. If mean[i] is 0, its
 * output keeps the scale of its input. */
void nst_weights_normalise(struct nst_weights *w, const double mean[NST_VGG_CONVS]);

#endif
