/* SPDX-License-Identifier: MIT */
/*
 * taps.h - the names of VGG19's layers, and lists of places to tap.
 *
 * A tap is a convolution (0 to 15), before or after its ReLU, with a weight. Two
 * naming schemes are understood, and both count as a user of them expects:
 *   conv_1 ... conv_16   convolutions in order, the value before the ReLU
 *   conv4_2, relu4_2     block and place in the block, before and after the ReLU
 */
#ifndef NST_MODEL_TAPS_H
#define NST_MODEL_TAPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define NST_VGG_CONVS 16

struct nst_tap {
    int conv; /* 0 to NST_VGG_CONVS - 1 */
    bool after_relu;
    double weight; /* 0 to 1e12 */
};

struct nst_taps {
    int count;
    struct nst_tap tap[2 * NST_VGG_CONVS];
};

/* Block number (1 to 5) of a convolution, and its place in the block (from 1). */
void nst_conv_place(int conv, int *block, int *place);
/* Does a pooling layer follow this convolution? */
bool nst_conv_before_pool(int conv);
/* Does no pooling layer come before it? */
bool nst_conv_below_pool(int conv);

/*
 * Read "NAME[:WEIGHT],..." into *taps. NST_ERR_ARG with the offending name, on an
 * unknown or repeated layer, a bad weight, or an empty list; *taps is then untouched.
 */
enum nst_status nst_taps_parse(struct nst_taps *taps, const char *text,
                               struct nst_err *err);
/* The list as text in VGG names; weights of 1 are left out. At most size bytes. */
void nst_taps_format(const struct nst_taps *taps, char *text, size_t size);

#endif
