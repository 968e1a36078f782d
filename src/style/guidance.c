/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/guidance.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Number of map sizes; each is half of the one before. */
#define LEVELS 5

struct level {
    int height, width;           /* of the whole picture's map */
    int tile_height, tile_width; /* of a tile's map */
    float *whole;
    float *tile;                     /* NULL if the picture is the only tile */
    const struct nst_buffer *device; /* current() on the backend */
};

struct nst_guidance {
    const struct nst_vgg *v;
    int levels;
    struct level level[LEVELS];
};

/* The mask in use, on the host. */
static const float *current(const struct level *l)
{
    return l->tile ? l->tile : l->whole;
}

static size_t current_area(const struct level *l)
{
    return (size_t)l->tile_height * (size_t)l->tile_width;
}

static int level_count(const struct nst_vgg *v)
{
    int n = 1;

    while (1 << n <= nst_vgg_stride(v))
        n++;
    return n;
}

static void average_pool(const struct level *from, struct level *to)
{
    for (int i = 0; i < to->height; i++)
        for (int j = 0; j < to->width; j++) {
            const float *p = from->whole + (size_t)2 * i * from->width + 2 * j;

            to->whole[(size_t)i * to->width + j] =
                (p[0] + p[1] + p[from->width] + p[from->width + 1]) / 4;
        }
}

enum nst_status nst_guidance_new(struct nst_guidance **out, const struct nst_vgg *v,
                                 const float *mask, const struct nst_tiling *t,
                                 struct nst_err *err)
{
    struct nst_guidance *g = nst_xcalloc(1, sizeof *g);
    enum nst_status st = NST_OK;

    *out = NULL;
    g->v = v;
    g->levels = level_count(v);
    for (int i = 0; st == NST_OK && i < g->levels; i++) {
        struct level *l = &g->level[i];

        *l = (struct level){t->height >> i, t->width >> i, t->tile_height >> i,
                            t->tile_width >> i};
        st = nst_floats_new(&l->whole, 1, (size_t)l->height, (size_t)l->width, err);
        if (st == NST_OK && nst_tiling_count(t) > 1)
            st = nst_floats_new(&l->tile, 1, (size_t)l->tile_height,
                                (size_t)l->tile_width, err);
        if (st == NST_OK && i == 0)
            memcpy(l->whole, mask, (size_t)l->height * l->width * sizeof *mask);
        else if (st == NST_OK)
            average_pool(l - 1, l);
        if (st == NST_OK)
            st = nst_backend_to_device(nst_vgg_backend(v), current(l), current_area(l),
                                       &l->device, err);
    }
    if (st != NST_OK) {
        nst_guidance_free(g);
        return st;
    }
    *out = g;
    return NST_OK;
}

void nst_guidance_free(struct nst_guidance *g)
{
    for (int i = 0; g && i < g->levels; i++) {
        nst_backend_release(nst_vgg_backend(g->v), g->level[i].device);
        free(g->level[i].whole);
        free(g->level[i].tile);
    }
    free(g);
}

size_t nst_guidance_bytes(const struct nst_vgg *v, const struct nst_tiling *t)
{
    size_t n = 0;

    for (int i = 0; i < level_count(v); i++) {
        n += (size_t)(t->height >> i) * (size_t)(t->width >> i);
        if (nst_tiling_count(t) > 1)
            n += (size_t)(t->tile_height >> i) * (size_t)(t->tile_width >> i);
    }
    return n * sizeof(float);
}

void nst_guidance_set_tile(struct nst_guidance *g, const struct nst_tile *tile)
{
    struct nst_backend *be = nst_vgg_backend(g->v);

    for (int i = 0; i < g->levels; i++) {
        struct level *l = &g->level[i];
        int top = tile->outer.top >> i, left = tile->outer.left >> i;

        for (int r = 0; l->tile && r < l->tile_height; r++)
            memcpy(l->tile + (size_t)r * l->tile_width,
                   l->whole + (size_t)(top + r) * l->width + left,
                   (size_t)l->tile_width * sizeof *l->tile);
        if (l->tile)
            nst_backend_update(be, l->tile, current_area(l), l->device);
    }
}

static const struct level *level_at(const struct nst_guidance *g, int conv)
{
    return &g->level[nst_vgg_log2_stride(g->v, conv)];
}

const struct nst_buffer *nst_guidance_mask(const struct nst_guidance *g, int conv)
{
    return level_at(g, conv)->device;
}

double nst_guidance_sum(const struct nst_guidance *g, int conv, struct nst_window w)
{
    const struct level *l = level_at(g, conv);
    const float *at = current(l) + (size_t)w.top * l->tile_width + w.left;
    double sum = 0;

    for (int r = 0; r < w.height; r++, at += l->tile_width)
        for (int c = 0; c < w.width; c++)
            sum += at[c];
    return sum;
}
