/* SPDX-License-Identifier: MIT */
/* sums.c - Gram matrices and other sums over the pixels of a map. */
#include "config.h"

#include "backend/blas/blas.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Pixels that are summed in single precision, and rows of the matrix per product. */
#define GRAM_PIXELS 1024
#define GRAM_ROWS 64
#define MAX_GROUPS 8

static int groups_of(size_t area)
{
    size_t groups = (area + GRAM_PIXELS / 2 - 1) / (GRAM_PIXELS / 2);

    return groups < MAX_GROUPS ? (int)groups : MAX_GROUPS;
}

struct nst_blas_scratch nst_blas_gram_scratch(struct nst_shape s)
{
    size_t channels = (size_t)s.c;

    return (struct nst_blas_scratch){(GRAM_ROWS + 2 * GRAM_PIXELS) * channels,
                                     (size_t)groups_of(nst_shape_area(s)) * channels *
                                         channels};
}

struct gram_args {
    const struct nst_blas *blas;
    const struct nst_tensor *f;
    bool relu;
    struct nst_window window;
    const float *mask;
    int groups;
};

static double relu_if(double x, bool relu)
{
    return relu && !(x > 0) ? 0 : x;
}

/* Copy n pixels of the window to plain (C x n), and mask F to masked unless mask is
 * NULL. Pixels are counted row by row from the window's first. */
static void pack_pixels(const struct gram_args *g, size_t first, size_t n, float *plain,
                        float *masked)
{
    const struct nst_window *w = &g->window;
    size_t done, count;

    for (int c = 0; c < g->f->shape.c; c++, plain += n, masked += n)
        for (done = 0; done < n; done += count) {
            size_t row = (first + done) / w->width, column = (first + done) % w->width;
            const float *from =
                nst_blas_row(g->f, c, w->top + (int)row) + w->left + column;
            const float *mask =
                g->mask + (w->top + row) * g->f->shape.w + w->left + column;

            count = w->width - column < n - done ? w->width - column : n - done;
#pragma omp simd
            for (size_t i = 0; i < count; i++)
                plain[done + i] = g->relu && !(from[i] > 0) ? 0 : from[i];
            for (size_t i = 0; g->mask && i < count; i++)
                masked[done + i] = mask[i] * plain[done + i];
        }
}

/* Sums of one group of pixels, from the diagonal of each block of rows to the right. */
static void sum_group(void *ctx, int group, int thread)
{
    const struct gram_args *g = ctx;
    size_t area = (size_t)g->window.height * g->window.width, n, step = GRAM_ROWS;
    size_t channels = (size_t)g->f->shape.c, last = area * (group + 1) / g->groups;
    float *scratch = g->blas->scratch[thread];
    float *plain = scratch + step * channels, *masked = plain;
    double *sums = g->blas->sums + (size_t)group * channels * channels;

    memset(sums, 0, channels * channels * sizeof *sums);
    if (g->mask)
        masked += GRAM_PIXELS * channels;
    for (size_t p = area * group / g->groups; p < last; p += n) {
        n = last - p < GRAM_PIXELS ? last - p : GRAM_PIXELS;
        pack_pixels(g, p, n, plain, masked);
        for (size_t a = 0; a < channels; a += step) {
            size_t rows = channels - a < step ? channels - a : step;

            g->blas->sgemm(NST_ROW_MAJOR, NST_NO_TRANS, NST_TRANS, (int)rows,
                           (int)(channels - a), (int)n, 1, masked + a * n, (int)n,
                           plain + a * n, (int)n, 0, scratch, (int)(channels - a));
            for (size_t i = 0; i < rows; i++)
                for (size_t j = a; j < channels; j++)
                    sums[(a + i) * channels + j] += scratch[i * (channels - a) + j - a];
        }
    }
}

/* Each group is summed by one thread; single precision covers a run of its pixels. The
 * sums of the groups are added in order. */
static void gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                 struct nst_window w, const struct nst_buffer *mask, bool add,
                 struct nst_buffer *sums)
{
    const struct nst_blas *blas = (const struct nst_blas *)be;
    struct gram_args g = {blas,
                          f,
                          relu,
                          w,
                          nst_const_floats(mask),
                          groups_of((size_t)w.height * w.width)};
    size_t channels = (size_t)f->shape.c, entries = channels * channels;
    double *to = nst_doubles(sums);

    nst_blas_for(be, g.groups, sum_group, &g);
    for (size_t a = 0; a < channels; a++)
        for (size_t b = a; b < channels; b++) {
            double sum = add ? to[a * channels + b] : 0;

            for (int i = 0; i < g.groups; i++)
                sum += blas->sums[i * entries + a * channels + b];
            to[a * channels + b] = to[b * channels + a] = sum;
        }
}

/* A sum of each channel over a window. */
struct sum_args {
    const struct nst_tensor *f, *target;
    bool relu, add;
    struct nst_window window;
    const float *mask;
    double *sums;
};

static void sum_channel(void *ctx, int c, int thread)
{
    const struct sum_args *s = ctx;
    const struct nst_window *w = &s->window;
    double sum = 0;

    (void)thread;
    for (int r = w->top; r < w->top + w->height; r++) {
        const float *v = nst_blas_row(s->f, c, r) + w->left;
        const float *target =
            s->target ? nst_blas_row(s->target, c, r) + w->left : NULL;
        const float *mask =
            s->mask ? s->mask + (size_t)r * s->f->shape.w + w->left : NULL;

        for (int j = 0; j < w->width; j++) {
            double x = relu_if(v[j], s->relu);

            sum += target ? (x - target[j]) * (x - target[j]) : mask ? mask[j] * x : x;
        }
    }
    s->sums[c] = s->add ? s->sums[c] + sum : sum;
}

void nst_blas_layer_sums(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                         struct nst_window w, const struct nst_buffer *mask, bool add,
                         struct nst_layer_sums sums)
{
    struct sum_args s = {
        f, NULL, relu, add, w, nst_const_floats(mask), nst_doubles(sums.sums)};

    gram(be, f, relu, w, mask, add, sums.products);
    if (sums.sums)
        nst_blas_for(be, f->shape.c, sum_channel, &s);
}

/* Sums each channel, then adds the channels in order. */
void nst_blas_squared_error(struct nst_backend *be, const struct nst_tensor *f,
                            bool relu, const struct nst_tensor *t, struct nst_window w,
                            bool add, struct nst_scalar sum)
{
    struct sum_args s = {f, t, relu, .window = w,
                         .sums = nst_xcalloc((size_t)f->shape.c, sizeof(double))};
    double *to = nst_scalar_at(sum), total = 0;

    nst_blas_for(be, f->shape.c, sum_channel, &s);
    for (int c = 0; c < f->shape.c; c++)
        total += s.sums[c];
    free(s.sums);
    *to = add ? *to + total : total;
}
