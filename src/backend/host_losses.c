/* SPDX-License-Identifier: MIT */
/*
 * host_losses.c - losses on the CPU: the final steps after the sums over pixels, and
 * the pixel losses. Any thread may sum a row; the row sums are added in order.
 */
#include "config.h"

#include "backend/host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Parts of a matrix: few enough for the stack, and equal for any number of threads. */
#define GRAM_PARTS 16
/* Entries of a matrix that one thread computes sooner than it wakes another. */
#define GRAM_SERIAL 32768

struct gram_args {
    const double *gram, *style;
    double scale, factor;
    float *matrix;
    size_t entries;
    double sums[GRAM_PARTS];
};

/* Item: one part of the entries. Four sums, so that an addition need not wait for the
 * one before. */
static void gram_part(void *ctx, int item, int thread)
{
    struct gram_args *a = ctx;
    size_t i = a->entries * (size_t)item / GRAM_PARTS;
    size_t end = a->entries * (size_t)(item + 1) / GRAM_PARTS;
    double sum[4] = {0};

    (void)thread;
    for (; i + 4 <= end; i += 4)
        for (int k = 0; k < 4; k++) {
            double d = a->scale * a->gram[i + k] - a->style[i + k];

            sum[k] += d * d;
            a->matrix[i + k] = (float)(a->factor * d);
        }
    for (; i < end; i++) {
        double d = a->scale * a->gram[i] - a->style[i];

        sum[0] += d * d;
        a->matrix[i] = (float)(a->factor * d);
    }
    a->sums[item] = sum[0] + sum[1] + sum[2] + sum[3];
}

void nst_host_gram_loss(struct nst_backend *be, int channels,
                        const struct nst_buffer *products, double scale,
                        const struct nst_buffer *target, double factor,
                        struct nst_buffer *derivative, struct nst_scalar sum)
{
    struct gram_args a = {.gram = nst_const_doubles(products),
                          .style = nst_const_doubles(target),
                          .scale = scale,
                          .factor = factor,
                          .matrix = nst_floats(derivative),
                          .entries = (size_t)channels * (size_t)channels};
    double total = 0;

    if (a.entries > GRAM_SERIAL)
        nst_threads_run(be->threads, GRAM_PARTS, gram_part, &a);
    for (int i = 0; i < GRAM_PARTS; i++) {
        if (a.entries <= GRAM_SERIAL)
            gram_part(&a, i, 0);
        total += a.sums[i];
    }
    *nst_scalar_at(sum) = total;
}

void nst_channel_moments(double squares, double sum, double pixels, double *mean,
                         double *deviation)
{
    double square = squares / pixels, variance;

    *mean = sum / pixels;
    variance = square - *mean * *mean;
    *deviation = sqrt((variance > 0 ? variance : 0) + NST_VARIANCE_EPSILON);
}

size_t nst_host_matrix_bytes(const struct nst_backend *be, int channels)
{
    (void)be;
    return (size_t)channels * (size_t)channels * sizeof(float);
}

void nst_host_matrix_pack(struct nst_backend *be, int channels,
                          struct nst_buffer *derivative)
{
    (void)be, (void)channels, (void)derivative;
}

/* With respect to F at one pixel, d mean = 1 / pixels and d deviation = (F - mean) /
 * (pixels deviation). */
void nst_host_moment_loss(struct nst_backend *be, int channels,
                          const struct nst_layer_moments *m, double factor,
                          struct nst_buffer *derivative, struct nst_buffer *offset,
                          struct nst_scalar sum)
{
    const double *products = nst_const_doubles(m->products);
    const double *sums = nst_const_doubles(m->sums);
    const double *target = nst_const_doubles(m->target);
    float *matrix = nst_floats(derivative), *constant = nst_floats(offset);
    double total = 0;

    (void)be;
    for (int c = 0; c < channels; c++) {
        size_t diagonal = (size_t)c * (size_t)channels + (size_t)c;
        double mean, deviation, by_mean, slope;

        nst_channel_moments(products[diagonal], sums[c], m->pixels, &mean, &deviation);
        by_mean = mean - target[c];
        slope = (deviation - target[channels + c]) / deviation;
        total += by_mean * by_mean + slope * deviation * slope * deviation;
        constant[c] = (float)(factor * (by_mean - slope * mean));
        matrix[diagonal] += (float)(factor * slope);
    }
    *nst_scalar_at(sum) = total;
}

/* A pass over the rows of the three planes. */
struct plane_rows {
    const float *rgb, *previous, *static_mask;
    float *grad, scale;
    struct nst_image_size size;
    double *sums; /* one per row */
};

static void sum_rows(struct nst_backend *be, nst_work_fn *row, struct plane_rows *r,
                     struct nst_scalar sum)
{
    int count = 3 * r->size.height;
    double total = 0;

    r->sums = nst_xcalloc((size_t)count, sizeof *r->sums);
    nst_threads_run(be->threads, count, row, r);
    for (int i = 0; i < count; i++)
        total += r->sums[i];
    *nst_scalar_at(sum) = total;
    free(r->sums);
}

/* One row of one plane: its differences, and the gradient of its pixels, which includes
 * the differences to the row above. */
static void tv_loss_row(void *ctx, int item, int thread)
{
    const struct plane_rows *r = ctx;
    int h = r->size.height, w = r->size.width;
    const float *x = r->rgb + (size_t)item * (size_t)w;
    const float *above = item % h > 0 ? x - w : x;
    const float *below = item % h < h - 1 ? x + w : x;
    float *g = r->grad ? r->grad + (size_t)item * (size_t)w : NULL;
    double sum = 0;

    (void)thread;
    for (int i = 0; i < w; i++) {
        float right = i < w - 1 ? x[i + 1] - x[i] : 0, down = below[i] - x[i];
        float left = i > 0 ? x[i] - x[i - 1] : 0, up = x[i] - above[i];

        sum += (double)right * right + (double)down * down;
        if (g)
            g[i] += r->scale * (left - right + up - down);
    }
    r->sums[item] = sum;
}

void nst_host_tv_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                      struct nst_image_size size, float scale, struct nst_buffer *grad,
                      struct nst_scalar sum)
{
    struct plane_rows r = {.rgb = nst_const_floats(rgb),
                           .grad = nst_floats(grad),
                           .scale = scale,
                           .size = size};

    sum_rows(be, tv_loss_row, &r, sum);
}

static void temporal_loss_row(void *ctx, int item, int thread)
{
    const struct plane_rows *r = ctx;
    size_t w = (size_t)r->size.width, at = (size_t)item * w;
    const float *x = r->rgb + at, *y = r->previous + at;
    const float *static_mask = r->static_mask + (size_t)(item % r->size.height) * w;
    float *g = r->grad ? r->grad + at : NULL;
    double sum = 0;

    (void)thread;
    for (size_t i = 0; i < w; i++) {
        float weighted = static_mask[i] * (x[i] - y[i]);

        sum += (double)weighted * (x[i] - y[i]);
        if (g)
            g[i] += r->scale * weighted;
    }
    r->sums[item] = sum;
}

void nst_host_temporal_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                            struct nst_image_size size,
                            const struct nst_buffer *previous,
                            const struct nst_buffer *static_mask, float scale,
                            struct nst_buffer *grad, struct nst_scalar sum)
{
    struct plane_rows r = {.rgb = nst_const_floats(rgb),
                           .previous = nst_const_floats(previous),
                           .static_mask = nst_const_floats(static_mask),
                           .grad = nst_floats(grad),
                           .scale = scale,
                           .size = size};

    sum_rows(be, temporal_loss_row, &r, sum);
}
