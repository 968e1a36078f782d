/* SPDX-License-Identifier: MIT */
/*
 * guidance.h - guidance masks: how much each pixel of a picture belongs to a region.
 * For smaller maps the mask is average-pooled (Gatys et al. 2017, section 4.1), aligned
 * with the network's poolings, so that a tile has the same mask as the whole picture.
 */
#ifndef NST_STYLE_GUIDANCE_H
#define NST_STYLE_GUIDANCE_H

#include "model/vgg.h"
#include "style/tiling.h"

struct nst_guidance;

/* Masks on v's backend. mask: height x width, 0 to 1, borrowed for the call. *out
 * belongs to the caller: nst_guidance_free(). NST_ERR_MEM. */
enum nst_status nst_guidance_new(struct nst_guidance **out, const struct nst_vgg *v,
                                 const float *mask, const struct nst_tiling *tiling,
                                 struct nst_err *err);
void nst_guidance_free(struct nst_guidance *g); /* NULL is fine */
/* Bytes of the masks of all map sizes on the host. */
size_t nst_guidance_bytes(const struct nst_vgg *v, const struct nst_tiling *tiling);

/* Select a tile of the tiling. */
void nst_guidance_set_tile(struct nst_guidance *g, const struct nst_tile *tile);
/* The selected tile's mask for a convolution's map, of the same size; the same
 * buffer for every tile. Borrowed. */
const struct nst_buffer *nst_guidance_mask(const struct nst_guidance *g, int conv);
/* Sum of that mask over a window. */
double nst_guidance_sum(const struct nst_guidance *g, int conv,
                        struct nst_window window);

#endif
