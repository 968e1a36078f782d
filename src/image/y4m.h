/* SPDX-License-Identifier: MIT */
/*
 * y4m.h - YUV4MPEG2 streams, the uncompressed video that programs pipe to each other
 * (yuv4mpeg(5) of mjpegtools): a line that says what follows, then frames.
 *
 * Taken are progressive frames in 4:2:0, 4:2:2, 4:1:1, 4:4:4 and grey, of 8 to 16 bits.
 * Colours are BT.601's, as the format says, in the limited range unless the stream has
 * XCOLORRANGE=FULL. What is not understood of the line is passed on.
 */
#ifndef NST_IMAGE_Y4M_H
#define NST_IMAGE_Y4M_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define NST_Y4M_LINE 1024 /* the longest header that is taken */

struct nst_y4m {
    int width, height;
    int subsample_x, subsample_y; /* pixels to a chroma sample; 0: grey */
    int bits;  /* of a sample; above 8 it takes two bytes, the lower one first */
    bool full; /* range */
    char extra_params[NST_Y4M_LINE]; /* all parameters but width and height, with a
                                space before each */
};

/* Read the header. label is how messages call the stream. NST_ERR_FORMAT, NST_ERR_IO.
 */
enum nst_status nst_y4m_read_header(struct nst_y4m *y, FILE *f, const char *label,
                                    struct nst_err *err);

/* The header of a stream like y, of frames of that size, with its line's end. Of size
 * bytes at to, at least NST_Y4M_LINE + 64. */
void nst_y4m_format_header(const struct nst_y4m *y, int width, int height, char *to,
                           size_t size);

/* Bytes of a frame of width x height, without the line before it. */
size_t nst_y4m_frame_bytes(const struct nst_y4m *y, int width, int height);

/*
 * Read the next frame to rgb (3 x height x width, sRGB, 0 to 1). *end is set where the
 * stream ends instead. NST_ERR_FORMAT (cut short, no frame), NST_ERR_IO, NST_ERR_MEM.
 */
enum nst_status nst_y4m_read_frame(const struct nst_y4m *y, FILE *f, const char *label,
                                   float *rgb, bool *end, struct nst_err *err);

/* A frame of width x height, as nst_y4m_frame_bytes() bytes at to. */
void nst_y4m_write_frame(const struct nst_y4m *y, const float *rgb, int width,
                         int height, unsigned char *to);

#endif
