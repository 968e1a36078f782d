/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "flow/flow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/flow_internal.h"

#define MAX_SCALES 16
/* Frames with a shorter side from this on are matched at half their size. */
#define HALF_SIDE 320
/* Of the size that is matched: those of refine.c and two derivatives. */
#define REFINE_PLANES 20

/* Of Sundaram et al.: a flow and the one back may differ by this share of their squared
 * lengths, and by so many squared pixels. */
#define CONSISTENCY_SHARE 0.01F
#define CONSISTENCY_PIXELS 0.5F
/* The same for the squared gradient of the flow. */
#define BOUNDARY_SHARE 0.01F
#define BOUNDARY_PIXELS 0.002F

static void scale_free(struct flow_scale *s)
{
    nst_flow_plane_free(&s->from);
    nst_flow_plane_free(&s->to);
    nst_flow_plane_free(&s->dx);
    nst_flow_plane_free(&s->dy);
}

/* The scales of a pair of frames, from the full size on. Returns their number in
 * *count. */
static enum nst_status make_scales(struct flow_scale s[MAX_SCALES], int *count,
                                   struct nst_image from, struct nst_image to,
                                   struct nst_threads *threads, struct nst_err *err)
{
    enum nst_status status = nst_flow_plane_from_image(&s[0].from, from, threads, err);
    int n = 1;

    if (status == NST_OK)
        status = nst_flow_plane_from_image(&s[0].to, to, threads, err);
    for (; status == NST_OK && n < MAX_SCALES; n++) {
        const struct flow_scale *finer = &s[n - 1];

        if ((finer->from.height + 1) / 2 < FLOW_MIN_SIDE ||
            (finer->from.width + 1) / 2 < FLOW_MIN_SIDE)
            break;
        status = nst_flow_plane_halve(&s[n].from, &finer->from, threads, err);
        if (status == NST_OK)
            status = nst_flow_plane_halve(&s[n].to, &finer->to, threads, err);
    }
    for (int i = 0; status == NST_OK && i < n; i++)
        status = nst_flow_plane_derive(&s[i].dx, &s[i].dy, &s[i].from, threads, err);
    *count = n;
    return status;
}

static int clamp(int value, int most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

/* Twice the size and twice the displacements, interpolated. */
static void upsample(float *to, int height, int width, const float *from,
                     int from_height, int from_width)
{
    size_t n = nst_area(height, width), m = nst_area(from_height, from_width);

    for (int y = 0; y < height; y++) {
        float py = ((float)y - 0.5F) / 2, fy = py - floorf(py);
        size_t top = (size_t)clamp((int)floorf(py), from_height - 1);
        size_t bottom = (size_t)clamp((int)floorf(py) + 1, from_height - 1);

        for (int x = 0; x < width; x++) {
            float px = ((float)x - 0.5F) / 2, fx = px - floorf(px);
            size_t left = (size_t)clamp((int)floorf(px), from_width - 1);
            size_t right = (size_t)clamp((int)floorf(px) + 1, from_width - 1);
            size_t w = (size_t)from_width, i = (size_t)y * (size_t)width + (size_t)x;

            for (size_t k = 0; k < 2; k++) {
                const float *a = from + k * m;

                to[k * n + i] = 2 * ((1 - fy) * ((1 - fx) * a[top * w + left] +
                                                 fx * a[top * w + right]) +
                                     fy * ((1 - fx) * a[bottom * w + left] +
                                           fx * a[bottom * w + right]));
            }
        }
    }
}

bool nst_flow_is_possible(struct nst_image frame)
{
    return frame.height >= FLOW_MIN_SIDE && frame.width >= FLOW_MIN_SIDE;
}

/* The finest scale that is matched: 0 is the full size, 1 half of it. */
static int finest_scale(int height, int width)
{
    return height >= HALF_SIDE && width >= HALF_SIDE;
}

size_t nst_flow_bytes(int height, int width)
{
    int scale = finest_scale(height, width);
    size_t full = nst_area(height + 2 * FLOW_BORDER, width + 2 * FLOW_BORDER);
    size_t matched = nst_area((height >> scale) + 2 * FLOW_BORDER,
                              (width >> scale) + 2 * FLOW_BORDER);

    /* two frames and two derivatives, their smaller scales, and the coarser flow */
    return (6 * full + REFINE_PLANES * matched) * sizeof(float);
}

/* Replace a flow, which may be NULL, by one of the next finer scale. */
static enum nst_status finer_flow(float **flow, int height, int width, int from_height,
                                  int from_width, struct nst_err *err)
{
    float *coarser = *flow;
    enum nst_status status =
        nst_floats_new(flow, 2, (size_t)height, (size_t)width, err);

    if (status == NST_OK && coarser)
        upsample(*flow, height, width, coarser, from_height, from_width);
    free(coarser);
    return status;
}

enum nst_status nst_flow_estimate(float **out, struct nst_image from,
                                  struct nst_image to, struct nst_threads *threads,
                                  struct nst_err *err)
{
    int finest = finest_scale(from.height, from.width);
    struct flow_scale scales[MAX_SCALES] = {0};
    int count, height = 0, width = 0; /* of the flow */
    enum nst_status status = make_scales(scales, &count, from, to, threads, err);

    *out = NULL;
    for (int i = count - 1; status == NST_OK && i >= 0; i--) {
        const struct flow_scale *s = &scales[i];

        status = finer_flow(out, s->from.height, s->from.width, height, width, err);
        height = s->from.height;
        width = s->from.width;
        if (status == NST_OK && i >= finest)
            status = nst_flow_search(*out, s, threads, err);
        if (status == NST_OK && i >= finest)
            status = nst_flow_refine(*out, s, threads, err);
    }
    for (int i = 0; i < MAX_SCALES; i++)
        scale_free(&scales[i]);
    if (status != NST_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

/* The value of a plane at a position, interpolated; outside the nearest one. */
static float sample(const float *plane, int height, int width, float x, float y)
{
    float cx = fminf(fmaxf(x, 0), (float)(width - 1));
    float cy = fminf(fmaxf(y, 0), (float)(height - 1));
    int left = (int)cx, top = (int)cy;
    int right = clamp(left + 1, width - 1), bottom = clamp(top + 1, height - 1);
    float fx = cx - (float)left, fy = cy - (float)top;
    const float *a = plane + (size_t)top * (size_t)width;
    const float *b = plane + (size_t)bottom * (size_t)width;

    return (1 - fy) * ((1 - fx) * a[left] + fx * a[right]) +
           fy * ((1 - fx) * b[left] + fx * b[right]);
}

/* The squared gradient of one component of a flow. */
static float squared_gradient(const float *a, int height, int width, int y, int x)
{
    size_t row = (size_t)y * (size_t)width, w = (size_t)width;
    size_t left = (size_t)clamp(x - 1, width - 1),
           right = (size_t)clamp(x + 1, width - 1);
    size_t top = (size_t)clamp(y - 1, height - 1),
           bottom = (size_t)clamp(y + 1, height - 1);
    float dx = (a[row + right] - a[row + left]) / 2;
    float dy = (a[bottom * w + (size_t)x] - a[top * w + (size_t)x]) / 2;

    return dx * dx + dy * dy;
}

void nst_flow_visible(float *mask, const float *flow, const float *back, int height,
                      int width)
{
    size_t n = nst_area(height, width);
    const float *u = flow, *v = flow + n;

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            size_t i = (size_t)y * (size_t)width + (size_t)x;
            float px = (float)x + u[i], py = (float)y + v[i];
            float bu = sample(back, height, width, px, py);
            float bv = sample(back + n, height, width, px, py);
            float lengths = u[i] * u[i] + v[i] * v[i] + bu * bu + bv * bv;
            float sum = (u[i] + bu) * (u[i] + bu) + (v[i] + bv) * (v[i] + bv);
            bool inside = px >= 0 && py >= 0 && px <= (float)(width - 1) &&
                          py <= (float)(height - 1);

            mask[i] = inside && sum <= CONSISTENCY_SHARE * lengths + CONSISTENCY_PIXELS;
        }
}

void nst_flow_exclude_boundaries(float *mask, const float *flow, int height, int width)
{
    size_t n = nst_area(height, width);
    const float *u = flow, *v = flow + n;

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            size_t i = (size_t)y * (size_t)width + (size_t)x;
            float gradient = squared_gradient(u, height, width, y, x) +
                             squared_gradient(v, height, width, y, x);

            if (gradient >
                BOUNDARY_SHARE * (u[i] * u[i] + v[i] * v[i]) + BOUNDARY_PIXELS)
                mask[i] = 0;
        }
}
