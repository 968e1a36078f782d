/* SPDX-License-Identifier: MIT */
/*
 * y4m.h - YUV4MPEG2 streams, the uncompressed video that programs exchange through
 * pipes (yuv4mpeg(5) of mjpegtools): a header line, then frames.
 *
 * Supports progressive 4:2:0, 4:2:2, 4:1:1, 4:4:4 and grey frames of 8 to 16 bits.
 * Colours are BT.601, as the format specifies, in limited range unless the header has
 * XCOLORRANGE=FULL. Unknown parameters of the header are passed on.
 *
 * ffmpeg (5.1) writes frames of odd width and more than 8 bits with chroma rows that
 * lack their last byte. They are read, too, and written whole.
 */
#ifndef NST_IMAGE_Y4M_H
#define NST_IMAGE_Y4M_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "base/image.h"

#define NST_Y4M_LINE 1024 /* longest header, in bytes */

struct nst_y4m {
    int width, height;
    int subsample_x, subsample_y; /* pixels per chroma sample; 0: grey */
    int bits;   /* per sample; above 8, samples are 16-bit little-endian */
    bool full;  /* full range */
    bool begun; /* the word FRAME of the next frame has been read */
    /* All parameters except width and height, each after a space. */
    char extra_params[NST_Y4M_LINE];
};

/* Read the header. Messages begin with label. NST_ERR_FORMAT, NST_ERR_IO. */
enum nst_status nst_y4m_read_header(struct nst_y4m *y, FILE *f, const char *label,
                                    struct nst_err *err);

/* Format the header line of a stream like y with frames of width x height. size is at
 * least NST_Y4M_LINE + 64. */
void nst_y4m_format_header(const struct nst_y4m *y, int width, int height, char *to,
                           size_t size);

/* Bytes of a frame of width x height, without its FRAME line. */
size_t nst_y4m_frame_bytes(const struct nst_y4m *y, int width, int height);

/* Read the next frame into rgb (3 x height x width, sRGB, 0 to 1). *end is set if the
 * stream ends instead. NST_ERR_FORMAT (truncated, or not a frame), NST_ERR_IO,
 * NST_ERR_MEM. */
enum nst_status nst_y4m_read_frame(struct nst_y4m *y, FILE *f, const char *label,
                                   float *rgb, bool *end, struct nst_err *err);

/* Encode a frame to nst_y4m_frame_bytes() bytes at to, aligned to 2 bytes. */
void nst_y4m_write_frame(const struct nst_y4m *y, struct nst_image image,
                         unsigned char *to);

#endif
