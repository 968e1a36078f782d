/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/y4m_colour.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/video_kernels.h"

/* Rows of floats of one frame, and how its samples stand for values. */
struct rows {
    const struct nst_video_kernels *kernels;
    const struct nst_y4m *y;
    int width, chroma_width;
    struct nst_video_samples luma_samples, chroma_samples[2]; /* blue, red */
    float *space;                                             /* owned */
    float *luma, *chroma[2]; /* of each pixel: luma; blue and red, minus luma */
    float *next[2];          /* the chroma of the next row */
    float *sample, *other;   /* rows of chroma samples, with one more on each side */
};

/* Values of a range of samples: zero is the sample of 0, range the samples from 0 to 1.
 */
static struct nst_video_samples samples_of(const struct nst_y4m *y, double zero,
                                           double range)
{
    return (struct nst_video_samples){.scale = (float)(1 / range),
                                      .shift = (float)(-zero / range),
                                      .max = (1 << y->bits) - 1,
                                      .wide = y->bits > 8};
}

static void set_samples(struct rows *r)
{
    const struct nst_y4m *y = r->y;
    double one = 1 << (y->bits - 8), max = (1 << y->bits) - 1;
    /* chroma: from -1/2 to 1/2 */
    double chroma = y->full ? max : 224 * one;

    r->luma_samples =
        y->full ? samples_of(y, 0, max) : samples_of(y, 16 * one, (235 - 16) * one);
    r->chroma_samples[0] =
        samples_of(y, 128 * one, chroma / (2 * (1 - (double)NST_VIDEO_KB)));
    r->chroma_samples[1] =
        samples_of(y, 128 * one, chroma / (2 * (1 - (double)NST_VIDEO_KR)));
}

static struct rows rows_new(const struct nst_y4m *y, int width)
{
    int by = y->subsample_x ? y->subsample_x : 1;
    struct rows r = {.kernels = nst_video_kernels_choose(),
                     .y = y,
                     .width = width,
                     .chroma_width = nst_y4m_div_ceil(width, by)};
    size_t n = (size_t)r.chroma_width * (size_t)by, m = (size_t)r.chroma_width + 2;

    set_samples(&r);
    r.space = nst_xcalloc(5 * n + 2 * m, sizeof *r.space);
    r.luma = r.space;
    for (int k = 0; k < 2; k++) {
        r.chroma[k] = r.luma + (size_t)(k + 1) * n;
        r.next[k] = r.luma + (size_t)(k + 3) * n;
    }
    r.sample = r.luma + 5 * n + 1;
    r.other = r.sample + m;
    return r;
}

/* The last row and the next one of n that row r reads, of chroma samples that stand for
 * by rows each, and the part of the next one. */
struct between {
    int first, second;
    float part;
};

static struct between between(int row, int by, int n)
{
    double at = (row + 0.5) / by - 0.5;
    struct between b;

    at = at < 0 ? 0 : at > n - 1 ? n - 1 : at;
    b.first = (int)at;
    b.second = b.first + 1 < n ? b.first + 1 : b.first;
    b.part = (float)(at - b.first);
    return b;
}

/* Chroma at the pixels of a row from that at its samples in r->sample. */
static void spread(const struct rows *r, float *to)
{
    float *from = r->sample;
    int n = r->chroma_width, by = r->y->subsample_x;

    from[-1] = from[0];
    from[n] = from[n - 1];
    if (by == 2)
        r->kernels->spread(n, from, to);
    for (int i = 0; by == 4 && i < 4 * n; i++) {
        float at = ((float)(i % 4) - 1.5F) / 4, side = at < 0 ? -at : at;

        to[i] = (1 - side) * from[i / 4] + side * from[i / 4 + (at < 0 ? -1 : 1)];
    }
    if (by == 1)
        memcpy(to, from, (size_t)n * sizeof *to);
}

static void read_chroma(const struct rows *r, const unsigned char *plane, int row,
                        const struct nst_video_samples *samples, float *to)
{
    const struct nst_y4m *y = r->y;
    size_t pitch = (size_t)r->chroma_width * nst_y4m_sample_bytes(y);
    struct between b =
        between(row, y->subsample_y, nst_y4m_div_ceil(y->height, y->subsample_y));

    r->kernels->read(r->chroma_width, samples, plane + (size_t)b.first * pitch,
                     r->sample);
    if (b.part > 0) {
        r->kernels->read(r->chroma_width, samples, plane + (size_t)b.second * pitch,
                         r->other);
        r->kernels->blend(r->chroma_width, b.part, r->other, r->sample);
    }
    spread(r, to);
}

void nst_y4m_to_rgb(const struct nst_y4m *y, const unsigned char *frame, float *rgb)
{
    size_t n = (size_t)y->width * (size_t)y->height, bytes = nst_y4m_sample_bytes(y);
    const unsigned char *plane = frame + n * bytes;
    size_t plane_bytes = nst_y4m_chroma_samples(y, y->width, y->height) * bytes;
    struct rows r = rows_new(y, y->width);

    for (int row = 0; row < y->height; row++) {
        size_t at = (size_t)row * (size_t)y->width;

        r.kernels->read(y->width, &r.luma_samples, frame + at * bytes, r.luma);
        for (int k = 0; y->subsample_x && k < 2; k++)
            read_chroma(&r, plane + (size_t)k * plane_bytes, row, &r.chroma_samples[k],
                        r.chroma[k]);
        r.kernels->to_rgb(y->width, r.luma, y->subsample_x ? r.chroma[0] : NULL,
                          r.chroma[1], rgb + at, (long)n);
    }
    free(r.space);
}

/* Means of groups of by values, of which the last may have fewer, times scale. */
static void average(const struct rows *r, const float *from, int by, float scale,
                    float *to)
{
    int whole = r->width / by;

    if (by == 2)
        r->kernels->halve(whole, scale / 2, from, to);
    for (int i = by == 2 ? whole : 0; i < r->chroma_width; i++) {
        int last = (i + 1) * by < r->width ? (i + 1) * by : r->width;
        float sum = 0;

        for (int j = i * by; j < last; j++)
            sum += from[j];
        to[i] = scale * sum / (float)(last - i * by);
    }
}

/* Rows first to last - 1 of a picture: their luma, and a row of each chroma. */
static void write_rows(const struct rows *r, struct nst_image image, int first,
                       int last, unsigned char *luma, unsigned char *const chroma[2])
{
    const struct nst_y4m *y = r->y;
    size_t width = (size_t)image.width, pitch = width * nst_y4m_sample_bytes(y);

    for (int row = first; row < last; row++) {
        bool add = row > first;
        float *const *to = add ? r->next : r->chroma;

        r->kernels->from_rgb(image.width, image.rgb + (size_t)row * width,
                             (long)nst_area(image.height, image.width), r->luma, to[0],
                             to[1]);
        r->kernels->write(image.width, &r->luma_samples, r->luma,
                          luma + (size_t)(row - first) * pitch);
        for (int k = 0; add && k < 2; k++)
            r->kernels->add(image.width, r->next[k], r->chroma[k]);
    }
    for (int k = 0; y->subsample_x && k < 2; k++) {
        average(r, r->chroma[k], y->subsample_x, 1 / (float)(last - first), r->sample);
        r->kernels->write(r->chroma_width, &r->chroma_samples[k], r->sample, chroma[k]);
    }
}

void nst_y4m_write_frame(const struct nst_y4m *y, struct nst_image image,
                         unsigned char *to)
{
    size_t bytes = nst_y4m_sample_bytes(y), width = (size_t)image.width;
    int by = y->subsample_x ? y->subsample_y : 1;
    struct rows r = rows_new(y, image.width);
    size_t plane = nst_y4m_chroma_samples(y, image.width, image.height) * bytes;
    unsigned char *blue = to + nst_area(image.height, image.width) * bytes;

    for (int row = 0; row * by < image.height; row++) {
        int last = (row + 1) * by < image.height ? (row + 1) * by : image.height;
        size_t at = (size_t)row * (size_t)r.chroma_width * bytes;
        unsigned char *const chroma[2] = {blue + at, blue + plane + at};

        write_rows(&r, image, row * by, last, to + (size_t)(row * by) * width * bytes,
                   chroma);
    }
    free(r.space);
}
