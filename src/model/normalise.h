/* SPDX-License-Identifier: MIT */
/*
 * normalise.h - networks brought to one scale: what a layer puts out, divided by its
 * mean over some pictures, so that one style weight means the same for any VGG19. ReLU
 * and pooling pass factors on, so the pictures made differ in nothing else.
 */
#ifndef NST_MODEL_NORMALISE_H
#define NST_MODEL_NORMALISE_H

#include "model/weights.h"

struct nst_activity; /* how active each layer of a network is */

/* Of w, which is borrowed. *out belongs to the caller: nst_activity_free(). NST_ERR_ARG
 * ($NST_BACKEND), NST_ERR_MEM. */
enum nst_status nst_activity_new(struct nst_activity **out, const struct nst_weights *w,
                                 struct nst_err *err);
void nst_activity_free(struct nst_activity *a); /* NULL is fine */
/* Count the picture rgb, 3 x h x w, sRGB, 0 to 1. NST_ERR_ARG (too small),
 * NST_ERR_MEM. */
enum nst_status nst_activity_add(struct nst_activity *a, const float *rgb, int h, int w,
                                 struct nst_err *err);
/* mean[i] becomes the mean of convolution i's values after the ReLU, over its channels
 * and a picture's pixels, and over the pictures counted. */
void nst_activity_mean(const struct nst_activity *a, double mean[NST_VGG_CONVS]);

/* Scale each convolution so that a mean of mean[i] becomes 1; one of 0 stays. */
void nst_weights_normalise(struct nst_weights *w, const double mean[NST_VGG_CONVS]);

#endif
