/* SPDX-License-Identifier: MIT */
/*
 * backend.h - where the arithmetic happens: one table of operators per device.
 *
 * A backend owns the layout of its tensors and the form of its weights; the floors
 * above only pass them on. Every operator means what the scalar kernel of the same
 * name means (kernels/kernels.h), and tests/backend holds each against it. Results
 * are bit-identical for any number of threads: sums run in an order that the shapes
 * alone decide.
 *
 * Operators cannot fail: what they need is allocated when tensors and convolutions
 * are made.
 */
#ifndef NST_BACKEND_BACKEND_H
#define NST_BACKEND_BACKEND_H

#include <stdbool.h>

#include "base/err.h"
#include "tensor/tensor.h"

enum nst_pooling { NST_POOLING_MAX, NST_POOLING_AVG };

struct nst_conv; /* one 3x3 convolution's weights, in the backend's form */

struct nst_backend {
    const struct nst_backend_ops *ops;
    int threads;
};

struct nst_backend_ops {
    const char *name;

    /* threads of 1 or more. *out belongs to the caller: close(). */
    enum nst_status (*open)(struct nst_backend **out, int threads, struct nst_err *err);
    void (*close)(struct nst_backend *be);

    /* A tensor of this shape, values undefined. Freed by tensor_free (NULL is fine). */
    enum nst_status (*tensor_new)(struct nst_backend *be, struct nst_tensor **out,
                                  struct nst_shape shape, struct nst_err *err);
    void (*tensor_free)(struct nst_backend *be, struct nst_tensor *t);
    /* Floats that a tensor of this shape takes, and the same storage under another
     * shape of no more floats; values are then undefined. */
    size_t (*tensor_floats)(struct nst_backend *be, struct nst_shape shape);
    void (*tensor_reshape)(struct nst_backend *be, struct nst_tensor *t,
                           struct nst_shape shape);
    void (*tensor_zero)(struct nst_backend *be, struct nst_tensor *t);
    void (*tensor_copy)(struct nst_backend *be, const struct nst_tensor *from,
                        bool relu, struct nst_tensor *to);
    void (*upload)(struct nst_backend *be, const float *planar, struct nst_tensor *t);
    void (*download)(struct nst_backend *be, const struct nst_tensor *t, float *planar);

    /* Prepare a convolution from weight (cout x cin x 3 x 3) and bias (cout); both are
     * borrowed for the call. gradient: conv_grad will be wanted. */
    enum nst_status (*conv_new)(struct nst_backend *be, struct nst_conv **out,
                                const float *weight, const float *bias, int cin,
                                int cout, bool gradient, struct nst_err *err);
    void (*conv_free)(struct nst_backend *be, struct nst_conv *k);

    /* y = conv(x) or conv(relu(x)); out_relu stores max(y, 0). */
    void (*conv)(struct nst_backend *be, const struct nst_conv *k,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                 bool out_relu);
    void (*conv_grad)(struct nst_backend *be, const struct nst_conv *k,
                      const struct nst_tensor *gy, struct nst_tensor *gx);
    void (*pool)(struct nst_backend *be, enum nst_pooling kind,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y);
    void (*pool_grad)(struct nst_backend *be, enum nst_pooling kind,
                      const struct nst_tensor *x, bool relu,
                      const struct nst_tensor *gy, struct nst_tensor *gx);
    void (*relu_grad)(struct nst_backend *be, const struct nst_tensor *y,
                      struct nst_tensor *g);

    /* gram and s are C x C, on the host. */
    void (*gram)(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                 float *gram);
    void (*gram_grad)(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                      const float *s, struct nst_tensor *g);
    double (*squared_error)(struct nst_backend *be, const struct nst_tensor *f,
                            bool relu, const struct nst_tensor *t);
    void (*squared_error_grad)(struct nst_backend *be, const struct nst_tensor *f,
                               bool relu, const struct nst_tensor *t, float scale,
                               struct nst_tensor *g);
};

extern const struct nst_backend_ops nst_backend_scalar; /* the specification */
extern const struct nst_backend_ops nst_backend_cpu;

/*
 * Open the backend called name; NULL: $NST_BACKEND, or else the best. threads of 0
 * means one for each processor this process may use.
 * NST_ERR_ARG (no such backend, or $NST_CPU names an instruction set that is not
 * there), NST_ERR_MEM.
 */
enum nst_status nst_backend_open(struct nst_backend **out, const char *name,
                                 int threads, struct nst_err *err);

/* The names that nst_backend_open() knows, NULL-terminated, the best first. */
const struct nst_backend_ops *const *nst_backends(void);

#endif
