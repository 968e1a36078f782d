/* SPDX-License-Identifier: MIT */
/* source_info.h - what a source has besides pixels: load.c keeps it, save.c restores
 * it. */
#ifndef NST_IMAGE_SOURCE_INFO_H
#define NST_IMAGE_SOURCE_INFO_H

#include <stdbool.h>

#include <vips/vips.h>

enum nst_profile {
    NST_PROFILE_NONE,  /* none, or a broken one: nothing is embedded */
    NST_PROFILE_SRGB,  /* equals sRGB: embedded again, no conversion */
    NST_PROFILE_RGB,   /* another RGB space: the result is converted back to it */
    NST_PROFILE_OTHER, /* CMYK or grey: the result is tagged as sRGB */
};

struct nst_source_info {
    VipsImage *meta; /* 1 x 1: metadata and resolution only */
    float *alpha;    /* height x width, 0 to 1, owned; NULL if opaque */
    /* 3 x height x width, owned: what the file's samples add to rgb in their profile,
     * which may be wider than sRGB; NULL if the profile is not NST_PROFILE_RGB */
    float *beyond;
    bool transparent; /* has alpha, but only the header was read */
    bool pam;         /* a PAM of a stream */
    int depth;        /* bits per sample: 8, or 16 for anything deeper */
    enum nst_profile profile;
};

#endif
