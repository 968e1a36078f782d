/* SPDX-License-Identifier: MIT */
/*
 * tiled_pass.h - the network taken through a picture tile by tile, forward and
 * backward.
 */
#ifndef NST_STYLE_TILED_PASS_H
#define NST_STYLE_TILED_PASS_H

#include "model/vgg.h"
#include "style/tiling.h"

struct nst_tiled_pass {
    struct nst_backend *be;
    struct nst_tiling tiling;
    struct nst_activations *acts; /* of one tile */
    struct nst_tile tile;         /* that it was last taken to */
    float *rgb, *grad;            /* a tile's own, when there are several */
};

/* The tiles that pictures of h x w are worked on in, of tile pixels each way inside;
 * 0: in one piece. */
struct nst_tiling nst_tiled_pass_tiling(const struct nst_vgg *v, int h, int w,
                                        int tile);

/* Walks through pictures of the tiling's size, backward too if backward; keep as of
 * nst_activations_new(). Its errors. Free with the clear function, after a failure
 * too. */
enum nst_status nst_tiled_pass_init(struct nst_tiled_pass *p, struct nst_vgg *v,
                                    struct nst_tiling tiling,
                                    const bool keep[NST_VGG_CONVS], bool backward,
                                    struct nst_err *err);
void nst_tiled_pass_clear(struct nst_tiled_pass *p);
/* Bytes that it takes; *scratch as of nst_activations_bytes(). */
size_t nst_tiled_pass_bytes(const struct nst_vgg *v, const struct nst_tiling *t,
                            bool backward, size_t *scratch);

static inline int nst_tiled_pass_count(const struct nst_tiled_pass *p)
{
    return nst_tiling_count(&p->tiling);
}

/* Features of tile i of picture (3 x height x width), which like grad is among the
 * backend's numbers. */
void nst_tiled_pass_forward(struct nst_tiled_pass *p, const float *picture, int i);
/* From them back to the gradient by this tile's own pixels, in grad, which is as big as
 * the picture. */
void nst_tiled_pass_backward(struct nst_tiled_pass *p, nst_loss_grad_fn *loss_grad,
                             void *ctx, float *grad);

#endif
