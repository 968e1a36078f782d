/* SPDX-License-Identifier: MIT */
/*
 * colour_transfer.h - whose colours a result has (Gatys et al. 2016, "Preserving Color
 * in Neural Artistic Style Transfer"). Pictures are planar sRGB, 0 to 1, of n pixels a
 * plane.
 */
#ifndef NST_JOB_COLOUR_TRANSFER_H
#define NST_JOB_COLOUR_TRANSFER_H

#include <stddef.h>

/* Give rgb the chrominance of content: of rgb itself the luma alone stays (Rec. 601),
 * but where the colour asked for would not fit the range. */
void nst_colour_transfer_luma(float *rgb, const float *content, size_t n);

/* Map the style's colours so that their mean and covariance become the content's, by
 * the symmetric square roots of both (section 5.1 there, after Hertzmann et al. 2001),
 * which treat the three channels alike; clamped to the range. Of a grey picture, whose
 * covariance has no inverse, what is no colour stays none. */
void nst_colour_transfer_match(float *style, size_t style_n, const float *content,
                               size_t content_n);

#endif
