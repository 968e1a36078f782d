/* SPDX-License-Identifier: MIT */
/*
 * walk.h - the network taken through a picture tile by tile, forward and backward.
 */
#ifndef NST_STYLE_WALK_H
#define NST_STYLE_WALK_H

#include "model/vgg.h"
#include "style/tiling.h"

struct nst_walk {
    struct nst_backend *be;
    struct nst_tiling tiling;
    struct nst_pass *pass; /* of one tile */
    struct nst_tile tile;  /* that it was last taken to */
    float *rgb, *grad;     /* a tile's own, when there are several */
};

/* The tiles that pictures of h x w are worked on in, of tile pixels each way inside;
 * 0: in one piece. */
struct nst_tiling nst_walk_tiling(const struct nst_vgg *v, int h, int w, int tile);

/* Walks through pictures of the tiling's size, backward too if backward; keep as of
 * nst_pass_new(). Its errors. Free with the clear function, after a failure too. */
enum nst_status nst_walk_init(struct nst_walk *k, struct nst_vgg *v,
                              struct nst_tiling tiling, const bool keep[NST_VGG_CONVS],
                              bool backward, struct nst_err *err);
void nst_walk_clear(struct nst_walk *k);
/* Bytes that it takes; *scratch as of nst_pass_bytes(). */
size_t nst_walk_bytes(const struct nst_vgg *v, const struct nst_tiling *t,
                      bool backward, size_t *scratch);

static inline int nst_walk_count(const struct nst_walk *k)
{
    return nst_tiling_count(&k->tiling);
}

/* Features of tile i of picture (3 x height x width), which like grad is among the
 * backend's numbers. */
void nst_walk_forward(struct nst_walk *k, const float *picture, int i);
/* From them back to the gradient by this tile's own pixels, in grad, which is as big as
 * the picture. */
void nst_walk_backward(struct nst_walk *k, nst_pass_terms *terms, void *ctx,
                       float *grad);

#endif
