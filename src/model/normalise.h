/* SPDX-License-Identifier: MIT */
/*
 * normalise.h - networks brought to one scale: what a layer puts out, divided by its
 * mean over some pictures, so that one style weight means the same for any VGG19. ReLU
 * and pooling pass factors on, so the pictures made differ in nothing else.
 */
#ifndef NST_MODEL_NORMALISE_H
#define NST_MODEL_NORMALISE_H

#include "model/vgg.h"

/* mean[i] becomes the mean of convolution i's values after the ReLU, over the channels
 * and pixels of rgb (3 x h x w). NST_ERR_ARG (too small), NST_ERR_MEM. */
enum nst_status nst_activations(struct nst_vgg *v, const float *rgb, int h, int w,
                                double mean[NST_VGG_CONVS], struct nst_err *err);

/* Scale each convolution so that a mean of mean[i] becomes 1; one of 0 stays. */
void nst_weights_normalise(struct nst_weights *w, const double mean[NST_VGG_CONVS]);

#endif
