/* SPDX-License-Identifier: MIT */
/*
 * weights.h - the weights of a VGG19, as a file holds them.
 *
 * safetensors: 8 bytes of little-endian header length, a JSON header that gives each
 * tensor's type, shape and place, then the bytes. Keys are torchvision's
 * (features.N.weight, features.N.bias); the widths are whatever the shapes say.
 */
#ifndef NST_MODEL_WEIGHTS_H
#define NST_MODEL_WEIGHTS_H

#include "base/err.h"
#include "model/taps.h"

struct nst_layer_weights {
    int cin, cout;
    float *weight; /* cout x cin x 3 x 3 */
    float *bias;   /* cout */
};

struct nst_weights {
    int convs; /* the first convs convolutions of VGG19 are here */
    struct nst_layer_weights conv[NST_VGG_CONVS];
};

/*
 * Read the first convs convolutions from the file at path; F32, F16 and BF16 are
 * taken. *out belongs to the caller: nst_weights_free(). On failure *out is NULL and
 * the message names the file and what is wrong where: NST_ERR_IO, NST_ERR_FORMAT,
 * NST_ERR_MEM.
 */
enum nst_status nst_weights_load(struct nst_weights **out, const char *path, int convs,
                                 struct nst_err *err);
void nst_weights_free(struct nst_weights *w); /* NULL is fine */

#endif
