/* SPDX-License-Identifier: MIT */
/*
 * tiling.h - cut a picture into overlapping tiles of equal size. Each pixel is in the
 * interior of exactly one tile, and the features and gradients there are those of the
 * whole picture.
 *
 * The gradient at a pixel comes from the features whose receptive field contains it, so
 * it depends only on pixels less than the field's side away. Where a tile ends inside
 * the picture, a halo of that width separates its interior from the edge. Tiles begin
 * at multiples of the network's stride, so their pooling grid is that of the whole
 * picture.
 */
#ifndef NST_STYLE_TILING_H
#define NST_STYLE_TILING_H

#include "backend/backend.h"

struct nst_tiling {
    int height, width;           /* of the picture */
    int tile_height, tile_width; /* of each tile */
    int step;                    /* side of an interior in pixels */
    int halo;
    int rows, columns; /* of tiles */
};

struct nst_tile {
    struct nst_window outer; /* in the picture */
    struct nst_window inner; /* its interior, relative to outer */
};

/*
 * A tiling with interiors of step x step pixels (rounded up to a multiple of alignment,
 * the network's stride), smaller at the picture's end. step 0, or a picture no larger
 * than a tile, gives a single tile. receptive_field is a side in pixels.
 */
struct nst_tiling nst_tiling(int height, int width, int step, int receptive_field,
                             int alignment);

static inline int nst_tiling_count(const struct nst_tiling *t)
{
    return t->rows * t->columns;
}

/* Tile i, from 0. */
struct nst_tile nst_tiling_tile(const struct nst_tiling *t, int i);

#endif
