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

/* Where sums are made, and where they are read: on a CPU one. */
static enum nst_status new_sums(struct nst_statistics *s, size_t n, double **here,
                                double **gathered, struct nst_err *err)
{
    void *there = NULL;
    enum nst_status st = NST_OK;

    *here = calloc(n, sizeof **here);
    if (!*here)
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %zu doubles", n);
    if (s->be && s->be->memory)
        st = s->be->ops->numbers_new(s->be, &there, n * sizeof **here, err);
    *gathered = s->be && s->be->memory ? there : *here;
    return st;
}

enum nst_status nst_statistics_init(struct nst_statistics *s, struct nst_backend *be,
                                    struct nst_tap tap, int channels, bool with_sums,
                                    struct nst_err *err)
{
    enum nst_status st;

    *s = (struct nst_statistics){.tap = tap, .channels = channels, .be = be};
    st = new_sums(s, entries(s), &s->products, &s->gathered.products, err);
    if (st == NST_OK && with_sums)
        st = new_sums(s, (size_t)channels, &s->sums, &s->gathered.sums, err);
    return st;
}

static void free_sums(const struct nst_statistics *s, double *here, double *gathered)
{
    if (gathered != here)
        s->be->ops->numbers_free(s->be, gathered);
    free(here);
}

void nst_statistics_clear(struct nst_statistics *s)
{
    free_sums(s, s->products, s->gathered.products);
    free_sums(s, s->sums, s->gathered.sums);
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
}

void nst_statistics_gather(struct nst_statistics *s, const struct nst_pass *pass,
                           struct nst_window window, const struct nst_guide *guide)
{
    struct nst_backend *be = nst_pass_backend(pass);
    const float *counts = guide ? nst_guide_at(guide, s->tap.conv) : NULL;
    bool relu, add = s->area > 0;
    const struct nst_tensor *f = nst_pass_map(pass, &s->tap, &relu);
    double area;

    window = nst_pass_window(pass, s->tap.conv, window);
    area = (double)window.height * window.width;
    s->area += area;
    s->pixels += guide ? nst_guide_sum(guide, s->tap.conv, window) : area;
    be->ops->gram(be, f, relu, window, counts, add, s->gathered.products);
    if (s->sums)
        be->ops->channel_sums(be, f, relu, window, counts, add, s->gathered.sums);
}

void nst_statistics_read(struct nst_statistics *s)
{
    const struct nst_backend_ops *ops = s->be->ops;

    ops->get(s->be, s->products, s->gathered.products,
             entries(s) * sizeof *s->products);
    if (s->sums)
        ops->get(s->be, s->sums, s->gathered.sums,
                 (size_t)s->channels * sizeof *s->sums);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* What a tile's interior has of the picture without its border; empty if nothing. */
static struct nst_window inside(const struct nst_tiling *t, const struct nst_tile *tile,
                                int border)
{
    struct nst_window w = tile->inner;
    int top = tile->outer.top + w.top, left = tile->outer.left + w.left;
    int cut_top = larger(border - top, 0), cut_left = larger(border - left, 0);
    int cut_bottom = larger(top + w.height - (t->height - border), 0);
    int cut_right = larger(left + w.width - (t->width - border), 0);

    w.top += cut_top;
    w.left += cut_left;
    w.height = larger(w.height - cut_top - cut_bottom, 0);
    w.width = larger(w.width - cut_left - cut_right, 0);
    return w;
}

enum nst_status nst_statistics_measure(struct nst_statistics *const s[], int count,
                                       struct nst_vgg *v, struct nst_tiling tiling,
                                       int border, const float *rgb,
                                       const bool keep[NST_VGG_CONVS],
                                       struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(v);
    size_t n = 3 * (size_t)tiling.height * (size_t)tiling.width;
    struct nst_walk walk;
    const float *there = rgb;
    enum nst_status st = nst_walk_init(&walk, v, tiling, keep, false, err);

    if (st == NST_OK)
        st = nst_backend_show(be, rgb, n, &there, err);
    for (int i = 0; i < count; i++)
        nst_statistics_begin(s[i]);
    for (int k = 0; st == NST_OK && k < nst_walk_count(&walk); k++) {
        struct nst_tile tile = nst_tiling_tile(&tiling, k);
        struct nst_window window = inside(&tiling, &tile, border);

        if (window.height == 0 || window.width == 0)
            continue;
        nst_walk_forward(&walk, there, k);
        for (int i = 0; i < count; i++)
            nst_statistics_gather(s[i], walk.pass, window, NULL);
    }
    for (int i = 0; st == NST_OK && i < count; i++)
        nst_statistics_read(s[i]);
    if (st == NST_OK) /* what was read may be kept, or written */
        st = nst_backend_fault(be, err);
    nst_backend_unshow(be, rgb, there);
    nst_walk_clear(&walk);
    return st;
}
