/* SPDX-License-Identifier: MIT */
/*
 * quality.h - how near a result is to the photograph and to the painting. Pictures are
 * planar sRGB, 3 x h x w, 0 to 1.
 */
#ifndef NST_QUALITY_QUALITY_H
#define NST_QUALITY_QUALITY_H

#include "job/engine.h"

/*
 * Structural similarity of the luma (Rec. 601): Wang, Bovik, Sheikh and Simoncelli
 * 2004, with their window (11 x 11, Gaussian of 1.5) and constants, the mean over all
 * places where the window fits. 1 for equal pictures. Both sides are 11 pixels or more.
 * NST_ERR_MEM.
 */
enum nst_status nst_ssim(double *out, const float *a, const float *b, int h, int w,
                         struct nst_err *err);

/* Peak signal-to-noise ratio over all channels, in dB; infinite for equal pictures. */
double nst_psnr(const float *a, const float *b, int h, int w);

/* What two pictures' colour histograms, of 8 bins a channel, have in common (Swain and
 * Ballard 1991): 0 for no colour, 1 for all. */
double nst_histogram_intersection(const float *a, const float *b, int h, int w);

/*
 * Distance of what the network sees: of each of relu1_2, relu2_2, relu3_3 and relu4_3,
 * features scaled to length 1 at each pixel, the squared differences summed over
 * channels and meant over pixels; the sum over layers (the measure that Zhang et al.
 * 2018 start from; LPIPS has learned weights besides). NST_ERR_MEM, NST_ERR_ARG.
 */
enum nst_status nst_perceptual_distance(double *out, struct nst_engine *e,
                                        const float *a, const float *b, int h, int w,
                                        struct nst_err *err);

/* The layers of the content distance; of the style's and the perceptual one. */
#define NST_QUALITY_CONTENT_LAYERS "relu3_4"
#define NST_QUALITY_STYLE_LAYERS "relu1_2,relu2_2,relu3_3,relu4_3"

/*
 * Content and style loss of the result by layers that no usual recipe uses: the
 * photograph is of the result's size, the painting has its own.
 * NST_ERR_MEM, NST_ERR_ARG (a picture too small).
 */
enum nst_status nst_held_out_losses(double *content, double *style,
                                    struct nst_engine *e, const float *content_image,
                                    const float *result, int h, int w,
                                    const float *style_image, int style_h, int style_w,
                                    struct nst_err *err);

/* How much there is to see: the mean length of the luma's gradient, a step from black
 * to white from one pixel to the next being 1. */
double nst_mean_gradient(const float *rgb, int h, int w);

#endif
