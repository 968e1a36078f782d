/* SPDX-License-Identifier: MIT */
/* video_kernels.c - compiled once per instruction set. */
#include "config.h"

#include "kernels/video_kernels.h"

#include <endian.h>
#include <stdint.h>

#include "kernels/nchw16c_isa.h"

#define KR NST_VIDEO_KR
#define KB NST_VIDEO_KB
#define KG NST_VIDEO_KG

/* NaN gives low. */
INLINE float clampf(float v, float low, float high)
{
    v = v > low ? v : low;
    return v < high ? v : high;
}

static void read_row(int n, const struct nst_video_samples *s,
                     const void *restrict from, float *restrict to)
{
    float scale = s->scale, shift = s->shift;
    const uint8_t *bytes = from;
    const uint16_t *words = from;

    if (s->wide) {
#pragma omp simd
        for (int i = 0; i < n; i++)
            to[i] = (float)le16toh(words[i]) * scale + shift;
    } else {
#pragma omp simd
        for (int i = 0; i < n; i++)
            to[i] = (float)bytes[i] * scale + shift;
    }
}

static void write_row(int n, const struct nst_video_samples *s,
                      const float *restrict from, void *restrict to)
{
    float scale = 1 / s->scale, shift = 0.5F - s->shift * scale, max = (float)s->max;
    uint8_t *bytes = to;
    uint16_t *words = to;

    if (s->wide) {
#pragma omp simd
        for (int i = 0; i < n; i++)
            words[i] = htole16((uint16_t)(int)clampf(from[i] * scale + shift, 0, max));
    } else {
#pragma omp simd
        for (int i = 0; i < n; i++)
            bytes[i] = (uint8_t)(int)clampf(from[i] * scale + shift, 0, max);
    }
}

static void blend(int n, float part, const float *restrict b, float *restrict a)
{
#pragma omp simd
    for (int i = 0; i < n; i++)
        a[i] += part * (b[i] - a[i]);
}

static void spread(int n, const float *restrict from, float *restrict to)
{
#pragma omp simd
    for (int i = 0; i < n; i++) {
        to[2 * i] = 0.75F * from[i] + 0.25F * from[i - 1];
        to[2 * i + 1] = 0.75F * from[i] + 0.25F * from[i + 1];
    }
}

static void halve(int n, float scale, const float *restrict from, float *restrict to)
{
#pragma omp simd
    for (int i = 0; i < n; i++)
        to[i] = scale * (from[2 * i] + from[2 * i + 1]);
}

static void add(int n, const float *restrict from, float *restrict to)
{
#pragma omp simd
    for (int i = 0; i < n; i++)
        to[i] += from[i];
}

static void grey(int n, const float *restrict luma, float *restrict r, long plane)
{
    float *g = r + plane, *b = g + plane;

#pragma omp simd
    for (int i = 0; i < n; i++)
        r[i] = g[i] = b[i] = clampf(luma[i], 0, 1);
}

static void to_rgb(int n, const float *restrict luma, const float *restrict blue,
                   const float *restrict red, float *restrict r, long plane)
{
    float *g = r + plane, *b = g + plane;

    if (!blue) {
        grey(n, luma, r, plane);
        return;
    }
#pragma omp simd
    for (int i = 0; i < n; i++) {
        r[i] = clampf(luma[i] + red[i], 0, 1);
        g[i] = clampf(luma[i] - (KR / KG * red[i] + KB / KG * blue[i]), 0, 1);
        b[i] = clampf(luma[i] + blue[i], 0, 1);
    }
}

static void from_rgb(int n, const float *restrict r, long plane, float *restrict luma,
                     float *restrict blue, float *restrict red)
{
    const float *g = r + plane, *b = g + plane;

#pragma omp simd
    for (int i = 0; i < n; i++) {
        luma[i] = KR * r[i] + KG * g[i] + KB * b[i];
        blue[i] = b[i] - luma[i];
        red[i] = r[i] - luma[i];
    }
}

extern const struct nst_video_kernels ISA(video_kernels);
const struct nst_video_kernels ISA(video_kernels) = {
    .read = read_row,
    .write = write_row,
    .blend = blend,
    .spread = spread,
    .halve = halve,
    .add = add,
    .to_rgb = to_rgb,
    .from_rgb = from_rgb,
};
