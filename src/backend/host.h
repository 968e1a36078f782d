/* SPDX-License-Identifier: MIT */
/*
 * host.h - what all backends on the CPU have in common: their numbers are the process's
 * own memory, and whatever is no product of matrices costs little in plain C.
 */
#ifndef NST_BACKEND_HOST_H
#define NST_BACKEND_HOST_H

#include "backend/backend.h"

enum nst_status nst_host_numbers_new(struct nst_backend *be, void **out, size_t bytes,
                                     struct nst_err *err);
void nst_host_numbers_free(struct nst_backend *be, void *numbers);
void nst_host_copy(struct nst_backend *be, void *to, const void *from, size_t bytes);
void nst_host_repeat(struct nst_backend *be, struct nst_program **program,
                     void (*work)(void *ctx), void *ctx);
void nst_host_forget(struct nst_backend *be, struct nst_program *program);
void nst_host_copy_window(struct nst_backend *be, const float *from,
                          struct nst_planes of, struct nst_window window, float *to,
                          struct nst_planes to_of, int to_top, int to_left);

/* losses.c */
void nst_host_gram_loss(struct nst_backend *be, int channels, const double *products,
                        double scale, const double *target, double factor,
                        float *derivative, double *sum);
void nst_host_moment_loss(struct nst_backend *be, int channels,
                          const struct nst_layer_moments *m, double factor,
                          float *derivative, float *offset, double *sum);
size_t nst_host_matrix_bytes(const struct nst_backend *be, int channels);
void nst_host_ready_matrix(struct nst_backend *be, int channels, float *derivative);
void nst_host_variation(struct nst_backend *be, const float *rgb, struct nst_planes of,
                        float scale, float *grad, double *sum);
void nst_host_pull(struct nst_backend *be, const float *rgb, struct nst_planes of,
                   const float *before, const float *still, float scale, float *grad,
                   double *sum);

extern const struct nst_vector_ops nst_host_vectors;

#define NST_HOST_OPERATORS                                                             \
    .numbers_new = nst_host_numbers_new, .numbers_free = nst_host_numbers_free,        \
    .put = nst_host_copy, .get = nst_host_copy, .copy = nst_host_copy,                 \
    .repeat = nst_host_repeat, .forget = nst_host_forget,                              \
    .copy_window = nst_host_copy_window, .gram_loss = nst_host_gram_loss,              \
    .moment_loss = nst_host_moment_loss, .matrix_bytes = nst_host_matrix_bytes,        \
    .ready_matrix = nst_host_ready_matrix, .variation = nst_host_variation,            \
    .pull = nst_host_pull, .vectors = &nst_host_vectors

#endif
