/* SPDX-License-Identifier: MIT */
/*
 * host.h - operators shared by all CPU backends. Their buffers are host memory, and
 * operators other than matrix products cost little in plain C.
 */
#ifndef NST_BACKEND_HOST_H
#define NST_BACKEND_HOST_H

#include "backend/backend.h"

/* The memory of a buffer of floats or of doubles; NULL stays NULL. */
static inline float *nst_floats(struct nst_buffer *b)
{
    return (float *)b;
}

static inline const float *nst_const_floats(const struct nst_buffer *b)
{
    return (const float *)b;
}

static inline double *nst_doubles(struct nst_buffer *b)
{
    return (double *)b;
}

static inline const double *nst_const_doubles(const struct nst_buffer *b)
{
    return (const double *)b;
}

static inline double *nst_scalar_at(struct nst_scalar s)
{
    return nst_doubles(s.buffer) + s.index;
}

enum nst_status nst_host_buffer_alloc(struct nst_backend *be, struct nst_buffer **out,
                                      size_t bytes, struct nst_err *err);
void nst_host_buffer_free(struct nst_backend *be, struct nst_buffer *buffer);
void nst_host_buffer_upload(struct nst_backend *be, struct nst_buffer *to,
                            const void *from, size_t bytes);
void nst_host_buffer_download(struct nst_backend *be, void *to,
                              const struct nst_buffer *from, size_t bytes);
void nst_host_buffer_copy(struct nst_backend *be, struct nst_buffer *to,
                          const struct nst_buffer *from, size_t bytes);
void nst_host_graph_replay(struct nst_backend *be, struct nst_graph **graph,
                           void (*work)(void *ctx), void *ctx);
void nst_host_graph_free(struct nst_backend *be, struct nst_graph *graph);
void nst_host_copy_window(struct nst_backend *be, const struct nst_buffer *from,
                          struct nst_image_size size, struct nst_window window,
                          struct nst_buffer *to, struct nst_image_size to_size,
                          int to_top, int to_left);

/* A tensor of planes planes of floats each. NST_ERR_MEM: *out is NULL. */
enum nst_status nst_host_tensor_new(struct nst_tensor **out, struct nst_shape shape,
                                    int planes, size_t floats, struct nst_err *err);
void nst_host_tensor_free(struct nst_backend *be, struct nst_tensor *t);

/* host_losses.c */
void nst_host_gram_loss(struct nst_backend *be, int channels,
                        const struct nst_buffer *products, double scale,
                        const struct nst_buffer *target, double factor,
                        struct nst_buffer *derivative, struct nst_scalar sum);
void nst_host_moment_loss(struct nst_backend *be, int channels,
                          const struct nst_layer_moments *m, double factor,
                          struct nst_buffer *derivative, struct nst_buffer *offset,
                          struct nst_scalar sum);
size_t nst_host_matrix_bytes(const struct nst_backend *be, int channels);
void nst_host_matrix_pack(struct nst_backend *be, int channels,
                          struct nst_buffer *derivative);
void nst_host_tv_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                      struct nst_image_size size, float scale, struct nst_buffer *grad,
                      struct nst_scalar sum);
void nst_host_temporal_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                            struct nst_image_size size,
                            const struct nst_buffer *previous,
                            const struct nst_buffer *static_mask, float scale,
                            struct nst_buffer *grad, struct nst_scalar sum);

extern const struct nst_vector_ops nst_host_vectors;

/* Entries of a CPU backend's table: its own functions, prefix_open() and so on, and
 * those above. conv_new and conv_free follow. */
#define NST_HOST_OPERATORS(prefix)                                                     \
    .open = prefix##_open, .close = prefix##_close, .clone = prefix##_clone,           \
    .tensor_new = prefix##_tensor_new, .tensor_bytes = prefix##_tensor_bytes,          \
    .tensor_copy = prefix##_tensor_copy, .tensor_upload = prefix##_tensor_upload,      \
    .tensor_download = prefix##_tensor_download, .conv = prefix##_conv,                \
    .conv_grad = prefix##_conv_grad, .head_grad = prefix##_head_grad,                  \
    .first_conv = prefix##_first_conv, .first_conv_grad = prefix##_first_conv_grad,    \
    .layer_sums = prefix##_layer_sums, .squared_error = prefix##_squared_error,        \
    .tensor_free = nst_host_tensor_free, .buffer_alloc = nst_host_buffer_alloc,        \
    .buffer_free = nst_host_buffer_free, .buffer_upload = nst_host_buffer_upload,      \
    .buffer_download = nst_host_buffer_download, .buffer_copy = nst_host_buffer_copy,  \
    .graph_replay = nst_host_graph_replay, .graph_free = nst_host_graph_free,          \
    .copy_window = nst_host_copy_window, .gram_loss = nst_host_gram_loss,              \
    .moment_loss = nst_host_moment_loss, .matrix_bytes = nst_host_matrix_bytes,        \
    .matrix_pack = nst_host_matrix_pack, .tv_loss = nst_host_tv_loss,                  \
    .temporal_loss = nst_host_temporal_loss, .vectors = &nst_host_vectors

#endif
