/* SPDX-License-Identifier: MIT */
/*
 * layers.h - the names of VGG19's layers, and lists of places to tap.
 *
 * A tap is a convolution (0 to 15), before or after its ReLU, with a weight. Two
 * naming schemes are understood, and both count as a user of them expects:
 *   conv_1 ... conv_16   convolutions in order, the value before the ReLU
 *   conv4_2, relu4_2     block and place in the block, before and after the ReLU
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

/* Block number (1 to 5) of a convolution, and its place in the block (from 1). */
void nst_conv_position(int conv, int *block, int *index);
/* Does a pooling layer follow this convolution? */
bool nst_conv_pool_follows(int conv);
/* Does no pooling layer come before it? */
bool nst_conv_in_first_block(int conv);

/*
 * Read "NAME[:WEIGHT],..." into *layers. NST_ERR_ARG with the offending name, on an
 * unknown or repeated layer, a bad weight, or an empty list; *layers is then untouched.
 */
enum nst_status nst_layers_parse(struct nst_layers *layers, const char *text,
                                 struct nst_err *err);
/* The list as text in VGG names; weights of 1 are left out. At most size bytes. */
void nst_layers_format(const struct nst_layers *layers, char *text, size_t size);

#endif
