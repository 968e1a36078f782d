/* SPDX-License-Identifier: MIT */
/* pixels.h - resizes, pads and crops planes of pixels. */
#ifndef NST_IMAGE_PIXELS_H
#define NST_IMAGE_PIXELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/image.h"

/* Resample an image to 3 x h x w (Lanczos 3, smoothed when shrinking). *out belongs to
 * the caller: free(). NST_ERR_MEM. */
enum nst_status nst_pixels_resize(float **out, struct nst_image image, int h, int w,
                                  struct nst_err *err);

/* Pad count planes by border pixels on each side: mirrored at the edge without doubling
 * its pixels, or with the edge's pixels repeated. *out belongs to the caller: free().
 * NST_ERR_MEM. */
enum nst_status nst_pixels_pad(float **out, const float *planes, int count,
                               struct nst_size size, int border, bool mirror,
                               struct nst_err *err);

/* Not in nst.h. */

/* Undo nst_pixels_pad(), even after the planes have changed: move the inner pixels of
 * each plane to the beginning of planes. size: without the border. */
void nst_pixels_crop(float *planes, int count, struct nst_size size, int border);

/* Composite planes of n pixels over a grey background, 0 to 1. */
void nst_pixels_flatten(float *rgb, const float *alpha, size_t n, float background);

#endif
