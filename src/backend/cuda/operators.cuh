/* SPDX-License-Identifier: MIT */
/*
 * operators.cuh - the operators of struct nst_backend_ops on the device, for maps of T:
 * float or __half. What each means is said there.
 */
#ifndef NST_BACKEND_CUDA_OPERATORS_CUH
#define NST_BACKEND_CUDA_OPERATORS_CUH

#include "backend/cuda/device.cuh"

/* maps.cu */
enum nst_status cuda_numbers_new(struct nst_backend *be, void **out, size_t bytes,
                                 struct nst_err *err);
void cuda_numbers_free(struct nst_backend *be, void *numbers);
void cuda_put(struct nst_backend *be, void *to, const void *from, size_t bytes);
void cuda_get(struct nst_backend *be, void *to, const void *from, size_t bytes);
void cuda_copy_numbers(struct nst_backend *be, void *to, const void *from,
                       size_t bytes);
void cuda_copy_window(struct nst_backend *be, const float *from, struct nst_planes of,
                      struct nst_window window, float *to, struct nst_planes to_of,
                      int to_top, int to_left);
template <class T>
enum nst_status cuda_tensor_new(struct nst_backend *be, struct nst_tensor **out,
                                struct nst_shape shape, struct nst_err *err);
void cuda_tensor_free(struct nst_backend *be, struct nst_tensor *t);
template <class T>
size_t cuda_tensor_bytes(const struct nst_backend *be, struct nst_shape shape,
                         size_t *scratch);
/* n values, as a ReLU leaves them if clip */
template <class T>
void cuda_copy(struct cuda *cu, const T *from, bool clip, T *to, size_t n);
template <class T>
void cuda_tensor_copy(struct nst_backend *be, const struct nst_tensor *from, bool clip,
                      struct nst_tensor *to);
template <class T>
void cuda_upload(struct nst_backend *be, const float *planar, struct nst_tensor *t);
template <class T>
void cuda_download(struct nst_backend *be, const struct nst_tensor *t, float *planar);

/* program.cu */
void cuda_repeat(struct nst_backend *be, struct nst_program **program,
                 void (*work)(void *ctx), void *ctx);
void cuda_forget(struct nst_backend *be, struct nst_program *program);

/* conv.cu */
template <class T>
enum nst_status cuda_conv_new(struct nst_backend *be, struct nst_conv **out,
                              const float *weight, const float *bias, int cin, int cout,
                              const struct nst_normalisation *picture,
                              struct nst_err *err);
void cuda_conv_free(struct nst_backend *be, struct nst_conv *k);
template <class T>
void cuda_conv(struct nst_backend *be, const struct nst_conv *k,
               const struct nst_tensor *x, bool clip, struct nst_tensor *y,
               bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled);
template <class T>
void cuda_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                    const struct nst_tensor *gy, const struct nst_joint *joint);
/* What of a matrix depends on it alone: halves, where they are multiplied. */
template <class T> size_t cuda_matrix_bytes(const struct nst_backend *be, int channels);
template <class T>
void cuda_ready_matrix(struct nst_backend *be, int channels, float *derivative);
template <class T>
void cuda_last_grad(struct nst_backend *be, const struct nst_joint *joint);

/* picture.cu */
template <class T>
void cuda_conv_picture(struct nst_backend *be, const struct nst_conv *k,
                       const float *rgb, struct nst_tensor *y, bool out_relu);
template <class T>
void cuda_conv_picture_grad(struct nst_backend *be, const struct nst_conv *k,
                            const struct nst_tensor *gy, float *rgb);

/* sums.cu */
template <class T>
void cuda_gram(struct nst_backend *be, const struct nst_tensor *f, bool clip,
               struct nst_window window, const float *guide, bool add, double *sums);
template <class T>
void cuda_channel_sums(struct nst_backend *be, const struct nst_tensor *f, bool clip,
                       struct nst_window window, const float *guide, bool add,
                       double *sums);
template <class T>
void cuda_squared_error(struct nst_backend *be, const struct nst_tensor *f, bool clip,
                        const struct nst_tensor *t, struct nst_window window, bool add,
                        double *sum);

/* losses.cu */
void cuda_gram_loss(struct nst_backend *be, int channels, const double *products,
                    double scale, const double *target, double factor,
                    float *derivative, double *sum);
void cuda_moment_loss(struct nst_backend *be, int channels,
                      const struct nst_layer_moments *m, double factor,
                      float *derivative, float *offset, double *sum);
void cuda_variation(struct nst_backend *be, const float *rgb, struct nst_planes of,
                    float scale, float *grad, double *sum);
void cuda_pull(struct nst_backend *be, const float *rgb, struct nst_planes of,
               const float *before, const float *still, float scale, float *grad,
               double *sum);

/* vectors.cu */
extern const struct nst_vector_ops cuda_vectors;
enum nst_status cuda_vectors_furnish(struct cuda *cu, struct nst_err *err);
void cuda_vectors_close(struct cuda *cu);

#endif
