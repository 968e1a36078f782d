/* SPDX-License-Identifier: MIT */
/*
 * planar_conv.h - the weights of a convolution as plain arrays, for the backends with
 * planar tensors.
 */
#ifndef NST_BACKEND_PLANAR_CONV_H
#define NST_BACKEND_PLANAR_CONV_H

#include "backend/backend.h"

struct nst_conv {
    float *weight, *bias; /* the caller of new may order the weights anew */
    int cin, cout;
    enum nst_padding padding;
    const struct nst_normalisation *picture;
};

/* conv_new() and conv_free() of backend.h. The weights are copied as they are. */
enum nst_status nst_planar_conv_new(struct nst_backend *be, struct nst_conv **out,
                                    const struct nst_filters *filters,
                                    struct nst_err *err);
void nst_planar_conv_free(struct nst_backend *be, struct nst_conv *k);

#endif
