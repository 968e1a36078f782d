/* SPDX-License-Identifier: MIT */
/*
 * lpips.h - the learned perceptual distance of Zhang, Isola, Efros, Shechtman and Wang
 * 2018 (LPIPS, version 0.1), with the weights that its authors learned: the features of
 * a network, scaled to length 1 at each pixel, squared differences weighed by a linear
 * head for each of five layers, meant over pixels and summed.
 *
 * The weights are safetensors with torchvision's names (features.N.weight and .bias) of
 * an AlexNet or a VGG16, and the authors' (linN.model.1.weight) for the heads, in one
 * file or in two. Which of the two networks it is, the first convolution tells.
 */
#ifndef NST_QUALITY_LPIPS_H
#define NST_QUALITY_LPIPS_H

#include "job/engine.h"

/*
 * The distance, worked out on e's device, of a and b, 3 x h x w, sRGB, 0 to 1. heads
 * may be NULL: they are in the network's file. *name becomes "alex" or "vgg".
 * NST_ERR_IO, NST_ERR_FORMAT (messages begin with the path), NST_ERR_ARG (pictures too
 * small), NST_ERR_MEM.
 */
enum nst_status nst_lpips(double *out, const char **name, struct nst_engine *e,
                          const char *network, const char *heads, const float *a,
                          const float *b, int h, int w, struct nst_err *err);

#endif
