/* SPDX-License-Identifier: MIT */
/*
 * tiled_pass.h - forward and backward passes over a picture, tile by tile.
 */
#ifndef NST_STYLE_TILED_PASS_H
#define NST_STYLE_TILED_PASS_H

#include "model/vgg.h"
#include "style/tiling.h"

struct nst_tiled_pass {
    struct nst_backend *be;
    struct nst_tiling tiling;
    struct nst_activations *acts;  /* of one tile */
    struct nst_tile tile;          /* of the latest forward pass */
    struct nst_buffer *rgb, *grad; /* of one tile; NULL with a single tile */
};

/* Tiling of pictures of h x w, with interiors of tile x tile pixels; 0: one tile. */
struct nst_tiling nst_tiled_pass_tiling(const struct nst_vgg *v, int h, int w,
                                        int tile);

/* Allocate for pictures of the tiling's size; backward: for backward passes, too. keep
 * and errors as in nst_activations_new(). Free with the clear function, after a failure
 * too. */
enum nst_status nst_tiled_pass_init(struct nst_tiled_pass *p, struct nst_vgg *v,
                                    struct nst_tiling tiling,
                                    const bool keep[NST_VGG_CONVS], bool backward,
                                    struct nst_err *err);
void nst_tiled_pass_clear(struct nst_tiled_pass *p);
/* Bytes of its buffers; *scratch as in nst_activations_bytes(). */
size_t nst_tiled_pass_bytes(const struct nst_vgg *v, const struct nst_tiling *t,
                            bool backward, size_t *scratch);

static inline int nst_tiled_pass_count(const struct nst_tiled_pass *p)
{
    return nst_tiling_count(&p->tiling);
}

/* Compute the features of tile i of picture (3 x height x width). */
void nst_tiled_pass_forward(struct nst_tiled_pass *p, const struct nst_buffer *picture,
                            int i);
/* Backward pass of the current tile: write the gradient by its interior pixels to grad,
 * which has the picture's size. */
void nst_tiled_pass_backward(struct nst_tiled_pass *p, nst_loss_grad_fn *loss_grad,
                             void *ctx, struct nst_buffer *grad);

#endif
