/* SPDX-License-Identifier: MIT */
/*
 * backend.h - one table of operators per kind of device.
 *
 * A backend owns the layout of its tensors and weights, which are opaque to the floors
 * above. The scalar kernels (kernels/reference.h) specify each operator; tests/backend
 * checks every backend against them. Results are bit-identical for any number of
 * threads: the order of a sum depends on the shapes alone.
 *
 * Operators do not fail: their memory is allocated with the tensors and convolutions.
 * A device failure is sticky and is stored in the backend's error.
 */
#ifndef NST_BACKEND_BACKEND_H
#define NST_BACKEND_BACKEND_H

#include <stdbool.h>

#include "backend/net_ops.h"
#include "backend/tensor.h"
#include "backend/vector_ops.h"
#include "base/err.h"
#include "base/threads.h"
#include "kernels/padding.h"

enum nst_pooling { NST_POOLING_MAX, NST_POOLING_AVG };

/*
 * Operands of multiplications: fp32; fp32 rounded to TF32 (10 bits of mantissa); or
 * maps and gradients stored as fp16. Accumulators are fp32 or wider. A CPU offers fp32
 * only. AUTO is the fastest precision that docs/CUDA.md validates: TF32 on a GPU.
 */
enum nst_precision {
    NST_PRECISION_AUTO,
    NST_PRECISION_FP32,
    NST_PRECISION_TF32,
    NST_PRECISION_FP16
};

struct nst_backend_config {
    int threads; /* CPU threads; 0: one per processor that this process may use */
    int device;  /* GPU number, from 0 */
    enum nst_precision precision;
};

struct nst_graph; /* captured work, in the backend's form */
struct nst_conv;  /* weights of one 3x3 convolution, in the backend's form */

/* Network input from RGB values of 0 to 1: (x - mean) / deviation. */
struct nst_normalisation {
    float mean[3], deviation[3];
};

/* A 3x3 convolution on the host. With picture, cin is 3 and the convolution serves
 * first_conv() and its gradient, otherwise conv() and its gradient. */
struct nst_filters {
    const float *weight, *bias; /* cout x cin x 3 x 3, cout */
    int cin, cout;
    enum nst_padding padding;
    const struct nst_normalisation *picture; /* or NULL */
};

/* Sums over the pixels of a map F, in doubles: F F' and, unless NULL, F. */
struct nst_layer_sums {
    struct nst_buffer *products, *sums; /* C x C, C */
};

/* Part of a map, in pixels. */
struct nst_window {
    int top, left, height, width;
};

/* Size of each of a picture's three planes, in pixels. */
struct nst_image_size {
    int height, width;
};

/* Input of the moment loss, in doubles: accumulated sums of a layer, and the target. */
struct nst_layer_moments {
    const struct nst_buffer *products, *sums; /* C x C, C */
    double pixels;
    const struct nst_buffer *target; /* C means, then C deviations */
};

/* Added to each variance, so that the deviation of a constant channel has a derivative.
 */
#define NST_VARIANCE_EPSILON 1e-6

static inline struct nst_window nst_window_full(struct nst_shape s)
{
    struct nst_window w = {0, 0, s.h, s.w};

    return w;
}

/* Gradient of the losses on one region of a map F: mask (matrix F + offset). Floats. */
struct nst_region_grad {
    const struct nst_buffer *matrix; /* C x C, symmetric, after matrix_pack() */
    const struct nst_buffer *offset; /* C; or NULL: 0 */
    const struct nst_buffer *mask;   /* H x W: weight of each pixel; or NULL: 1 */
};

/* Gradient of all losses on a map F: the sum of the regions' + scale (F - target). */
struct nst_loss_grad {
    const struct nst_region_grad *region;
    int regions;
    const struct nst_tensor *target; /* or NULL */
    float scale;
};

/* Backward step between two convolutions, fused: un-pooling, ReLU mask and gradients of
 * the losses on map y, the output of the earlier one. */
struct nst_backward_step {
    struct nst_tensor *y;
    bool before_relu; /* y holds values before the ReLU, not after it */
    bool pooled;      /* the later convolution read y through ReLU and pooling */
    enum nst_pooling pooling;
    struct nst_loss_grad before, after; /* of the ReLU; before needs before_relu */
};

struct nst_backend {
    const struct nst_backend_ops *ops;
    struct nst_backend_config config;
    struct nst_threads *threads; /* owned; other modules may run work on them */
    int max_regions; /* maximum of nst_loss_grad.regions; set before tensor_new() */
    const char *isa; /* as in $NST_CPU; NULL: the backend has no choice */
    /* Bytes of device memory that tensors may take; 0: they are in host memory. */
    size_t device_memory;
    struct nst_err error; /* sticky device error; results after it are invalid */
    /* Set by buffer_download(): the last gradient of first_conv_grad() left the range
     * of its precision. loss_scale has been adjusted; repeat from first_conv() on. */
    bool grad_overflow;
    /* Factor of fp16 gradients, a power of two that is adjusted after each evaluation.
     * It affects rounding, so a run starts with 1 and a resumed run restores it. */
    float loss_scale;
    double pair_dots[2]; /* s.y and y.y of the last vectors->accept() */
};

struct nst_backend_ops {
    const char *name;

    /* config->threads >= 1. *out belongs to the caller: close(). */
    enum nst_status (*open)(struct nst_backend **out,
                            const struct nst_backend_config *config,
                            struct nst_err *err);
    void (*close)(struct nst_backend *be);
    /* Another backend like be, with its own threads and scratch memory. Both may use
     * the convolutions of be at the same time. */
    enum nst_status (*clone)(struct nst_backend **out, const struct nst_backend *be,
                             struct nst_err *err);

    /*
     * Buffers of floats, doubles or bytes (buffer.h): host memory on a CPU, device
     * memory on a GPU. to of buffer_download() and from of buffer_upload() are host
     * memory. buffer_download() waits for pending work. A new buffer is uninitialised;
     * free it with buffer_free() (NULL is fine).
     */
    enum nst_status (*buffer_alloc)(struct nst_backend *be, struct nst_buffer **out,
                                    size_t bytes, struct nst_err *err);
    void (*buffer_free)(struct nst_backend *be, struct nst_buffer *buffer);
    void (*buffer_upload)(struct nst_backend *be, struct nst_buffer *to,
                          const void *from, size_t bytes);
    void (*buffer_download)(struct nst_backend *be, void *to,
                            const struct nst_buffer *from, size_t bytes);
    /* From buffer to buffer. */
    void (*buffer_copy)(struct nst_backend *be, struct nst_buffer *to,
                        const struct nst_buffer *from, size_t bytes);
    /*
     * Run work(ctx), which must call the same operators on the same buffers each time:
     * a device may capture the calls as a graph and replay it without calling work.
     * *graph is NULL at first and belongs to the caller: graph_free() (NULL is fine),
     * after which work may differ.
     */
    void (*graph_replay)(struct nst_backend *be, struct nst_graph **graph,
                         void (*work)(void *ctx), void *ctx);
    void (*graph_free)(struct nst_backend *be, struct nst_graph *graph);
    /* Copy the window of a picture to (to_top, to_left) of another one. */
    void (*copy_window)(struct nst_backend *be, const struct nst_buffer *from,
                        struct nst_image_size size, struct nst_window window,
                        struct nst_buffer *to, struct nst_image_size to_size,
                        int to_top, int to_left);

    const struct nst_vector_ops *vectors;
    const struct nst_net_ops *net; /* of feed-forward networks; or NULL: it has none */

    /* A new tensor, uninitialised. Free it with tensor_free() (NULL is fine). */
    enum nst_status (*tensor_new)(struct nst_backend *be, struct nst_tensor **out,
                                  struct nst_shape shape, struct nst_err *err);
    void (*tensor_free)(struct nst_backend *be, struct nst_tensor *t);
    /* Bytes of a tensor. *scratch is raised to the bytes of scratch memory that tensors
     * of this shape need beyond that of the convolutions. */
    size_t (*tensor_bytes)(const struct nst_backend *be, struct nst_shape shape,
                           size_t *scratch);
    void (*tensor_copy)(struct nst_backend *be, const struct nst_tensor *from,
                        bool relu, struct nst_tensor *to);
    void (*tensor_upload)(struct nst_backend *be, const float *planar,
                          struct nst_tensor *t);
    void (*tensor_download)(struct nst_backend *be, const struct nst_tensor *t,
                            float *planar);

    /*
     * Prepare a convolution. Filters are borrowed for the call, their picture for the
     * convolution's life. NST_ERR_MEM, NST_ERR_IO (device failure).
     */
    enum nst_status (*conv_new)(struct nst_backend *be, struct nst_conv **out,
                                const struct nst_filters *filters, struct nst_err *err);
    /* See nst_backend_conv_prepare(); NULL: nothing to prepare. */
    enum nst_status (*conv_prepare)(struct nst_backend *be, struct nst_conv *k,
                                    int height, int width, struct nst_err *err);
    /* Bytes that conv_prepare() will allocate for this size. What it shares with sizes
     * of earlier calls counts only once. NULL: it allocates nothing. */
    size_t (*conv_plan)(struct nst_backend *be, struct nst_conv *k, int height,
                        int width);
    void (*conv_free)(struct nst_backend *be, struct nst_conv *k);

    /* y = conv(x) or, with relu, conv(relu(x)); out_relu stores relu(y). pooled, unless
     * NULL, becomes pool(relu(y)). */
    void (*conv)(struct nst_backend *be, const struct nst_conv *k,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                 bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled);
    /* Replace step->y by the gradient with respect to it; gy is the gradient with
     * respect to the convolution's output. */
    void (*conv_grad)(struct nst_backend *be, const struct nst_conv *k,
                      const struct nst_tensor *gy,
                      const struct nst_backward_step *step);
    /* The same for the last map, which no convolution reads: losses only. */
    void (*head_grad)(struct nst_backend *be, const struct nst_backward_step *step);

    /* The first convolution reads a picture. rgb, or its gradient, is a planar buffer
     * with y's height and width. */
    void (*first_conv)(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_buffer *rgb, struct nst_tensor *y,
                       bool out_relu);
    void (*first_conv_grad)(struct nst_backend *be, const struct nst_conv *k,
                            const struct nst_tensor *gy, struct nst_buffer *rgb);

    /* Losses. A sum is overwritten, or accumulated if add. */
    /* Sums of mask F F' and mask F over the window (mask: struct nst_region_grad). */
    void (*layer_sums)(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                       struct nst_window window, const struct nst_buffer *mask,
                       bool add, struct nst_layer_sums sums);
    /* sum: sum of (F - T)^2 over the window. */
    void (*squared_error)(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                          const struct nst_tensor *t, struct nst_window window,
                          bool add, struct nst_scalar sum);
    /* D = scale products - target, C x C: sum = sum D^2, derivative = factor D. */
    void (*gram_loss)(struct nst_backend *be, int channels,
                      const struct nst_buffer *products, double scale,
                      const struct nst_buffer *target, double factor,
                      struct nst_buffer *derivative, struct nst_scalar sum);
    /* See style/moment_loss.h. sum is C times the loss. offset (C) is set; the slope
     * is added to the diagonal of derivative (C x C). */
    void (*moment_loss)(struct nst_backend *be, int channels,
                        const struct nst_layer_moments *m, double factor,
                        struct nst_buffer *derivative, struct nst_buffer *offset,
                        struct nst_scalar sum);
    /* Bytes of a buffer for nst_region_grad.matrix: C x C floats, and the backend's
     * packed copy of them. */
    size_t (*matrix_bytes)(const struct nst_backend *be, int channels);
    /* Pack such a matrix. Call it after each change, before a gradient uses it. */
    void (*matrix_pack)(struct nst_backend *be, int channels,
                        struct nst_buffer *derivative);
    /* sum: squared differences of neighbours in the planes of rgb; grad, unless NULL,
     * += scale / 2 times its derivative. See style/pixel_losses.h. */
    void (*tv_loss)(struct nst_backend *be, const struct nst_buffer *rgb,
                    struct nst_image_size size, float scale, struct nst_buffer *grad,
                    struct nst_scalar sum);
    /* Likewise for sum: static_mask (rgb - previous)^2. */
    void (*temporal_loss)(struct nst_backend *be, const struct nst_buffer *rgb,
                          struct nst_image_size size, const struct nst_buffer *previous,
                          const struct nst_buffer *static_mask, float scale,
                          struct nst_buffer *grad, struct nst_scalar sum);
};

extern const struct nst_backend_ops nst_backend_scalar; /* the specification */
extern const struct nst_backend_ops nst_backend_cpu;
#ifdef HAVE_BLAS
extern const struct nst_backend_ops nst_backend_blas;
#endif
#ifdef HAVE_CUDA
extern const struct nst_backend_ops nst_backend_cuda;
#endif

/*
 * Open the backend called name (NULL: $NST_BACKEND, or cpu). *out belongs to the
 * caller: close(). NST_ERR_ARG (no such backend, the backend lacks the precision,
 * or the machine the instruction set of $NST_CPU), NST_ERR_IO (no such device, or its
 * driver fails), NST_ERR_MEM.
 */
enum nst_status nst_backend_open(struct nst_backend **out, const char *name,
                                 const struct nst_backend_config *config,
                                 struct nst_err *err);

/* Prepare a convolution for maps of this height and width, before conv() and its
 * gradient; several threads may, with backends that are clones. NST_ERR_MEM. */
static inline enum nst_status nst_backend_conv_prepare(struct nst_backend *be,
                                                       struct nst_conv *k, int height,
                                                       int width, struct nst_err *err)
{
    return be->ops->conv_prepare ? be->ops->conv_prepare(be, k, height, width, err)
                                 : NST_OK;
}

/* The sticky device error, or NST_OK. */
enum nst_status nst_backend_error(const struct nst_backend *be, struct nst_err *err);

/* NST_ERR_ARG unless the precision is AUTO or FP32; for open() of CPU backends. */
enum nst_status nst_backend_require_fp32(const struct nst_backend_config *config,
                                         struct nst_err *err);
/* Mean and standard deviation of a channel from sums over pixels: of its squares, and
 * of its values. */
void nst_channel_moments(double squares, double sum, double pixels, double *mean,
                         double *deviation);

/*
 * A read-only buffer with the n floats at host, borrowed until nst_backend_release().
 * On a CPU it is host itself. NST_ERR_MEM: *device is NULL.
 */
enum nst_status nst_backend_to_device(struct nst_backend *be, const float *host,
                                      size_t n, const struct nst_buffer **device,
                                      struct nst_err *err);
/* The host has changed these floats: copy them to the buffer again. */
void nst_backend_update(struct nst_backend *be, const float *host, size_t n,
                        const struct nst_buffer *device);
void nst_backend_release(struct nst_backend *be, const struct nst_buffer *device);

/* A backend on a CPU can share memory with its caller: host memory as a buffer, and a
 * buffer as host memory. NULL if the backend has device memory. */
struct nst_buffer *nst_backend_wrap(const struct nst_backend *be, void *host);
void *nst_backend_unwrap(const struct nst_backend *be, struct nst_buffer *buffer);

/* "auto", "fp32", "tf32" or "fp16". */
const char *nst_precision_name(enum nst_precision precision);

#endif
