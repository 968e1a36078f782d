/* SPDX-License-Identifier: MIT */
/*
 * net_grad_ops.h - gradients of the operators of feed-forward networks (net_ops.h), for
 * training.
 *
 * The gradient of a map as its reader sees it (struct nst_net_view) goes backwards
 * through the view to the map itself: norm_grad(). Gradients by parameters add to what
 * is there, so that they sum over a batch. Results are bit-identical for any number of
 * threads.
 */
#ifndef NST_BACKEND_NET_GRAD_OPS_H
#define NST_BACKEND_NET_GRAD_OPS_H

#include "backend/net_ops.h"

struct nst_net_grad; /* what the gradients of one convolution need */

/* Of each channel of a map that instance norm reads: mean, and the square root of the
 * variance and an epsilon. The view's scale is gamma / deviation, its shift is beta -
 * scale mean. */
struct nst_net_moments {
    const double *mean, *deviation;
};

struct nst_net_grad_ops {
    /* The filters are borrowed for the call. *out belongs to the caller: free() (NULL
     * is fine). NST_ERR_MEM. */
    enum nst_status (*new)(struct nst_backend *be, struct nst_net_grad **out,
                           const struct nst_net_filters *filters, struct nst_err *err);
    void (*free)(struct nst_backend *be, struct nst_net_grad *k);
    /* Other weights of the same shape. */
    void (*set)(struct nst_backend *be, struct nst_net_grad *k,
                const struct nst_net_filters *filters);
    /* Scratch memory for a convolution whose input has this size: before the calls
     * below. Several share it. NST_ERR_MEM. */
    enum nst_status (*prepare)(struct nst_backend *be, struct nst_net_grad *k,
                               int height, int width, struct nst_err *err);

    /* gy is the gradient by the result of conv(): gx becomes, or with add is increased
     * by, that by its input as it saw it. */
    void (*conv)(struct nst_backend *be, const struct nst_net_grad *k,
                 const struct nst_tensor *gy, struct nst_tensor *gx, bool add);
    /* The same for to_picture(); rgb is the gradient by the picture. */
    void (*to_picture)(struct nst_backend *be, const struct nst_net_grad *k,
                       const float *rgb, struct nst_tensor *gx);

    /* Add to weight, cout x cin x side x side, the gradient by the weights of conv(),
     * from_picture() and to_picture(), and to bias that by the biases; x or rgb is what
     * they read. */
    void (*conv_weight)(struct nst_backend *be, const struct nst_net_grad *k,
                        const struct nst_net_view *x, const struct nst_tensor *gy,
                        float *weight);
    void (*from_picture_weight)(struct nst_backend *be, const struct nst_net_grad *k,
                                const float *rgb, const struct nst_tensor *gy,
                                float *weight);
    void (*to_picture_weight)(struct nst_backend *be, const struct nst_net_grad *k,
                              const struct nst_net_view *x, const float *grgb,
                              float *weight, float *bias);

    /* gx becomes the gradient by x->x from g, that by the view x; gx may be g. Adds to
     * gamma and beta, one each per channel, their gradients. */
    void (*norm)(struct nst_backend *be, const struct nst_net_view *x,
                 const struct nst_net_moments *moments, const struct nst_tensor *g,
                 struct nst_tensor *gx, float *gamma, float *beta);
};

extern const struct nst_net_grad_ops nst_net_grad_ops_scalar;
extern const struct nst_net_grad_ops nst_net_grad_ops_cpu;

#endif
