/* SPDX-License-Identifier: MIT */
/*
 * weights.h - the weights of a VGG19 in memory and in a safetensors file. Its names are
 * torchvision's (features.N.weight, features.N.bias), or those that vgg_names.h lists;
 * the shapes give the widths.
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
    int convs; /* number of convolutions, from the first on */
    struct nst_layer_weights conv[NST_VGG_CONVS];
    bool input_stated; /* the file says that its input is RGB as nst's is */
    char *left_out;    /* the file's other tensors, for a message; NULL: none */
};

/*
 * Read the first convs convolutions from the file at path, or all if convs is 0: F32,
 * F16 or BF16. *out belongs to the caller: nst_weights_free(). On failure *out is NULL
 * and the message names the file and the tensor: NST_ERR_IO, NST_ERR_FORMAT (also
 * another network), NST_ERR_MEM.
 */
enum nst_status nst_weights_load(struct nst_weights **out, const char *path, int convs,
                                 struct nst_err *err);
void nst_weights_free(struct nst_weights *w); /* NULL is fine */

/* The number of convolutions of the file at path, by its header alone. Errors of
 * nst_weights_load(). */
enum nst_status nst_weights_count(int *convs, const char *path, struct nst_err *err);

/* Write w to path, as F16 if half, else as F32. metadata: keys and values in turn,
 * ended by NULL. NST_ERR_IO. */
enum nst_status nst_weights_save(const struct nst_weights *w, const char *path,
                                 bool half, const char *const *metadata,
                                 struct nst_err *err);

#endif
