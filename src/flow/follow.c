/* SPDX-License-Identifier: MIT */
/* follow.c - masks of where a flow can be trusted. */
#include "config.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "flow/flow.h"
#include "kernels/flow_kernels.h"

/* Of Sundaram et al.: a flow and the one back may differ by this share of their squared
 * lengths, and by so many squared pixels. */
#define CONSISTENCY_SHARE 0.01F
#define CONSISTENCY_PIXELS 0.5F
/* The same for the squared gradient of the flow. */
#define BOUNDARY_SHARE 0.01F
#define BOUNDARY_PIXELS 0.002F

static int clamp(int value, int most)
{
    return value < 0 ? 0 : value > most ? most : value;
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
    const struct nst_flow_kernels *k = nst_flow_kernels_choose();
    size_t n = nst_area(height, width);
    float *end = nst_xcalloc(2 * (size_t)width, sizeof *end); /* back, at the ends */

    for (int y = 0; y < height; y++) {
        const float *u = flow + nst_area(y, width), *v = u + n;

        k->sample(end, back, height, width, y, u, v);
        k->sample(end + width, back + n, height, width, y, u, v);
        for (int x = 0; x < width; x++) {
            float px = (float)x + u[x], py = (float)y + v[x];
            float bu = end[x], bv = end[width + x];
            float lengths = u[x] * u[x] + v[x] * v[x] + bu * bu + bv * bv;
            float sum = (u[x] + bu) * (u[x] + bu) + (v[x] + bv) * (v[x] + bv);
            bool inside = px >= 0 && py >= 0 && px <= (float)(width - 1) &&
                          py <= (float)(height - 1);

            mask[nst_area(y, width) + (size_t)x] =
                inside && sum <= CONSISTENCY_SHARE * lengths + CONSISTENCY_PIXELS;
        }
    }
    free(end);
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
