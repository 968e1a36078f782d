/* SPDX-License-Identifier: MIT */
/*
 * net_ops.h - the operators of feed-forward networks that paint a picture in one pass
 * (Johnson, Alahi and Fei-Fei 2016; instance norm: Ulyanov, Vedaldi and Lempitsky
 * 2016).
 *
 * They work on host memory and on the tensors of their backend. A backend without them
 * has a NULL in its place. The scalar backend's are the specification
 * (net_reference.h). Results are bit-identical for any number of threads.
 */
#ifndef NST_BACKEND_NET_OPS_H
#define NST_BACKEND_NET_OPS_H

#include <stdbool.h>

#include "backend/tensor.h"
#include "base/err.h"

struct nst_backend;
struct nst_net_conv; /* weights of one convolution, in the backend's form */

/*
 * How a convolution reads its input, which is padded by reflection: 3x3 at each pixel;
 * 3x3 at every second pixel (the output has (n + 1) / 2 rows); 3x3 at each pixel of the
 * input after each pixel was doubled in both directions; 9x9 from a planar RGB picture
 * to a map; 9x9 from a map to such a picture.
 */
enum nst_net_kind {
    NST_NET_SAME,
    NST_NET_DOWN,
    NST_NET_UP,
    NST_NET_FROM_PICTURE,
    NST_NET_TO_PICTURE
};

/* The 9x9 convolutions read so many pixels beyond the border of a picture. */
#define NST_NET_REACH 4

/* A convolution on the host: cout x cin x side x side weights, cout biases or NULL.
 * A picture has 3 channels. */
struct nst_net_filters {
    enum nst_net_kind kind;
    int cin, cout;
    const float *weight, *bias;
};

/*
 * A map as its reader sees it: y = scale x + shift for each channel (instance norm,
 * folded into its reader), then max(y, 0) with relu.
 */
struct nst_net_view {
    const struct nst_tensor *x;
    const float *scale, *shift; /* one per channel; or both NULL: 1 and 0 */
    bool relu;
};

/* Of each channel, over the rows first to last - 1 of a map: the sum of its values and
 * the sum of their squares. */
struct nst_net_sums {
    double *sum, *squares;
    int first, last;
};

static inline int nst_net_side(enum nst_net_kind kind)
{
    return kind == NST_NET_FROM_PICTURE || kind == NST_NET_TO_PICTURE
               ? 2 * NST_NET_REACH + 1
               : 3;
}

/* Rows (or columns) of the output for n of the input. */
static inline int nst_net_output_side(enum nst_net_kind kind, int n)
{
    return kind == NST_NET_DOWN ? (n + 1) / 2 : kind == NST_NET_UP ? 2 * n : n;
}

struct nst_net_grad_ops; /* net_grad_ops.h */

struct nst_net_ops {
    const struct nst_net_grad_ops *grad; /* for training; or NULL: it has none */

    /*
     * Prepare a convolution; the filters are borrowed for the call. *out belongs to the
     * caller: conv_free() (NULL is fine). NST_ERR_MEM.
     */
    enum nst_status (*conv_new)(struct nst_backend *be, struct nst_net_conv **out,
                                const struct nst_net_filters *filters,
                                struct nst_err *err);
    void (*conv_free)(struct nst_backend *be, struct nst_net_conv *k);
    /* Other weights of the same shape, as training makes them. */
    void (*conv_set)(struct nst_backend *be, struct nst_net_conv *k,
                     const struct nst_net_filters *filters);
    /* Bytes of a convolution of this kind and these channels. *scratch is raised to the
     * bytes that conv_prepare() reserves for it. */
    size_t (*conv_bytes)(const struct nst_backend *be,
                         const struct nst_net_filters *filters, int height, int width,
                         size_t *scratch);
    /* Scratch memory for a convolution whose input has this size: before the calls
     * below. Several convolutions share it. NST_ERR_MEM. */
    enum nst_status (*conv_prepare)(struct nst_backend *be, struct nst_net_conv *k,
                                    int height, int width, struct nst_err *err);

    /* y = conv(x); sums of y, unless NULL. Both sides of x are at least 2. */
    void (*conv)(struct nst_backend *be, const struct nst_net_conv *k,
                 const struct nst_net_view *x, struct nst_tensor *y,
                 const struct nst_net_sums *sums);
    /* From and to a planar picture, 3 x height x width of the map; both sides of it are
     * greater than NST_NET_REACH. */
    void (*from_picture)(struct nst_backend *be, const struct nst_net_conv *k,
                         const float *rgb, struct nst_tensor *y,
                         const struct nst_net_sums *sums);
    void (*to_picture)(struct nst_backend *be, const struct nst_net_conv *k,
                       const struct nst_net_view *x, float *rgb);
    /* z = x + y; z may be the tensor of either. */
    void (*add)(struct nst_backend *be, const struct nst_net_view *x,
                const struct nst_net_view *y, struct nst_tensor *z);
    /* Give a map another height and width, of which neither exceeds that at
     * tensor_new(); its values are lost. */
    void (*reshape)(struct nst_backend *be, struct nst_tensor *t, int height,
                    int width);
    /* Copy count rows, from row from_row of one map on, to row to_row of another one
     * with as many channels and columns. */
    void (*copy_rows)(struct nst_backend *be, const struct nst_tensor *from,
                      int from_row, int count, struct nst_tensor *to, int to_row);
};

extern const struct nst_net_ops nst_net_ops_scalar;
extern const struct nst_net_ops nst_net_ops_cpu;

#endif
