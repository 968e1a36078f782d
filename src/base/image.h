/* SPDX-License-Identifier: MIT */
/* image.h - an RGB image in memory, as the network sees it. */
#ifndef NST_BASE_IMAGE_H
#define NST_BASE_IMAGE_H

#include <stddef.h>

/* In pixels. */
struct nst_size {
    int height, width;
};

/* Pixels are planar: 3 x height x width, sRGB, 0 to 1. Borrowed. */
struct nst_image {
    const float *rgb;
    int height, width;
};

static inline int nst_longest(int height, int width)
{
    return height > width ? height : width;
}

/* Number of pixels. */
static inline size_t nst_area(int height, int width)
{
    return (size_t)height * (size_t)width;
}

#endif
