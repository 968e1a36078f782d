/* SPDX-License-Identifier: MIT */
/*
 * warp.c - moves an image along a flow. A film moves its painted frames once per frame,
 * so the interpolation must keep detail and must not amplify any: it is Lagrange's
 * polynomial through six pixels per axis. Through two pixels (bilinear) the paint blurs
 * within a few frames. A Lanczos kernel amplifies some frequencies a little each time.
 */
#include "config.h"

#include <math.h>

#include "flow/flow.h"

#define TAPS 6
#define TAPS_BEFORE 2 /* of the pixel at or before the position */

struct warp {
    float *out;
    const float *rgb, *flow;
    int height, width;
};

/* Pixels of an axis, and their weights. */
struct taps {
    size_t at[TAPS];
    float weight[TAPS];
};

/* Lagrange's polynomials at position, which is clamped to 0..side - 1. Pixels outside
 * are the nearest one. */
static void find_taps(struct taps *t, float position, int side, size_t stride)
{
    float p = fminf(fmaxf(position, 0), (float)(side - 1));
    int whole = (int)p;
    /* from the tap before the position, and the product of all others */
    float d = p - (float)whole;
    float a = d + 2, b = d + 1, c = d, e = d - 1, f = d - 2, g = d - 3;

    t->weight[0] = b * c * e * f * g / -120;
    t->weight[1] = a * c * e * f * g / 24;
    t->weight[2] = a * b * e * f * g / -12;
    t->weight[3] = a * b * c * f * g / 12;
    t->weight[4] = a * b * c * e * g / -24;
    t->weight[5] = a * b * c * e * f / 120;
    for (int i = 0; i < TAPS; i++) {
        int at = whole + i - TAPS_BEFORE;

        t->at[i] = (size_t)(at < 0 ? 0 : at > side - 1 ? side - 1 : at) * stride;
    }
}

static float sample(const float *plane, const struct taps *x, const struct taps *y)
{
    float sum = 0;

    for (int j = 0; j < TAPS; j++) {
        const float *row = plane + y->at[j];
        float line = 0;

        for (int i = 0; i < TAPS; i++)
            line += x->weight[i] * row[x->at[i]];
        sum += y->weight[j] * line;
    }
    return sum;
}

static void warp_row(void *ctx, int y, int thread)
{
    const struct warp *w = ctx;
    size_t n = nst_area(w->height, w->width);
    size_t i = (size_t)y * (size_t)w->width;

    (void)thread;
    for (int x = 0; x < w->width; x++, i++) {
        struct taps across, down;

        find_taps(&across, (float)x + w->flow[i], w->width, 1);
        find_taps(&down, (float)y + w->flow[n + i], w->height, (size_t)w->width);
        for (size_t k = 0; k < 3; k++)
            w->out[k * n + i] = sample(w->rgb + k * n, &across, &down);
    }
}

void nst_flow_warp(float *out, struct nst_image image, const float *flow,
                   struct nst_threads *threads)
{
    nst_threads_run(threads, image.height, warp_row,
                    &(struct warp){out, image.rgb, flow, image.height, image.width});
}
