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

#include <stdbool.h>

#include "base/err.h"
#include "model/layers.h"

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

/* How many convolutions, from the first on, the file has: 0 to all. NST_ERR_IO,
 * NST_ERR_FORMAT. */
enum nst_status nst_weights_count(int *convs, const char *path, struct nst_err *err);

/* Write them to path, as F16 if half, else as F32, with texts among the metadata: names
 * and values in turn, ended by NULL. NST_ERR_IO. */
enum nst_status nst_weights_save(const struct nst_weights *w, const char *path,
                                 bool half, const char *const *metadata,
                                 struct nst_err *err);

/* torchvision's name of a convolution's weight or bias. Borrowed. */
const char *nst_weights_key(int conv, bool weight);

#endif
