/* SPDX-License-Identifier: MIT */
/*
 * colour_transfer.h - colour transfer between content and style (Gatys et al. 2016,
 * "Preserving Color in Neural Artistic Style Transfer"). Pictures are planar sRGB, 0 to
 * 1, with n pixels per plane.
 */
#ifndef NST_STYLE_COLOUR_TRANSFER_H
#define NST_STYLE_COLOUR_TRANSFER_H

#include <stddef.h>

/* Keep the luma of rgb (Rec. 601) and take the chrominance from content. The result is
 * clamped to 0..1. */
void nst_colour_transfer_luma(float *rgb, const float *content, size_t n);

/* Match the mean and covariance of the style's colours to those of the content with the
 * symmetric square roots of both covariances (section 5.1 there, after Hertzmann et al.
 * 2001), which treat the three channels alike. The result is clamped to 0..1. A grey
 * picture, whose covariance is singular, gains no colour from rounding noise. */
void nst_colour_transfer_match(float *style, size_t style_n, const float *content,
                               size_t content_n);

#endif
