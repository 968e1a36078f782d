/* SPDX-License-Identifier: MIT */
/*
 * tape.h - a feed-forward network with gradients: the forward pass keeps every map, and
 * the backward pass turns the gradient by the painted picture into the gradient by all
 * parameters.
 */
#ifndef NST_NET_TAPE_H
#define NST_NET_TAPE_H

#include "net/net.h"

struct nst_net_tape;

/*
 * For pictures of height x width, multiples of 4 and at least 16. It records as many
 * passes at a time as it has slots. The weights are copied. *out belongs to the caller:
 * nst_net_tape_free() (NULL is fine). NST_ERR_ARG (the backend cannot train networks),
 * NST_ERR_MEM.
 */
enum nst_status nst_net_tape_new(struct nst_net_tape **out, struct nst_backend *be,
                                 const struct nst_net_weights *w, int height, int width,
                                 int slots, struct nst_err *err);
void nst_net_tape_free(struct nst_net_tape *t);
/* Other weights of the same shape: values has nst_net_weights.count floats. */
void nst_net_tape_set(struct nst_net_tape *t, const float *values);
/* Bytes of the maps of a tape. */
size_t nst_net_tape_bytes(const struct nst_backend *be, struct nst_net_shape shape,
                          int height, int width, int slots);

/* Paint a picture: rgb and out are 3 x height x width. out is not clamped. */
void nst_net_tape_forward(struct nst_net_tape *t, int slot, const float *rgb,
                          float *out);
/* grgb is the gradient by the picture that forward() painted in this slot from rgb. Add
 * to grad, a float for each parameter, their gradients. */
void nst_net_tape_backward(struct nst_net_tape *t, int slot, const float *rgb,
                           const float *grgb, float *grad);

#endif
