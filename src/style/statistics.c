/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
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

/* The guide of a picture without its border; NULL if it has none. */
static enum nst_status inside(struct nst_guide **out, const struct nst_vgg *v,
                              const struct nst_tiling *t, int border,
                              struct nst_err *err)
{
    size_t pitch = (size_t)t->width;
    float *plane;
    enum nst_status st;

    *out = NULL;
    if (!border)
        return NST_OK;
    st = nst_floats_new(&plane, 1, (size_t)t->height, pitch, err);
    for (int y = border; st == NST_OK && y < t->height - border; y++)
        for (int x = border; x < t->width - border; x++)
            plane[(size_t)y * pitch + (size_t)x] = 1;
    if (st == NST_OK)
        st = nst_guide_new(out, v, plane, t, err);
    free(plane);
    return st;
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
    struct nst_guide *guide = NULL;
    enum nst_status st = nst_walk_init(&walk, v, tiling, keep, false, err);

    if (st == NST_OK)
        st = inside(&guide, v, &tiling, border, err);
    if (st == NST_OK)
        st = nst_backend_show(be, rgb, n, &there, err);
    for (int i = 0; i < count; i++)
        nst_statistics_begin(s[i]);
    for (int k = 0; st == NST_OK && k < nst_walk_count(&walk); k++) {
        nst_walk_forward(&walk, there, k);
        if (guide)
            nst_guide_turn(guide, &walk.tile);
        for (int i = 0; i < count; i++)
            nst_statistics_gather(s[i], walk.pass, walk.tile.inner, guide);
    }
    for (int i = 0; st == NST_OK && i < count; i++)
        nst_statistics_read(s[i]);
    if (st == NST_OK) /* what was read may be kept, or written */
        st = nst_backend_fault(be, err);
    nst_backend_unshow(be, rgb, there);
    nst_guide_free(guide);
    nst_walk_clear(&walk);
    return st;
}
