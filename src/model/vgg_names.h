/* SPDX-License-Identifier: MIT */
/*
 * vgg_names.h - tells from the names of a file's tensors whether they are a VGG19's,
 * and which of them are its convolutions.
 *
 * Three schemes are known, each after any prefix that ends in a dot:
 *   features.0.weight   torchvision
 *   0.weight            torchvision's features alone
 *   conv1_1.weight      Gatys et al.
 * A file may end after any convolution. Another network has names that VGG19 does not
 * have, or lacks one between two that are there.
 */
#ifndef NST_MODEL_VGG_NAMES_H
#define NST_MODEL_VGG_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct nst_vgg_names {
    int convs;      /* number of convolutions, from the first on */
    int scheme;     /* which of the three */
    char *prefix;   /* what precedes the scheme's names */
    char *left_out; /* the other tensors: their number and some names; NULL: none */
};

/* Recognise a VGG19 by the names of the count tensors of the file at path.
 * NST_ERR_FORMAT: it is another network; the message says which, and the remedy. Free
 * with nst_vgg_names_clear(), also after an error. */
enum nst_status nst_vgg_names_find(struct nst_vgg_names *n, const char *path,
                                   const char *const *name, size_t count,
                                   struct nst_err *err);
void nst_vgg_names_clear(struct nst_vgg_names *n);

/* Name of a convolution's weight, else of its bias: a new string. n may be zeroed for
 * torchvision's names. */
char *nst_vgg_names_get(const struct nst_vgg_names *n, int conv, bool weight);

#endif
