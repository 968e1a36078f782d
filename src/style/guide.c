/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/guide.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Sizes of maps: each is half of the one before. */
#define LEVELS 5

struct level {
    int height, width;           /* of the whole picture's map */
    int tile_height, tile_width; /* of a tile's */
    float *whole;
    float *tile; /* NULL where the picture is the only tile */
    const float
        *there; /* of both the one that is looked at, among the backend's numbers */
};

struct nst_guide {
    const struct nst_vgg *v;
    int levels;
    struct level level[LEVELS];
};

/* What is looked at, on the host. */
static const float *shown(const struct level *l)
{
    return l->tile ? l->tile : l->whole;
}

static size_t shown_area(const struct level *l)
{
    return (size_t)l->tile_height * (size_t)l->tile_width;
}

static int levels_of(const struct nst_vgg *v)
{
    int n = 1;

    while (1 << n <= nst_vgg_alignment(v))
        n++;
    return n;
}

static void halve(const struct level *from, struct level *to)
{
    for (int i = 0; i < to->height; i++)
        for (int j = 0; j < to->width; j++) {
            const float *p = from->whole + (size_t)2 * i * from->width + 2 * j;

            to->whole[(size_t)i * to->width + j] =
                (p[0] + p[1] + p[from->width] + p[from->width + 1]) / 4;
        }
}

enum nst_status nst_guide_new(struct nst_guide **out, const struct nst_vgg *v,
                              const float *plane, const struct nst_tiling *t,
                              struct nst_err *err)
{
    struct nst_guide *g = nst_xcalloc(1, sizeof *g);
    enum nst_status st = NST_OK;

    *out = NULL;
    g->v = v;
    g->levels = levels_of(v);
    for (int i = 0; st == NST_OK && i < g->levels; i++) {
        struct level *l = &g->level[i];

        *l = (struct level){t->height >> i, t->width >> i, t->tile_height >> i,
                            t->tile_width >> i};
        st = nst_floats_new(&l->whole, 1, (size_t)l->height, (size_t)l->width, err);
        if (st == NST_OK && nst_tiling_count(t) > 1)
            st = nst_floats_new(&l->tile, 1, (size_t)l->tile_height,
                                (size_t)l->tile_width, err);
        if (st == NST_OK && i == 0)
            memcpy(l->whole, plane, (size_t)l->height * l->width * sizeof *plane);
        else if (st == NST_OK)
            halve(l - 1, l);
        if (st == NST_OK)
            st = nst_backend_show(nst_vgg_backend(v), shown(l), shown_area(l),
                                  &l->there, err);
    }
    if (st != NST_OK) {
        nst_guide_free(g);
        return st;
    }
    *out = g;
    return NST_OK;
}

void nst_guide_free(struct nst_guide *g)
{
    for (int i = 0; g && i < g->levels; i++) {
        nst_backend_unshow(nst_vgg_backend(g->v), shown(&g->level[i]),
                           g->level[i].there);
        free(g->level[i].whole);
        free(g->level[i].tile);
    }
    free(g);
}

size_t nst_guide_bytes(const struct nst_vgg *v, const struct nst_tiling *t)
{
    size_t n = 0;

    for (int i = 0; i < levels_of(v); i++) {
        n += (size_t)(t->height >> i) * (size_t)(t->width >> i);
        if (nst_tiling_count(t) > 1)
            n += (size_t)(t->tile_height >> i) * (size_t)(t->tile_width >> i);
    }
    return n * sizeof(float);
}

void nst_guide_turn(struct nst_guide *g, const struct nst_tile *tile)
{
    struct nst_backend *be = nst_vgg_backend(g->v);

    for (int i = 0; i < g->levels; i++) {
        struct level *l = &g->level[i];
        int top = tile->outer.top >> i, left = tile->outer.left >> i;

        for (int r = 0; l->tile && r < l->tile_height; r++)
            memcpy(l->tile + (size_t)r * l->tile_width,
                   l->whole + (size_t)(top + r) * l->width + left,
                   (size_t)l->tile_width * sizeof *l->tile);
        if (l->tile && l->there != l->tile)
            be->ops->put(be, (void *)l->there, l->tile,
                         shown_area(l) * sizeof *l->tile);
    }
}

static const struct level *level_of(const struct nst_guide *g, int conv)
{
    return &g->level[nst_vgg_halvings(g->v, conv)];
}

const float *nst_guide_at(const struct nst_guide *g, int conv)
{
    return level_of(g, conv)->there;
}

double nst_guide_sum(const struct nst_guide *g, int conv, struct nst_window w)
{
    const struct level *l = level_of(g, conv);
    const float *at = shown(l) + (size_t)w.top * l->tile_width + w.left;
    double sum = 0;

    for (int r = 0; r < w.height; r++, at += l->tile_width)
        for (int c = 0; c < w.width; c++)
            sum += at[c];
    return sum;
}
