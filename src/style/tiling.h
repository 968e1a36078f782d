/* SPDX-License-Identifier: MIT */
/*
 * tiling.h - a picture cut into tiles that are all of one size and overlap by what the
 * network sees, so that each pixel is in the interior of exactly one of them and the
 * features and gradients there are those of the whole picture.
 *
 * A feature sees a square of some pixels (its receptive field), and the gradient at a
 * pixel comes from the features that see it: so it depends on pixels less than that
 * side away. Where a tile ends inside the picture, its interior stays away from the
 * edge by that much. Tiles begin at multiples of the pixels that one feature stands
 * for, as the whole picture does.
 */
#ifndef NST_STYLE_TILING_H
#define NST_STYLE_TILING_H

#include "backend/backend.h"

struct nst_tiling {
    int height, width;           /* of the picture */
    int tile_height, tile_width; /* of each tile */
    int step;                    /* from interior to interior, both ways */
    int halo;
    int rows, columns; /* of tiles */
};

struct nst_tile {
    struct nst_window outer; /* in the picture */
    struct nst_window inner; /* in the tile: the pixels that are this tile's */
};

/*
 * Tiles whose interiors are step pixels wide and high (rounded up to a multiple of
 * alignment), except where the picture ends; step 0 or a picture that is no larger
 * makes one tile of it. field is the side of the receptive field.
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
