/* SPDX-License-Identifier: MIT */
/*
 * parameters.h - the parameters of a feed-forward network, and their names.
 */
#ifndef NST_NET_PARAMETERS_H
#define NST_NET_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define NST_NET_BLOCKS 5 /* residual blocks of a network by default */
#define NST_NET_MAX_BLOCKS 16
#define NST_NET_MAX_WIDTH 128

struct nst_net_shape {
    int width;  /* channels after the first convolution, 1 to NST_NET_MAX_WIDTH */
    int blocks; /* residual blocks, 1 to NST_NET_MAX_BLOCKS */
};

/* All parameters of a network, in one vector. */
struct nst_net_weights {
    struct nst_net_shape shape;
    size_t count;
    float *values; /* owned */
};

enum nst_status nst_net_weights_new(struct nst_net_weights *w,
                                    struct nst_net_shape shape, struct nst_err *err);
void nst_net_weights_clear(struct nst_net_weights *w);

/* An array of parameters: LAYER.weight (cout x cin x side x side), and LAYER.scale and
 * LAYER.shift (cout each: of instance norm) or, of the last layer, LAYER.bias (cout).
 */
struct nst_net_parameter {
    char name[32];
    int rank, shape[4];
    size_t at, count; /* where it lies in nst_net_weights */
};

/* Get the i-th array of parameters of an architecture. False after the last. */
bool nst_net_parameter(struct nst_net_shape shape, int i,
                       struct nst_net_parameter *out);

#endif
