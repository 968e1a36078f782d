/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/colours.h"

#include <math.h>

/* Added to each channel's variance, so that grey pictures have factors too: about the
 * square of a step of 8 bits. */
#define LEAST_VARIANCE 1e-5

static float into_range(double v)
{
    return (float)(v > 0 ? v < 1 ? v : 1 : 0);
}

void nst_colours_keep(float *rgb, const float *content, size_t n)
{
    static const double share[3] = {0.299, 0.587, 0.114};

    for (size_t i = 0; i < n; i++) {
        double difference = 0;

        for (int k = 0; k < 3; k++)
            difference += share[k] * ((double)rgb[k * n + i] - content[k * n + i]);
        for (int k = 0; k < 3; k++)
            rgb[k * n + i] = into_range(content[k * n + i] + difference);
    }
}

struct statistics {
    double mean[3];
    double factor[3][3]; /* L, lower: covariance = L L' */
};

static void measure(const float *rgb, size_t n, struct statistics *s)
{
    double c[3][3] = {{0}};

    for (int k = 0; k < 3; k++) {
        s->mean[k] = 0;
        for (size_t i = 0; i < n; i++)
            s->mean[k] += rgb[k * n + i];
        s->mean[k] /= (double)n;
    }
    for (int k = 0; k < 3; k++)
        for (int l = 0; l <= k; l++) {
            for (size_t i = 0; i < n; i++)
                c[k][l] +=
                    (rgb[k * n + i] - s->mean[k]) * (rgb[l * n + i] - s->mean[l]);
            c[k][l] = c[k][l] / (double)n + (k == l ? LEAST_VARIANCE : 0);
            for (int m = 0; m < l; m++)
                c[k][l] -= s->factor[k][m] * s->factor[l][m];
            s->factor[k][l] = k == l ? sqrt(c[k][k]) : c[k][l] / s->factor[l][l];
        }
}

void nst_colours_match(float *style, size_t style_n, const float *content,
                       size_t content_n)
{
    struct statistics from, to;

    measure(style, style_n, &from);
    measure(content, content_n, &to);
    for (size_t i = 0; i < style_n; i++) {
        double z[3]; /* solves from.factor z = pixel - mean */

        for (int k = 0; k < 3; k++) {
            z[k] = style[k * style_n + i] - from.mean[k];
            for (int l = 0; l < k; l++)
                z[k] -= from.factor[k][l] * z[l];
            z[k] /= from.factor[k][k];
        }
        for (int k = 0; k < 3; k++) {
            double v = to.mean[k];

            for (int l = 0; l <= k; l++)
                v += to.factor[k][l] * z[l];
            style[k * style_n + i] = into_range(v);
        }
    }
}
