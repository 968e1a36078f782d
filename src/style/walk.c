/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct nst_tiling nst_walk_tiling(const struct nst_vgg *v, int h, int w, int tile)
{
    return nst_tiling(h, w, tile, nst_vgg_receptive_field(v), nst_vgg_alignment(v));
}

enum nst_status nst_walk_init(struct nst_walk *k, struct nst_vgg *v,
                              struct nst_tiling tiling, const bool keep[NST_VGG_CONVS],
                              bool backward, struct nst_err *err)
{
    size_t h = (size_t)tiling.tile_height, w = (size_t)tiling.tile_width;
    enum nst_status st;

    *k = (struct nst_walk){.tiling = tiling};
    st = nst_pass_new(&k->pass, v, tiling.tile_height, tiling.tile_width, keep, err);
    if (st == NST_OK && nst_walk_count(k) > 1)
        st = nst_floats_new(&k->rgb, 3, h, w, err);
    if (st == NST_OK && nst_walk_count(k) > 1 && backward)
        st = nst_floats_new(&k->grad, 3, h, w, err);
    return st;
}

void nst_walk_clear(struct nst_walk *k)
{
    nst_pass_free(k->pass);
    free(k->rgb);
    free(k->grad);
    *k = (struct nst_walk){.pass = NULL};
}

size_t nst_walk_bytes(const struct nst_vgg *v, const struct nst_tiling *t,
                      bool backward, size_t *scratch)
{
    size_t bytes = nst_pass_bytes(v, t->tile_height, t->tile_width, scratch);
    size_t picture = 3 * (size_t)t->tile_height * (size_t)t->tile_width * sizeof(float);

    return nst_tiling_count(t) > 1 ? bytes + (backward ? 2 : 1) * picture : bytes;
}

/* Planes of a picture's window, to or from a tile's. */
static void copy_window(const struct nst_tiling *t, struct nst_window w, float *picture,
                        float *tile, int tile_top, int tile_left, bool to_tile)
{
    for (int k = 0; k < 3; k++)
        for (int r = 0; r < w.height; r++) {
            float *p = picture +
                       ((size_t)k * t->height + (size_t)(w.top + r)) * t->width +
                       w.left;
            float *q =
                tile +
                ((size_t)k * t->tile_height + (size_t)(tile_top + r)) * t->tile_width +
                tile_left;

            memcpy(to_tile ? q : p, to_tile ? p : q, (size_t)w.width * sizeof *p);
        }
}

void nst_walk_forward(struct nst_walk *k, const float *picture, int i)
{
    k->tile = nst_tiling_tile(&k->tiling, i);
    if (k->rgb)
        copy_window(&k->tiling, k->tile.outer, (float *)picture, k->rgb, 0, 0, true);
    nst_pass_forward(k->pass, k->rgb ? k->rgb : picture);
}

void nst_walk_backward(struct nst_walk *k, nst_pass_terms *terms, void *ctx,
                       float *grad)
{
    struct nst_window w = k->tile.inner;

    nst_pass_backward(k->pass, terms, ctx, k->grad ? k->grad : grad);
    if (!k->grad)
        return;
    w.top += k->tile.outer.top;
    w.left += k->tile.outer.left;
    copy_window(&k->tiling, w, grad, k->grad, k->tile.inner.top, k->tile.inner.left,
                false);
}
