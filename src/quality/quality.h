/* SPDX-License-Identifier: MIT */
/*
 * quality.h - metrics of how close a result is to the content image and the style
 * image. a and b have the same size.
 */
#ifndef NST_QUALITY_QUALITY_H
#define NST_QUALITY_QUALITY_H

#include "base/image.h"
#include "session/session.h"

/*
 * Structural similarity of the luma (Rec. 601): Wang, Bovik, Sheikh and Simoncelli
 * 2004, with their window (11 x 11, Gaussian with sigma 1.5) and constants; the mean
 * over all positions where the window fits. 1 for equal pictures. NST_ERR_FORMAT (a
 * side is shorter than 11 pixels), NST_ERR_MEM.
 */
enum nst_status nst_ssim(double *out, struct nst_image a, struct nst_image b,
                         struct nst_err *err);

/* Peak signal-to-noise ratio over all channels, in dB; infinite for equal pictures. */
double nst_psnr(struct nst_image a, struct nst_image b);

/* Intersection of the colour histograms of two pictures, with 8 bins per channel (Swain
 * and Ballard 1991): 0 for no common colour, 1 for equal histograms. */
double nst_histogram_intersection(struct nst_image a, struct nst_image b);

/*
 * Distance of the features of relu1_2, relu2_2, relu3_3 and relu4_3, scaled to length 1
 * at each pixel: squared differences are summed over channels, averaged over pixels and
 * summed over layers. Zhang et al. 2018 start from this measure; LPIPS adds learned
 * weights. NST_ERR_MEM, NST_ERR_FORMAT.
 */
enum nst_status nst_perceptual_distance(double *out, struct nst_session *s,
                                        struct nst_image a, struct nst_image b,
                                        struct nst_err *err);

/* Layers of the content distance; of the style and the perceptual distance. */
#define NST_QUALITY_CONTENT_LAYERS "relu3_4"
#define NST_QUALITY_STYLE_LAYERS "relu1_2,relu2_2,relu3_3,relu4_3"

/* Content and style loss of result at layers that no usual recipe uses. content has
 * the size of result; style has its own. NST_ERR_MEM, NST_ERR_FORMAT (a picture
 * is too small). */
enum nst_status nst_held_out_losses(double *content_loss, double *style_loss,
                                    struct nst_session *s, struct nst_image content,
                                    struct nst_image result, struct nst_image style,
                                    struct nst_err *err);

/* Not in nst.h. */

/* Amount of detail: mean length of the luma's gradient, in which a step from black to
 * white between neighbouring pixels counts 1. */
double nst_mean_gradient(struct nst_image image);

#endif
