/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/tiling.h"

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

/* Tile i of count along one side: its start, its interior's start and length. */
static void place_tile(int side, int tile, int step, int halo, int i, int count,
                       int *outer, int *inner, int *length)
{
    int first = i * step, last = i + 1 < count ? first + step : side;

    *outer = first - halo;
    if (*outer > side - tile)
        *outer = side - tile;
    if (*outer < 0)
        *outer = 0;
    *inner = first - *outer;
    *length = last - first;
}

struct nst_tile nst_tiling_tile(const struct nst_tiling *t, int i)
{
    struct nst_tile tile;

    place_tile(t->height, t->tile_height, t->step, t->halo, i / t->columns, t->rows,
               &tile.outer.top, &tile.inner.top, &tile.inner.height);
    place_tile(t->width, t->tile_width, t->step, t->halo, i % t->columns, t->columns,
               &tile.outer.left, &tile.inner.left, &tile.inner.width);
    tile.outer.height = t->tile_height;
    tile.outer.width = t->tile_width;
    return tile;
}
