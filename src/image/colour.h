/* SPDX-License-Identifier: MIT */
/* colour.h - converts between the profile of a file and sRGB. */
#ifndef NST_IMAGE_COLOUR_H
#define NST_IMAGE_COLOUR_H

#include <stddef.h>

#include <vips/vips.h>

#include "image/source_info.h"

/* Classify the profile of in, which has colour bands only. */
enum nst_profile nst_colour_profile(VipsImage *in);

/*
 * Convert in (colour bands only) to one or three bands of gamma-encoded sRGB. Integers
 * that need no conversion pass unchanged; floats, and a profile's conversion, give
 * floats from 0 to 1. white is the sample value of white in in. Returns 0, or -1 with
 * libvips' error set. *out belongs to the caller.
 */
int nst_colour_to_srgb(VipsImage *in, enum nst_profile profile, double white,
                       VipsImage **out);

/* Convert n pixels in three planes of sRGB to the profile embedded in meta, in place.
 * Returns 0, or -1 if that is impossible. */
int nst_colour_from_srgb(float *rgb, size_t n, VipsImage *meta);

/* Move the first useful line of libvips' error to text, and return text. */
const char *nst_vips_error(char *text, size_t size);

#endif
