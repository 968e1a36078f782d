/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/tiling.h"

#include <stdbool.h>

static int round_up(int n, int multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Side of a tile along a side of the picture: an interior and two halos, enlarged so
 * that a tile at the end of the picture begins at a multiple of alignment. */
static int tile_side(int side, int step, int halo, int alignment)
{
    int min_side = step + 2 * halo;

    if (step >= side || min_side >= side)
        return side;
    return side - (side - min_side) / alignment * alignment;
}

struct nst_tiling nst_tiling(int height, int width, int step, int receptive_field,
                             int alignment)
{
    int longest = height > width ? height : width;
    struct nst_tiling t = {.height = height, .width = width};

    if (step < 1 || step > longest)
        step = longest;
    t.step = round_up(step, alignment);
    t.halo = round_up(receptive_field - 1, alignment);
    t.tile_height = tile_side(height, t.step, t.halo, alignment);
    t.tile_width = tile_side(width, t.step, t.halo, alignment);
    t.rows = t.tile_height == height ? 1 : (height + t.step - 1) / t.step;
    t.columns = t.tile_width == width ? 1 : (width + t.step - 1) / t.step;
    return t;
}

/* Start of a tile along one side of the picture, for an interior that begins at first.
 */
static int tile_start(int side, int tile, int halo, int first)
{
    int start = first - halo < side - tile ? first - halo : side - tile;

    return start > 0 ? start : 0;
}

/* Length of the interior that begins at first; last: it ends with the picture. */
static int interior_length(int side, int step, int first, bool last)
{
    return last ? side - first : step;
}

struct nst_tile nst_tiling_tile(const struct nst_tiling *t, int i)
{
    int row = i / t->columns, column = i % t->columns;
    int top = row * t->step, left = column * t->step;
    struct nst_tile tile;

    tile.outer.height = t->tile_height;
    tile.outer.width = t->tile_width;
    tile.outer.top = tile_start(t->height, t->tile_height, t->halo, top);
    tile.outer.left = tile_start(t->width, t->tile_width, t->halo, left);
    tile.inner.top = top - tile.outer.top;
    tile.inner.left = left - tile.outer.left;
    tile.inner.height = interior_length(t->height, t->step, top, row + 1 == t->rows);
    tile.inner.width =
        interior_length(t->width, t->step, left, column + 1 == t->columns);
    return tile;
}
