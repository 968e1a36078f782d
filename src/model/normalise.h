/* SPDX-License-Identifier: MIT */
/*
 * normalise.h - networks brought to one scale: what a layer puts out, divided by its
 * mean over some pictures, so that one style weight means the same for any VGG19. ReLU
 * and pooling pass factors on, so the pictures made differ in nothing else.
 */
#ifndef NST_MODEL_NORMALISE_H
#define NST_MODEL_NORMALISE_H

#include "model/weights.h"

struct nst_mean_activation; /* how active each layer of a network is */

/* Of w, which is borrowed. *out belongs to the caller: nst_mean_activation_free().
 * NST_ERR_ARG ($NST_BACKEND), NST_ERR_MEM. */
enum nst_status nst_mean_activation_new(struct nst_mean_activation **out,
                                        const struct nst_weights *w,
                                        struct nst_err *err);
void nst_mean_activation_free(struct nst_mean_activation *a); /* NULL is fine */
/* Count the picture rgb, 3 x h x w, sRGB, 0 to 1. NST_ERR_ARG (too small),
 * NST_ERR_MEM. */
enum nst_status nst_mean_activation_add(struct nst_mean_activation *a, const float *rgb,
                                        int h, int w, struct nst_err *err);
/* mean[i] becomes the mean of convolution i's values after the ReLU, over its channels
 * and a picture's pixels, and over the pictures counted. */
void nst_mean_activation_get(const struct nst_mean_activation *a,
                             double mean[NST_VGG_CONVS]);

/* Scale each convolution so that a mean of mean[i] becomes 1; one of 0 stays. */
void nst_weights_normalise(struct nst_weights *w, const double mean[NST_VGG_CONVS]);

#endif
