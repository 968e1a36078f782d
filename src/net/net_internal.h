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
/* Smaller pictures are extended by reflection: that of the first convolution takes so
 * many pixels. */
#define NST_NET_LEAST_SIDE (NST_NET_REACH + 1)

/* Instance norm of a map: what its reader applies. */
struct norm {
    float scale[CHANNELS], shift[CHANNELS];
};

/*
 * Maps of one size of picture. Strides of 2 round up: of n rows of the picture the
 * blocks have nst_net_quarter(n), and the layers after them 2 and 4 times as many, from
 * which the result is cropped. full and half serve before and after the blocks.
 */
struct maps {
    struct nst_size picture;
    int height, width; /* of it as the layers see it, at least NST_NET_LEAST_SIDE */
    int band;          /* rows of the blocks' maps in a band; 0: no bands */
    struct nst_tensor *full, *half, *part; /* at the picture's size, at half of it; a
                                            * band at a quarter, if bands */
    struct nst_tensor *blocks[3];          /* at a quarter */
    float *in, *out; /* the extended picture, the uncropped result, or bands of them;
                      * NULL: the picture and the result serve */
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
    bool (*stop)(void *ctx); /* or NULL */
    void *stop_ctx;
    bool stopped; /* nst_net_paint() was */
};

/* The side at which n pixels are painted. */
static inline int nst_net_seen_side(int n)
{
    return n < NST_NET_LEAST_SIDE ? NST_NET_LEAST_SIDE : n;
}

/* Rows, or columns, after one or two strides of 2. */
static inline int nst_net_half(int n)
{
    return nst_net_output_side(NST_NET_DOWN, n);
}
static inline int nst_net_quarter(int n)
{
    return nst_net_half(nst_net_half(n));
}

/* Rows of the blocks' maps for which the maps before and after the blocks have room. */
static inline int nst_net_part_rows(int height, int band)
{
    return band ? band : nst_net_quarter(height);
}

/* The largest band that fits within limit, 0: none is needed, or -1: nothing fits. */
int nst_net_choose_band(const struct nst_net *net, int height, int width, size_t limit);
/* Allocate the maps of that size, unless there are. NST_ERR_MEM. */
enum nst_status nst_net_maps_prepare(struct nst_net *net, int height, int width,
                                     int band, struct nst_err *err);
void nst_net_maps_clear(struct nst_net *net);

#endif
