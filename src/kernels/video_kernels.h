/* SPDX-License-Identifier: MIT */
/*
 * video_kernels.h - rows of samples of YUV video to and from floats, one table per
 * instruction set as in nchw16c.h. Blue and red are those colours minus the luma, of
 * BT.601 as RGB is. Rows do not overlap.
 */
#ifndef NST_KERNELS_VIDEO_KERNELS_H
#define NST_KERNELS_VIDEO_KERNELS_H

#include <stdbool.h>

/* BT.601: weights of red, blue and green in luma */
#define NST_VIDEO_KR 0.299F
#define NST_VIDEO_KB 0.114F
#define NST_VIDEO_KG 0.587F

/* How samples stand for values: value = scale sample + shift. */
struct nst_video_samples {
    float scale, shift;
    int max;   /* largest sample */
    bool wide; /* 16 bits, little-endian, at even addresses; else 8 bits */
};

struct nst_video_kernels {
    /* n samples to values. */
    void (*read)(int n, const struct nst_video_samples *s, const void *from, float *to);
    /* n values to the nearest samples; what is no number becomes 0. */
    void (*write)(int n, const struct nst_video_samples *s, const float *from,
                  void *to);
    /* a += part (b - a) */
    void (*blend)(int n, float part, const float *b, float *a);
    /* From n samples that stand for two pixels each to 2 n pixels: linear between the
     * samples, which lie between their pixels. Reads from[-1] and from[n], too. */
    void (*spread)(int n, const float *from, float *to);
    /* The reverse: to[i] = scale (from[2 i] + from[2 i + 1]) */
    void (*halve)(int n, float scale, const float *from, float *to);
    /* to += from */
    void (*add)(int n, const float *from, float *to);
    /* n pixels to 0..1 of planes that follow each other; in place of blue and red NULL
     * is grey. */
    void (*to_rgb)(int n, const float *luma, const float *blue, const float *red,
                   float *rgb, long plane);
    void (*from_rgb)(int n, const float *rgb, long plane, float *luma, float *blue,
                     float *red);
};

/* The table of the instruction set of nst_nchw16c_choose(); of base if it is unknown.
 */
const struct nst_video_kernels *nst_video_kernels_choose(void);

#endif
