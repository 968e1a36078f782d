/* SPDX-License-Identifier: MIT */
/*
 * net.h - a feed-forward network that paints pictures in one pass.
 *
 * The architecture is that of Johnson, Alahi and Fei-Fei 2016 as pytorch/examples has
 * it: a 9x9 convolution from the picture to width channels; two 3x3 convolutions of
 * stride 2 that double the channels; residual blocks of two 3x3 convolutions; two 3x3
 * convolutions of the map at twice its size that halve the channels; a 9x9 convolution
 * to the picture. All pad by reflection. Instance norm follows each but the last, ReLU
 * all but the last of a block and of the network.
 *
 * Pictures go in and out as planar RGB of 0 to 1. Of a side that is no multiple of 4
 * the layers have (n + 1) / 2 pixels after each stride of 2, as in PyTorch; the result,
 * whose sides are multiples of 4, is cropped to the picture.
 */
#ifndef NST_NET_NET_H
#define NST_NET_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/net_ops.h"
#include "base/err.h"
#include "base/image.h"
#include "net/parameters.h"

#define NST_NET_MAX_CONVS (6 + 2 * NST_NET_MAX_BLOCKS)
/* Added to each variance of instance norm. */
#define NST_NET_VARIANCE_EPSILON 1e-5

struct nst_backend;

/* One convolution: what it does, and where its parameters lie in nst_net_weights. */
struct nst_net_layer {
    char name[24]; /* first, down1, down2, block1.conv1, ..., up1, up2, last */
    enum nst_net_kind kind;
    int cin, cout;
    size_t weight;       /* cout x cin x side x side */
    size_t scale, shift; /* cout each: of instance norm; the last layer has none */
    size_t bias;         /* cout: the last layer only */
};

/* The layers of an architecture, in order. Returns their number; *parameters: floats.
 */
int nst_net_layers(struct nst_net_shape shape,
                   struct nst_net_layer layers[NST_NET_MAX_CONVS], size_t *parameters);

struct nst_net; /* a network that is ready to run on one backend */

/* The weights are copied. *out belongs to the caller: nst_net_free() (NULL is fine).
 * NST_ERR_ARG (the backend cannot run networks), NST_ERR_MEM. */
enum nst_status nst_net_new(struct nst_net **out, struct nst_backend *be,
                            const struct nst_net_weights *w, struct nst_err *err);
void nst_net_free(struct nst_net *net);
/* Other weights of the same shape. */
void nst_net_set_weights(struct nst_net *net, const struct nst_net_weights *w);

/* Bytes of memory that the network and nst_net_paint() take for a picture of this size,
 * beside the pictures; with limit, not 0, as it works within that many bytes, or 0: it
 * cannot. */
size_t nst_net_bytes(const struct nst_net *net, int height, int width, size_t limit);

/* Ask stop(), or NULL: nothing, before each layer of a picture or of a band. If it
 * returns true, nst_net_paint() returns with an unfinished picture. */
void nst_net_set_stop(struct nst_net *net, bool (*stop)(void *ctx), void *ctx);
/* Whether the last nst_net_paint() was stopped. */
bool nst_net_stopped(const struct nst_net *net);

/*
 * Paint a picture of any size: out (3 x height x width, not in) is not clamped. Works
 * within limit bytes (0: no limit) as nst_net_bytes() says; the result is the same up
 * to rounding. Memory is kept for the next picture of this size. NST_ERR_MEM.
 */
enum nst_status nst_net_paint(struct nst_net *net, struct nst_image in, float *out,
                              size_t limit, struct nst_err *err);

#endif
