/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/tiled_pass.h"

struct nst_tiling nst_tiled_pass_tiling(const struct nst_vgg *v, int h, int w, int tile)
{
    return nst_tiling(h, w, tile, nst_vgg_receptive_field(v), nst_vgg_stride(v));
}

/* Bytes of one tile's RGB buffer. */
static size_t tile_bytes(const struct nst_tiling *t)
{
    return 3 * (size_t)t->tile_height * (size_t)t->tile_width * sizeof(float);
}

enum nst_status nst_tiled_pass_init(struct nst_tiled_pass *p, struct nst_vgg *v,
                                    struct nst_tiling tiling,
                                    const bool keep[NST_VGG_CONVS], bool backward,
                                    struct nst_err *err)
{
    struct nst_backend *be = nst_vgg_backend(v);
    size_t bytes = tile_bytes(&tiling);
    enum nst_status st;

    *p = (struct nst_tiled_pass){.be = be, .tiling = tiling};
    st = nst_activations_new(&p->acts, v, tiling.tile_height, tiling.tile_width, keep,
                             err);
    if (st == NST_OK && nst_tiled_pass_count(p) > 1)
        st = be->ops->buffer_alloc(be, &p->rgb, bytes, err);
    if (st == NST_OK && nst_tiled_pass_count(p) > 1 && backward)
        st = be->ops->buffer_alloc(be, &p->grad, bytes, err);
    return st;
}

void nst_tiled_pass_clear(struct nst_tiled_pass *p)
{
    nst_activations_free(p->acts);
    if (p->be) {
        p->be->ops->buffer_free(p->be, p->rgb);
        p->be->ops->buffer_free(p->be, p->grad);
    }
    *p = (struct nst_tiled_pass){.acts = NULL};
}

size_t nst_tiled_pass_bytes(const struct nst_vgg *v, const struct nst_tiling *t,
                            bool backward, size_t *scratch)
{
    size_t bytes = nst_activations_bytes(v, t->tile_height, t->tile_width, scratch);

    return nst_tiling_count(t) > 1 ? bytes + (backward ? 2 : 1) * tile_bytes(t) : bytes;
}

static struct nst_image_size picture_size(const struct nst_tiled_pass *p)
{
    return (struct nst_image_size){p->tiling.height, p->tiling.width};
}

static struct nst_image_size tile_size(const struct nst_tiled_pass *p)
{
    return (struct nst_image_size){p->tiling.tile_height, p->tiling.tile_width};
}

void nst_tiled_pass_forward(struct nst_tiled_pass *p, const struct nst_buffer *picture,
                            int i)
{
    struct nst_backend *be = p->be;

    p->tile = nst_tiling_tile(&p->tiling, i);
    if (p->rgb)
        be->ops->copy_window(be, picture, picture_size(p), p->tile.outer, p->rgb,
                             tile_size(p), 0, 0);
    nst_vgg_forward(p->acts, p->rgb ? p->rgb : picture);
}

void nst_tiled_pass_backward(struct nst_tiled_pass *p, nst_loss_grad_fn *loss_grad,
                             void *ctx, struct nst_buffer *grad)
{
    struct nst_backend *be = p->be;
    struct nst_window inner = p->tile.inner, outer = p->tile.outer;

    nst_vgg_backward(p->acts, loss_grad, ctx, p->grad ? p->grad : grad);
    if (p->grad)
        be->ops->copy_window(be, p->grad, tile_size(p), inner, grad, picture_size(p),
                             outer.top + inner.top, outer.left + inner.left);
}
