/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/variation.h"

#include <stddef.h>

struct rows {
    const float *rgb;
    float *grad, scale;
    int h, w;
    double *sums;
};

/* One row of one channel: its own differences, and the gradient to its pixels, in which
 * the differences of the row above have a part. */
static void do_row(void *ctx, int item, int thread)
{
    const struct rows *r = ctx;
    const float *x = r->rgb + (size_t)item * r->w;
    const float *above = item % r->h > 0 ? x - r->w : x;
    const float *below = item % r->h < r->h - 1 ? x + r->w : x;
    float *g = r->grad ? r->grad + (size_t)item * r->w : NULL;
    double sum = 0;

    (void)thread;
    for (int i = 0; i < r->w; i++) {
        float right = i < r->w - 1 ? x[i + 1] - x[i] : 0, down = below[i] - x[i];
        float left = i > 0 ? x[i] - x[i - 1] : 0, up = x[i] - above[i];

        sum += (double)right * right + (double)down * down;
        if (g)
            g[i] += r->scale * (left - right + up - down);
    }
    r->sums[item] = sum;
}

double nst_variation(const float *rgb, int h, int w, double weight, float *grad,
                     double *sums, struct nst_threads *threads)
{
    double n = 3.0 * h * w, total = 0;
    struct rows r = {rgb, grad, (float)(2 * weight / n), h, w, sums};

    nst_threads_run(threads, 3 * h, do_row, &r);
    for (int i = 0; i < 3 * h; i++)
        total += sums[i];
    return total / n;
}
