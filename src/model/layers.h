/* SPDX-License-Identifier: MIT */
/*
 * layers.h - names of VGG19's layers, and lists of the layers that a loss uses.
 *
 * A layer is a convolution (0 to 15), before or after its ReLU, with a weight. There
 * are two naming schemes:
 *   conv_1 ... conv_16   convolutions in order, before the ReLU
 *   conv4_2, relu4_2     block and index in the block, before and after the ReLU
 */
#ifndef NST_MODEL_LAYERS_H
#define NST_MODEL_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define NST_VGG_CONVS 16

struct nst_layer {
    int conv; /* 0 to NST_VGG_CONVS - 1 */
    bool after_relu;
    double weight; /* 0 to 1e12 */
};

struct nst_layers {
    int count;
    struct nst_layer layer[2 * NST_VGG_CONVS];
};

/* Block number (1 to 5) of a convolution, and its index in the block (from 1). */
void nst_conv_position(int conv, int *block, int *index);
/* True if no pooling layer precedes it. */
bool nst_conv_in_first_block(int conv);

/*
 * Read "NAME[:WEIGHT],..." into *layers. NST_ERR_ARG (an unknown or repeated layer, a
 * bad weight or an empty list): the message names it and *layers is unchanged.
 */
enum nst_status nst_layers_parse(struct nst_layers *layers, const char *text,
                                 struct nst_err *err);
/* Write the list with block names, without weights of 1; at most size bytes. */
void nst_layers_format(const struct nst_layers *layers, char *text, size_t size);

/* Not in nst.h. */

/* True if a pooling layer follows this convolution. */
bool nst_conv_pool_follows(int conv);

#endif
