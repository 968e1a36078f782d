/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/moment_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Added to each variance: a channel that is the same everywhere has a deviation that
 * can be derived, too. */
#define LEAST_VARIANCE 1e-6

enum nst_status nst_moment_loss_init(struct nst_moment_loss *l, int channels,
                                     struct nst_err *err)
{
    *l = (struct nst_moment_loss){.channels = channels};
    l->mean = calloc((size_t)channels, sizeof *l->mean);
    l->deviation = calloc((size_t)channels, sizeof *l->deviation);
    if (!l->mean || !l->deviation)
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %d doubles", channels);
    return nst_floats_new(&l->offset, (size_t)channels, 1, 1, err);
}

void nst_moment_loss_clear(struct nst_moment_loss *l)
{
    free(l->mean);
    free(l->deviation);
    free(l->offset);
    *l = (struct nst_moment_loss){.channels = 0};
}

static void moments(const struct nst_statistics *s, int c, double *mean,
                    double *deviation)
{
    double square = s->products[(size_t)c * s->channels + c] / s->pixels;
    double variance;

    *mean = s->sums[c] / s->pixels;
    variance = square - *mean * *mean;
    *deviation = sqrt((variance > 0 ? variance : 0) + LEAST_VARIANCE);
}

void nst_moment_loss_add_target(struct nst_moment_loss *l,
                                const struct nst_statistics *s, double share)
{
    for (int c = 0; s->pixels > 0 && c < l->channels; c++) {
        double mean, deviation;

        moments(s, c, &mean, &deviation);
        l->mean[c] += share * mean;
        l->deviation[c] += share * deviation;
    }
}

/* By F at one pixel, the mean has the derivative 1 / pixels, and the deviation (F -
 * mean) / (pixels deviation). */
double nst_moment_loss_finish(struct nst_moment_loss *l, const struct nst_statistics *s,
                              double weight, float *derivative)
{
    double sum = 0, factor = 2 * weight / (l->channels * s->pixels);

    memset(l->offset, 0, (size_t)l->channels * sizeof *l->offset);
    for (int c = 0; s->pixels > 0 && c < l->channels; c++) {
        double mean, deviation, by_mean, slope;

        moments(s, c, &mean, &deviation);
        by_mean = mean - l->mean[c];
        slope = (deviation - l->deviation[c]) / deviation;
        sum += by_mean * by_mean + slope * deviation * slope * deviation;
        l->offset[c] = (float)(factor * (by_mean - slope * mean));
        derivative[(size_t)c * l->channels + c] += (float)(factor * slope);
    }
    return sum / l->channels;
}
