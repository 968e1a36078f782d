/* SPDX-License-Identifier: MIT */
/*
 * guide.h - how much each pixel of a picture belongs to a region, and each pixel of the
 * smaller maps: the mean over what it stands for (Gatys et al. 2017, section 4.1),
 * which is what pooling does, so that a tile sees the same as the whole picture.
 */
#ifndef NST_STYLE_GUIDE_H
#define NST_STYLE_GUIDE_H

#include "model/vgg.h"
#include "style/tiling.h"

struct nst_guide;

/* For v's backend. plane: height x width, 0 to 1, borrowed for the call. *out belongs
 * to the caller: nst_guide_free(). NST_ERR_MEM. */
enum nst_status nst_guide_new(struct nst_guide **out, const struct nst_vgg *v,
                              const float *plane, const struct nst_tiling *tiling,
                              struct nst_err *err);
void nst_guide_free(struct nst_guide *g); /* NULL is fine */
/* Bytes that it takes. */
size_t nst_guide_bytes(const struct nst_vgg *v, const struct nst_tiling *tiling);

/* Turn to a tile of the tiling. */
void nst_guide_turn(struct nst_guide *g, const struct nst_tile *tile);
/* The guide for a convolution's map, as big as it, among the backend's numbers: the
 * same place for every tile, which holds what was turned to. Borrowed. */
const float *nst_guide_at(const struct nst_guide *g, int conv);
/* The sum of it over a window of what was turned to. */
double nst_guide_sum(const struct nst_guide *g, int conv, struct nst_window window);

#endif
