/* SPDX-License-Identifier: MIT */
/*
 * guidance.h - how much each pixel of a picture belongs to a region, and each pixel of
 * the smaller maps: the mean over what it stands for (Gatys et al. 2017, section 4.1),
 * which is what pooling does, so that a tile sees the same as the whole picture.
 */
#ifndef NST_STYLE_GUIDANCE_H
#define NST_STYLE_GUIDANCE_H

#include "model/vgg.h"
#include "style/tiling.h"

struct nst_guidance;

/* For v's backend. plane: height x width, 0 to 1, borrowed for the call. *out belongs
 * to the caller: nst_guidance_free(). NST_ERR_MEM. */
enum nst_status nst_guidance_new(struct nst_guidance **out, const struct nst_vgg *v,
                                 const float *mask, const struct nst_tiling *tiling,
                                 struct nst_err *err);
void nst_guidance_free(struct nst_guidance *g); /* NULL is fine */
/* Bytes that it takes. */
size_t nst_guidance_bytes(const struct nst_vgg *v, const struct nst_tiling *tiling);

/* Turn to a tile of the tiling. */
void nst_guidance_set_tile(struct nst_guidance *g, const struct nst_tile *tile);
/* The guide for a convolution's map, as big as it, among the backend's numbers: the
 * same place for every tile, which holds what was turned to. Borrowed. */
const float *nst_guidance_mask(const struct nst_guidance *g, int conv);
/* The sum of it over a window of what was turned to. */
double nst_guidance_sum(const struct nst_guidance *g, int conv,
                        struct nst_window window);

#endif
