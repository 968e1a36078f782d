/* SPDX-License-Identifier: MIT */
/* y4m_colour.h - the samples of a YUV4MPEG2 frame to and from RGB. */
#ifndef NST_IMAGE_Y4M_COLOUR_H
#define NST_IMAGE_Y4M_COLOUR_H

#include "image/y4m.h"

static inline int nst_y4m_div_ceil(int pixels, int by)
{
    return (pixels + by - 1) / by;
}

static inline size_t nst_y4m_sample_bytes(const struct nst_y4m *y)
{
    return y->bits > 8 ? 2 : 1;
}

/* Samples of one chroma plane. */
static inline size_t nst_y4m_chroma_samples(const struct nst_y4m *y, int width,
                                            int height)
{
    return y->subsample_x ? (size_t)nst_y4m_div_ceil(width, y->subsample_x) *
                                (size_t)nst_y4m_div_ceil(height, y->subsample_y)
                          : 0;
}

/* The planes of a frame at frame, aligned to 2 bytes, to rgb (3 x height x width, 0 to
 * 1). Chroma is bilinear between samples, which lie in the middle of the pixels that
 * they cover. */
void nst_y4m_to_rgb(const struct nst_y4m *y, const unsigned char *frame, float *rgb);

#endif
