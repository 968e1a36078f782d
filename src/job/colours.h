/* SPDX-License-Identifier: MIT */
/*
 * colours.h - whose colours a result has (Gatys et al. 2016, "Preserving Color in
 * Neural Artistic Style Transfer"). Pictures are planar sRGB, 0 to 1, of n pixels a
 * plane.
 */
#ifndef NST_JOB_COLOURS_H
#define NST_JOB_COLOURS_H

#include <stddef.h>

/* Give rgb the chrominance of content: of rgb itself the luma alone stays (Rec. 601),
 * but where the colour asked for would not fit the range. */
void nst_colours_keep(float *rgb, const float *content, size_t n);

/* Map the style's colours so that their mean and covariance become the content's, by
 * the Cholesky factors of both (section 5.1 there); clamped to the range. Matrices of
 * 3 x 3 are no work for LAPACK: the one that a system has may be OpenBLAS's, which
 * starts threads as soon as it is loaded and hangs where memory is limited. */
void nst_colours_match(float *style, size_t style_n, const float *content,
                       size_t content_n);

#endif
