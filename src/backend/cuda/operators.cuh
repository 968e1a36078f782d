/* SPDX-License-Identifier: MIT */
/*
 * operators.cuh - the CUDA operators of struct nst_backend_ops, which documents them.
 * T, the type of the maps' values, is float or __half.
 */
#ifndef NST_BACKEND_CUDA_OPERATORS_CUH
#define NST_BACKEND_CUDA_OPERATORS_CUH

#include "backend/cuda/device.cuh"

/* tensor.cu */
enum nst_status cuda_buffer_alloc(struct nst_backend *be, struct nst_buffer **out,
                                  size_t bytes, struct nst_err *err);
void cuda_buffer_free(struct nst_backend *be, struct nst_buffer *buffer);
void cuda_buffer_upload(struct nst_backend *be, struct nst_buffer *to, const void *from,
                        size_t bytes);
void cuda_buffer_download(struct nst_backend *be, void *to,
                          const struct nst_buffer *from, size_t bytes);
void cuda_buffer_copy(struct nst_backend *be, struct nst_buffer *to,
                      const struct nst_buffer *from, size_t bytes);
void cuda_copy_window(struct nst_backend *be, const struct nst_buffer *from,
                      struct nst_image_size size, struct nst_window window,
                      struct nst_buffer *to, struct nst_image_size to_size, int to_top,
                      int to_left);
template <class T>
enum nst_status cuda_tensor_new(struct nst_backend *be, struct nst_tensor **out,
                                struct nst_shape shape, struct nst_err *err);
void cuda_tensor_free(struct nst_backend *be, struct nst_tensor *t);
template <class T>
size_t cuda_tensor_bytes(const struct nst_backend *be, struct nst_shape shape,
                         size_t *scratch);
/* Copy n values, through a ReLU if apply_relu. */
template <class T>
void cuda_copy_map(struct cuda *cu, const T *from, bool apply_relu, T *to, size_t n);
template <class T>
void cuda_tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                      bool apply_relu, struct nst_tensor *to);
template <class T>
void cuda_tensor_upload(struct nst_backend *be, const float *planar,
                        struct nst_tensor *t);
template <class T>
void cuda_tensor_download(struct nst_backend *be, const struct nst_tensor *t,
                          float *planar);

/* graph.cu */
void cuda_graph_replay(struct nst_backend *be, struct nst_graph **graph,
                       void (*work)(void *ctx), void *ctx);
void cuda_graph_free(struct nst_backend *be, struct nst_graph *graph);

/* conv.cu */
template <class T>
enum nst_status cuda_conv_new(struct nst_backend *be, struct nst_conv **out,
                              const struct nst_filters *filters, struct nst_err *err);
void cuda_conv_free(struct nst_backend *be, struct nst_conv *k);
template <class T>
void cuda_conv(struct nst_backend *be, const struct nst_conv *k,
               const struct nst_tensor *x, bool apply_relu, struct nst_tensor *y,
               bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled);
template <class T>
void cuda_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                    const struct nst_tensor *gy, const struct nst_backward_step *step);
/* In fp16, a matrix has a copy in halves behind it, which cuda_matrix_pack() makes. */
template <class T> size_t cuda_matrix_bytes(const struct nst_backend *be, int channels);
template <class T>
void cuda_matrix_pack(struct nst_backend *be, int channels,
                      struct nst_buffer *derivative);
template <class T>
void cuda_head_grad(struct nst_backend *be, const struct nst_backward_step *step);

/* first_conv.cu */
template <class T>
void cuda_first_conv(struct nst_backend *be, const struct nst_conv *k,
                     const struct nst_buffer *rgb, struct nst_tensor *y, bool out_relu);
template <class T>
void cuda_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                          const struct nst_tensor *gy, struct nst_buffer *rgb);

/* gram.cu */
template <class T>
void cuda_layer_sums(struct nst_backend *be, const struct nst_tensor *f,
                     bool apply_relu, struct nst_window window,
                     const struct nst_buffer *mask, bool add,
                     struct nst_layer_sums sums);

/* reduction.cu */
template <class T>
void cuda_channel_sums(struct nst_backend *be, const struct nst_tensor *f,
                       bool apply_relu, struct nst_window window,
                       const struct nst_buffer *mask, bool add,
                       struct nst_buffer *sums);
template <class T>
void cuda_squared_error(struct nst_backend *be, const struct nst_tensor *f,
                        bool apply_relu, const struct nst_tensor *t,
                        struct nst_window window, bool add, struct nst_scalar sum);

/* losses.cu */
void cuda_gram_loss(struct nst_backend *be, int channels,
                    const struct nst_buffer *products, double scale,
                    const struct nst_buffer *target, double factor,
                    struct nst_buffer *derivative, struct nst_scalar sum);
void cuda_moment_loss(struct nst_backend *be, int channels,
                      const struct nst_layer_moments *m, double factor,
                      struct nst_buffer *derivative, struct nst_buffer *offset,
                      struct nst_scalar sum);
void cuda_tv_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                  struct nst_image_size size, float scale, struct nst_buffer *grad,
                  struct nst_scalar sum);
void cuda_temporal_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                        struct nst_image_size size, const struct nst_buffer *previous,
                        const struct nst_buffer *static_mask, float scale,
                        struct nst_buffer *grad, struct nst_scalar sum);

/* vectors.cu */
extern const struct nst_vector_ops cuda_vectors;
enum nst_status cuda_vectors_init(struct cuda *cu, struct nst_err *err);
void cuda_vectors_close(struct cuda *cu);

#endif
