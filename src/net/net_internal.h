/* SPDX-License-Identifier: MIT */
/* net_internal.h - a network and its maps, shared by net.c (paint) and maps.c (memory).
 */
#ifndef NST_NET_NET_INTERNAL_H
#define NST_NET_NET_INTERNAL_H

#include "backend/backend.h"
#include "net/net.h"

#define CHANNELS (4 * NST_NET_MAX_WIDTH) /* most of any map */
/* Rows of the blocks' maps: those of a band that read past it, before and after the
 * blocks. */
#define FRONT_HALO 2
#define BACK_HALO 4

/* Instance norm of a map: what its reader applies. */
struct norm {
    float scale[CHANNELS], shift[CHANNELS];
};

/* Maps of one size of picture; the height is that of a band, if bands. */
struct maps {
    int height, width; /* of the whole picture, padded */
    int band;          /* rows of the blocks' maps in a band; 0: no bands */
    struct nst_tensor *full, *half, *part; /* at the picture's size, at half of it; a
                                            * band at a quarter, if bands */
    struct nst_tensor *blocks[3];          /* at a quarter */
    float *in, *out;                       /* the padded picture, or a band of it */
};

struct nst_net {
    struct nst_backend *be;
    struct nst_net_shape shape;
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    int count;
    struct nst_net_weights weights;
    struct nst_net_conv *convs[NST_NET_MAX_CONVS];
    struct norm *norms; /* of each layer */
    struct maps maps;
};

/* The side at which n pixels are made: a multiple of 4, as two convolutions halve it.
 */
int nst_net_padded_side(int n);

/* Rows of the picture, or of the blocks' maps, that the maps before and after the
 * blocks have. */
static inline int nst_net_part_rows(int height, int band)
{
    return band ? band : height / 4;
}

/* The largest band that fits within limit, 0: none is needed, or -1: nothing fits. */
int nst_net_choose_band(const struct nst_net *net, int height, int width, size_t limit);
/* Allocate the maps of that size, unless there are. NST_ERR_MEM. */
enum nst_status nst_net_maps_prepare(struct nst_net *net, int height, int width,
                                     int band, struct nst_err *err);
void nst_net_maps_clear(struct nst_net *net);

#endif
