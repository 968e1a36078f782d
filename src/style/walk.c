/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/walk.h"

struct nst_tiling nst_walk_tiling(const struct nst_vgg *v, int h, int w, int tile)
{
    return nst_tiling(h, w, tile, nst_vgg_receptive_field(v), nst_vgg_alignment(v));
}

/* Of a tile's. */
static size_t picture_bytes(const struct nst_tiling *t)
{
    return 3 * (size_t)t->tile_height * (size_t)t->tile_width * sizeof(float);
}

enum nst_status nst_walk_init(struct nst_walk *k, struct nst_vgg *v,
                              struct nst_tiling tiling, const bool keep[NST_VGG_CONVS],
                              bool backward, struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(v);
    size_t bytes = picture_bytes(&tiling);
    void *rgb = NULL, *grad = NULL;
    enum nst_status st;

    *k = (struct nst_walk){.tiling = tiling};
    st = nst_pass_new(&k->pass, v, tiling.tile_height, tiling.tile_width, keep, err);
    if (st == NST_OK && nst_walk_count(k) > 1)
        st = be->ops->numbers_new(be, &rgb, bytes, err);
    if (st == NST_OK && nst_walk_count(k) > 1 && backward)
        st = be->ops->numbers_new(be, &grad, bytes, err);
    k->rgb = rgb;
    k->grad = grad;
    k->be = be;
    return st;
}

void nst_walk_clear(struct nst_walk *k)
{
    nst_pass_free(k->pass);
    if (k->be) {
        k->be->ops->numbers_free(k->be, k->rgb);
        k->be->ops->numbers_free(k->be, k->grad);
    }
    *k = (struct nst_walk){.pass = NULL};
}

size_t nst_walk_bytes(const struct nst_vgg *v, const struct nst_tiling *t,
                      bool backward, size_t *scratch)
{
    size_t bytes = nst_pass_bytes(v, t->tile_height, t->tile_width, scratch);

    return nst_tiling_count(t) > 1 ? bytes + (backward ? 2 : 1) * picture_bytes(t)
                                   : bytes;
}

static struct nst_planes whole(const struct nst_walk *k)
{
    return (struct nst_planes){k->tiling.height, k->tiling.width};
}

static struct nst_planes of_tile(const struct nst_walk *k)
{
    return (struct nst_planes){k->tiling.tile_height, k->tiling.tile_width};
}

void nst_walk_forward(struct nst_walk *k, const float *picture, int i)
{
    struct nst_backend *be = k->be;

    k->tile = nst_tiling_tile(&k->tiling, i);
    if (k->rgb)
        be->ops->copy_window(be, picture, whole(k), k->tile.outer, k->rgb, of_tile(k),
                             0, 0);
    nst_pass_forward(k->pass, k->rgb ? k->rgb : picture);
}

void nst_walk_backward(struct nst_walk *k, nst_pass_terms *terms, void *ctx,
                       float *grad)
{
    struct nst_backend *be = k->be;
    struct nst_window inner = k->tile.inner, outer = k->tile.outer;

    nst_pass_backward(k->pass, terms, ctx, k->grad ? k->grad : grad);
    if (k->grad)
        be->ops->copy_window(be, k->grad, of_tile(k), inner, grad, whole(k),
                             outer.top + inner.top, outer.left + inner.left);
}
