/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "style/walk.h"

static size_t entries(const struct nst_statistics *s)
{
    return (size_t)s->channels * (size_t)s->channels;
}

enum nst_status nst_statistics_init(struct nst_statistics *s, struct nst_tap tap,
                                    int channels, bool with_sums, struct nst_err *err)
{
    *s = (struct nst_statistics){.tap = tap, .channels = channels};
    s->products = calloc(entries(s), sizeof *s->products);
    if (with_sums)
        s->sums = calloc((size_t)channels, sizeof *s->sums);
    if (!s->products || (with_sums && !s->sums))
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %zu doubles", entries(s));
    return NST_OK;
}

void nst_statistics_clear(struct nst_statistics *s)
{
    free(s->products);
    free(s->sums);
    *s = (struct nst_statistics){.channels = 0};
}

void nst_statistics_copy(struct nst_statistics *to, const struct nst_statistics *from)
{
    to->pixels = from->pixels;
    to->area = from->area;
    memcpy(to->products, from->products, entries(to) * sizeof *to->products);
    if (to->sums)
        memcpy(to->sums, from->sums, (size_t)to->channels * sizeof *to->sums);
}

void nst_statistics_begin(struct nst_statistics *s)
{
    s->pixels = 0;
    s->area = 0;
    memset(s->products, 0, entries(s) * sizeof *s->products);
    if (s->sums)
        memset(s->sums, 0, (size_t)s->channels * sizeof *s->sums);
}

static double count(const float *guide, int map_width, struct nst_window w)
{
    double sum = 0;

    if (!guide)
        return (double)w.height * w.width;
    for (int r = 0; r < w.height; r++)
        for (int c = 0; c < w.width; c++)
            sum += guide[(size_t)(w.top + r) * map_width + w.left + c];
    return sum;
}

void nst_statistics_gather(struct nst_statistics *s, const struct nst_pass *pass,
                           struct nst_window window, const float *guide)
{
    struct nst_backend *be = nst_pass_backend(pass);
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &s->tap, &relu);

    window = nst_pass_window(pass, s->tap.conv, window);
    s->area += (double)window.height * window.width;
    s->pixels += count(guide, f->shape.w, window);
    be->ops->gram(be, f, relu, window, guide, s->products);
    if (s->sums)
        be->ops->channel_sums(be, f, relu, window, guide, s->sums);
}

enum nst_status nst_statistics_measure(struct nst_statistics *const s[], int count,
                                       struct nst_vgg *v, struct nst_tiling tiling,
                                       const float *rgb, const bool keep[NST_VGG_CONVS],
                                       struct nst_err *err)
{
    struct nst_walk walk;
    enum nst_status st = nst_walk_init(&walk, v, tiling, keep, false, err);

    for (int i = 0; i < count; i++)
        nst_statistics_begin(s[i]);
    for (int k = 0; st == NST_OK && k < nst_walk_count(&walk); k++) {
        nst_walk_forward(&walk, rgb, k);
        for (int i = 0; i < count; i++)
            nst_statistics_gather(s[i], walk.pass, walk.tile.inner, NULL);
    }
    nst_walk_clear(&walk);
    return st;
}
