/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/temporal_loss.h"

#include <stddef.h>

struct rows {
    const float *rgb;
    const struct nst_before *before;
    float *grad, scale;
    int h, w;
    double *sums;
};

static void do_row(void *ctx, int item, int thread)
{
    const struct rows *r = ctx;
    size_t at = (size_t)item * (size_t)r->w;
    const float *x = r->rgb + at, *y = r->before->rgb + at;
    const float *still = r->before->still + (size_t)(item % r->h) * (size_t)r->w;
    float *g = r->grad ? r->grad + at : NULL;
    double sum = 0;

    (void)thread;
    for (int i = 0; i < r->w; i++) {
        float pull = still[i] * (x[i] - y[i]);

        sum += (double)pull * (x[i] - y[i]);
        if (g)
            g[i] += r->scale * pull;
    }
    r->sums[item] = sum;
}

double nst_temporal_loss(const float *rgb, const struct nst_before *before, int h,
                         int w, double weight, float *grad, double *sums,
                         struct nst_threads *threads)
{
    double n = 3.0 * h * w, total = 0;
    struct rows r = {rgb, before, grad, (float)(2 * weight / n), h, w, sums};

    nst_threads_run(threads, 3 * h, do_row, &r);
    for (int i = 0; i < 3 * h; i++)
        total += sums[i];
    return total / n;
}
