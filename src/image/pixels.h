/* SPDX-License-Identifier: MIT */
/* pixels.h - resizes images, and composites them over a background. */
#ifndef NST_IMAGE_PIXELS_H
#define NST_IMAGE_PIXELS_H

#include <stddef.h>

#include "base/err.h"
#include "base/image.h"

/* Resample an image to 3 x h x w (Lanczos 3, smoothed when shrinking). *out belongs to
 * the caller: free(). NST_ERR_MEM. */
enum nst_status nst_pixels_resize(float **out, struct nst_image image, int h, int w,
                                  struct nst_err *err);

/* Not in nst.h. */

/* Composite planes of n pixels over a grey background, 0 to 1. */
void nst_pixels_flatten(float *rgb, const float *alpha, size_t n, float background);

#endif
