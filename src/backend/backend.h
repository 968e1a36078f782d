/* SPDX-License-Identifier: MIT */
/*
 * backend.h - where the arithmetic happens: one table of operators per device.
 *
 * A backend owns the layout of its tensors and the form of its weights; the floors
 * above only pass them on. Every operator means what the scalar kernel of the same
 * name means (kernels/reference.h), and tests/backend holds each against it. Results
 * are bit-identical for any number of threads: sums run in an order that the shapes
 * alone decide.
 *
 * Operators do not fail: what they need is allocated when tensors and convolutions
 * are made. A device that gives up says so in its backend's fault.
 */
#ifndef NST_BACKEND_BACKEND_H
#define NST_BACKEND_BACKEND_H

#include <stdbool.h>

#include "backend/tensor.h"
#include "backend/vector_ops.h"
#include "base/err.h"
#include "base/threads.h"

enum nst_pooling { NST_POOLING_MAX, NST_POOLING_AVG };

/*
 * What is multiplied: fp32 values; fp32 values rounded to TF32 (10 bits of mantissa),
 * or maps and gradients that are fp16. Sums are always fp32 at least. A CPU knows fp32
 * alone. AUTO is the fastest that the figures of docs/CUDA.md hold for: TF32 on a GPU.
 */
enum nst_precision {
    NST_PRECISION_AUTO,
    NST_PRECISION_FP32,
    NST_PRECISION_TF32,
    NST_PRECISION_FP16
};

/* What a backend is opened with. */
struct nst_backend_config {
    int threads; /* on the CPU: 0 is one for each processor that this process may use */
    int device;  /* which GPU, from 0 */
    enum nst_precision precision;
};

struct nst_graph; /* work that was asked for before, in the backend's form */
struct nst_conv;  /* one 3x3 convolution's weights, in the backend's form */

/* How a picture's values (RGB, 0 to 1) become what the network was trained on:
 * (x - mean) / deviation. */
struct nst_normalisation {
    float mean[3], deviation[3];
};

/* Part of a map: height rows from top, width columns from left. */
struct nst_window {
    int top, left, height, width;
};

/* The three planes of a picture. */
struct nst_image_size {
    int height, width;
};

/* What the moment loss compares: what was gathered of a layer, and its target. */
struct nst_layer_moments {
    const double *products, *sums; /* C x C, C */
    double pixels;
    const double *mean, *deviation; /* C each */
};

/* Added to each variance: a channel that is the same everywhere has a deviation that
 * can be derived, too. */
#define NST_VARIANCE_EPSILON 1e-6

static inline struct nst_window nst_window_full(struct nst_shape s)
{
    struct nst_window w = {0, 0, s.h, s.w};

    return w;
}

/*
 * What the losses on a region of a map F have as their derivative by it:
 * guide (matrix F + offset). All in the backend's numbers.
 */
struct nst_region_grad {
    const float *matrix; /* C x C, symmetric; readied: matrix_pack() */
    const float *offset; /* C; or NULL: 0 */
    const float *mask;   /* H x W: how much each pixel counts; or NULL: 1 */
};

/* The derivative of all losses by a map F: those of the regions, scale (F - target). */
struct nst_loss_grad {
    const struct nst_region_grad *region;
    int regions;
    const struct nst_tensor *target; /* or NULL */
    float scale;
};

/*
 * What lies between a convolution and the one before it, on the way back: that one's
 * map y, its ReLU, perhaps a pooling, and the losses that look at y before or after the
 * ReLU.
 */
struct nst_backward_step {
    struct nst_tensor *y;
    bool before_relu; /* y holds values before the ReLU, not after it */
    bool pooled;      /* the convolution read y through ReLU and pooling */
    enum nst_pooling pooling;
    struct nst_loss_grad before, after; /* before only where y holds such values */
};

struct nst_backend {
    const struct nst_backend_ops *ops;
    struct nst_backend_config config;
    struct nst_threads *threads; /* the backend's; others may run work on them */
    int max_regions; /* the most of nst_loss_grad; raised before tensors are made */
    const char *isa; /* as $NST_CPU; NULL: there is no choice */
    size_t device_memory; /* bytes that tensors may take of the device's own; 0: they
                      are in the process's */
    /* What befell the device, if anything did: results since then are worth nothing. */
    struct nst_err error;
    /* After buffer_download(): a gradient that first_conv_grad() gave before was out of
     * the range of its precision. Worked out once more, from first_conv() on, it is
     * not. */
    bool grad_overflow;
    /* What gradients of fp16 are held times: a power of two, which follows them from
     * evaluation to evaluation. What they are rounded to depends on it, so that a run
     * begins with 1, and goes on with what it was. */
    float loss_scale;
    double pair_dots[2]; /* s.y and y.y of the latest vectors->accept() */
};

struct nst_backend_ops {
    const char *name;

    /* config->threads is 1 or more. *out belongs to the caller: close(). */
    enum nst_status (*open)(struct nst_backend **out,
                            const struct nst_backend_config *config,
                            struct nst_err *err);
    void (*close)(struct nst_backend *be);
    /* Another backend like be, with as many threads of its own and room for the same
     * convolutions, which both may work with at the same time. */
    enum nst_status (*clone)(struct nst_backend **out, const struct nst_backend *be,
                             struct nst_err *err);

    /*
     * Numbers that lie where the operators work: floats, doubles, bytes. Values are
     * undefined at first; freed by buffer_free (NULL is fine). On a CPU they are the
     * process's memory; elsewhere the host sees them through put and get alone, of
     * which the latter waits for what is under way.
     */
    enum nst_status (*buffer_alloc)(struct nst_backend *be, void **out, size_t bytes,
                                    struct nst_err *err);
    void (*buffer_free)(struct nst_backend *be, void *buffer);
    void (*buffer_upload)(struct nst_backend *be, void *to, const void *from,
                          size_t bytes);
    void (*buffer_download)(struct nst_backend *be, void *to, const void *from,
                            size_t bytes);
    /* Between numbers of the backend. */
    void (*buffer_copy)(struct nst_backend *be, void *to, const void *from,
                        size_t bytes);
    /*
     * Do work(ctx), which asks for the same operators on the same numbers each time: a
     * device may keep what it asked for, and do that without it. *graph is NULL at
     * first, and belongs to the caller: graph_free() (NULL is fine), after which work
     * may be another.
     */
    void (*graph_replay)(struct nst_backend *be, struct nst_graph **graph,
                         void (*work)(void *ctx), void *ctx);
    void (*graph_free)(struct nst_backend *be, struct nst_graph *graph);
    /* The window of a picture to where it begins at to_top, to_left in another. */
    void (*copy_window)(struct nst_backend *be, const float *from,
                        struct nst_image_size size, struct nst_window window, float *to,
                        struct nst_image_size to_size, int to_top, int to_left);

    const struct nst_vector_ops *vectors;

    /* A tensor of this shape, values undefined. Freed by tensor_free (NULL is fine). */
    enum nst_status (*tensor_new)(struct nst_backend *be, struct nst_tensor **out,
                                  struct nst_shape shape, struct nst_err *err);
    void (*tensor_free)(struct nst_backend *be, struct nst_tensor *t);
    /* Bytes that a tensor takes; *scratch is raised to those that tensors of this shape
     * want of scratch beyond what the convolutions do. */
    size_t (*tensor_bytes)(const struct nst_backend *be, struct nst_shape shape,
                           size_t *scratch);
    void (*tensor_copy)(struct nst_backend *be, const struct nst_tensor *from,
                        bool relu, struct nst_tensor *to);
    void (*tensor_upload)(struct nst_backend *be, const float *planar,
                          struct nst_tensor *t);
    void (*tensor_download)(struct nst_backend *be, const struct nst_tensor *t,
                            float *planar);

    /*
     * Prepare a convolution from weight (cout x cin x 3 x 3) and bias (cout); both are
     * borrowed for the call. With picture (borrowed as long as the convolution lives),
     * cin is 3 and it is for first_conv() and its gradient, else for conv() and its
     * gradient. NST_ERR_MEM, or NST_ERR_IO (the device gives up).
     */
    enum nst_status (*conv_new)(struct nst_backend *be, struct nst_conv **out,
                                const float *weight, const float *bias, int cin,
                                int cout, const struct nst_normalisation *picture,
                                struct nst_err *err);
    void (*conv_free)(struct nst_backend *be, struct nst_conv *k);

    /* y = conv(x) or conv(relu(x)); out_relu stores max(y, 0). pooled, unless NULL,
     * becomes the pooled relu(y). */
    void (*conv)(struct nst_backend *be, const struct nst_conv *k,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                 bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled);
    /* step->y becomes the gradient by the values it held, given the gradient gy by
     * what the convolution put out. */
    void (*conv_grad)(struct nst_backend *be, const struct nst_conv *k,
                      const struct nst_tensor *gy,
                      const struct nst_backward_step *step);
    /* The same where no convolution follows: only the losses at the joint count. */
    void (*head_grad)(struct nst_backend *be, const struct nst_backward_step *step);

    /* The first convolution reads a picture: rgb is planar, of y's height and width,
     * and among the backend's numbers, as is the gradient by it. */
    void (*first_conv)(struct nst_backend *be, const struct nst_conv *k,
                       const float *rgb, struct nst_tensor *y, bool out_relu);
    void (*first_conv_grad)(struct nst_backend *be, const struct nst_conv *k,
                            const struct nst_tensor *gy, float *rgb);

    /*
     * What losses are made of. Sums, targets and derivatives are numbers of the
     * backend; a sum is set, or, with add, added to.
     */
    /* sums: F F' over the pixels of the window, each counted as guide (as in struct
     * nst_region_grad) says; C x C. */
    void (*gram)(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                 struct nst_window window, const float *mask, bool add, double *sums);
    /* sums: F over these pixels; C. */
    void (*channel_sums)(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                         struct nst_window window, const float *mask, bool add,
                         double *sums);
    /* *sum: (F - T)^2 over the window. */
    void (*squared_error)(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                          const struct nst_tensor *t, struct nst_window window,
                          bool add, double *sum);
    /* D = scale products - target, C x C: *sum = sum D^2, derivative = factor D. */
    void (*gram_loss)(struct nst_backend *be, int channels, const double *products,
                      double scale, const double *target, double factor,
                      float *derivative, double *sum);
    /* See style/moment_loss.h: *sum without its 1 / C; the slope is added to derivative
     * (C x C). */
    void (*moment_loss)(struct nst_backend *be, int channels,
                        const struct nst_layer_moments *m, double factor,
                        float *derivative, float *offset, double *sum);
    /* Bytes of numbers for a derivative that is a matrix in struct nst_region_grad:
     * those of C x C floats, and of what the backend makes of them. */
    size_t (*matrix_bytes)(const struct nst_backend *be, int channels);
    /* It has its final values; each time, before it is used there. */
    void (*matrix_pack)(struct nst_backend *be, int channels, float *derivative);
    /* *sum: the squared differences of neighbours in planes rgb; grad, unless NULL, +=
     * scale / 2 times its derivative. See style/pixel_losses.h. */
    void (*tv_loss)(struct nst_backend *be, const float *rgb,
                    struct nst_image_size size, float scale, float *grad, double *sum);
    /* *sum: still (rgb - before)^2, likewise. */
    void (*temporal_loss)(struct nst_backend *be, const float *rgb,
                          struct nst_image_size size, const float *previous,
                          const float *static_mask, float scale, float *grad,
                          double *sum);
};

extern const struct nst_backend_ops nst_backend_scalar; /* the specification */
extern const struct nst_backend_ops nst_backend_cpu;
#ifdef HAVE_CUDA
extern const struct nst_backend_ops nst_backend_cuda;
#endif

/*
 * Open the backend called name; NULL: $NST_BACKEND, or else the CPU's.
 * NST_ERR_ARG (no such backend in this build, a precision that it does not have, or
 * $NST_CPU names an instruction set that is not there), NST_ERR_IO (no such device, or
 * its driver refuses), NST_ERR_MEM.
 */
enum nst_status nst_backend_open(struct nst_backend **out, const char *name,
                                 const struct nst_backend_config *config,
                                 struct nst_err *err);

/* What befell the device so far, if anything did. */
enum nst_status nst_backend_error(const struct nst_backend *be, struct nst_err *err);

/* For open() of backends on the CPU: NST_ERR_ARG if another precision is asked for. */
enum nst_status nst_backend_require_fp32(const struct nst_backend_config *config,
                                         struct nst_err *err);
/* On the host: the mean and the standard deviation of channel c of what was gathered.
 */
void nst_channel_moments(const struct nst_layer_moments *m, int channels, int c,
                         double *mean, double *deviation);

/*
 * What the operators may read in place of these n floats on the host, which are
 * borrowed until they need it no more: nst_backend_release(). On a CPU it is these.
 * NST_ERR_MEM.
 */
enum nst_status nst_backend_to_device(struct nst_backend *be, const float *host,
                                      size_t n, const float **device,
                                      struct nst_err *err);
void nst_backend_release(struct nst_backend *be, const float *host,
                         const float *device);

/* "fp32" and so on; "auto". */
const char *nst_precision_name(enum nst_precision precision);

#endif
