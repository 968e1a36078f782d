/* SPDX-License-Identifier: MIT */
/*
 * host.h - operators shared by all CPU backends. Their buffers are host memory, and
 * operators other than matrix products cost little in plain C.
 */
#ifndef NST_BACKEND_HOST_H
#define NST_BACKEND_HOST_H

#include "backend/backend.h"

enum nst_status nst_host_buffer_alloc(struct nst_backend *be, void **out, size_t bytes,
                                      struct nst_err *err);
void nst_host_buffer_free(struct nst_backend *be, void *buffer);
void nst_host_buffer_copy(struct nst_backend *be, void *to, const void *from,
                          size_t bytes);
void nst_host_graph_replay(struct nst_backend *be, struct nst_graph **graph,
                           void (*work)(void *ctx), void *ctx);
void nst_host_graph_free(struct nst_backend *be, struct nst_graph *graph);
void nst_host_copy_window(struct nst_backend *be, const float *from,
                          struct nst_image_size size, struct nst_window window,
                          float *to, struct nst_image_size to_size, int to_top,
                          int to_left);

/* host_losses.c */
void nst_host_gram_loss(struct nst_backend *be, int channels, const double *products,
                        double scale, const double *target, double factor,
                        float *derivative, double *sum);
void nst_host_moment_loss(struct nst_backend *be, int channels,
                          const struct nst_layer_moments *m, double factor,
                          float *derivative, float *offset, double *sum);
size_t nst_host_matrix_bytes(const struct nst_backend *be, int channels);
void nst_host_matrix_pack(struct nst_backend *be, int channels, float *derivative);
void nst_host_tv_loss(struct nst_backend *be, const float *rgb,
                      struct nst_image_size size, float scale, float *grad,
                      double *sum);
void nst_host_temporal_loss(struct nst_backend *be, const float *rgb,
                            struct nst_image_size size, const float *previous,
                            const float *static_mask, float scale, float *grad,
                            double *sum);

extern const struct nst_vector_ops nst_host_vectors;

#define NST_HOST_OPERATORS                                                             \
    .buffer_alloc = nst_host_buffer_alloc, .buffer_free = nst_host_buffer_free,        \
    .buffer_upload = nst_host_buffer_copy, .buffer_download = nst_host_buffer_copy,    \
    .buffer_copy = nst_host_buffer_copy, .graph_replay = nst_host_graph_replay,        \
    .graph_free = nst_host_graph_free, .copy_window = nst_host_copy_window,            \
    .gram_loss = nst_host_gram_loss, .moment_loss = nst_host_moment_loss,              \
    .matrix_bytes = nst_host_matrix_bytes, .matrix_pack = nst_host_matrix_pack,        \
    .tv_loss = nst_host_tv_loss, .temporal_loss = nst_host_temporal_loss,              \
    .vectors = &nst_host_vectors

#endif
