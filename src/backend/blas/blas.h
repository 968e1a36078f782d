/* SPDX-License-Identifier: MIT */
/*
 * blas.h - a second CPU backend, whose products are those of a BLAS, loaded at run
 * time.
 *
 * A map is planar (C x H x W), each plane in a frame of zeros one pixel wide. So a 3x3
 * convolution is the sum of nine matrix products, one for each tap, of the map itself,
 * shifted by the tap's offset: im2col without a copy. For padding other than zeros it
 * reads a copy of some rows, whose frame is the padding; its gradient adds that of the
 * frame to the pixels that the frame repeats.
 *
 * Threads take bands of rows. The BLAS runs on one thread in each of them, and the
 * shapes alone decide the bands, so results are identical for any number of threads.
 */
#ifndef NST_BACKEND_BLAS_BLAS_H
#define NST_BACKEND_BLAS_BLAS_H

#include "backend/host.h"
#include "backend/planar_conv.h"

/* cblas_sgemm() for row-major matrices, with its enumerations as int. */
typedef void nst_sgemm_fn(int order, int trans_a, int trans_b, int m, int n, int k,
                          float alpha, const float *a, int lda, const float *b, int ldb,
                          float beta, float *c, int ldc);
enum { NST_ROW_MAJOR = 101, NST_NO_TRANS = 111, NST_TRANS = 112 };

/* Scratch memory: floats of each thread, and doubles that all share. */
struct nst_blas_scratch {
    size_t floats, sums;
};

struct nst_blas {
    struct nst_backend base;
    nst_sgemm_fn *sgemm;
    float **scratch; /* of each thread */
    double *sums;    /* of groups of pixels, for a Gram matrix */
    struct nst_blas_scratch reserved;
};

/* Distance of rows, and of channels. A zero at either end of a plane is what the taps
 * of the frame's own corners read. */
static inline int nst_blas_pitch(struct nst_shape s)
{
    return s.w + 2;
}

static inline size_t nst_blas_plane(struct nst_shape s)
{
    return ((size_t)s.h + 2) * (size_t)nst_blas_pitch(s) + 2;
}

static inline float *nst_blas_row(const struct nst_tensor *t, int channel, int row)
{
    return nst_floats(t->data) + (size_t)channel * nst_blas_plane(t->shape) +
           ((size_t)row + 1) * (size_t)nst_blas_pitch(t->shape) + 2;
}

/* Rows of a band, an even number: an eighth of the map, between 128 and 1024 pixels. */
static inline int nst_blas_band_rows(struct nst_shape s)
{
    int pitch = nst_blas_pitch(s), rows = (s.h + 7) / 8;
    int least = (128 + pitch - 1) / pitch, most = (1024 + pitch - 1) / pitch;

    rows = rows < least ? least : rows > most ? most : rows;
    return (rows + 1) / 2 * 2;
}

static inline int nst_blas_bands(struct nst_shape s)
{
    int rows = nst_blas_band_rows(s);

    return (s.h + rows - 1) / rows;
}

/* Find a BLAS: $NST_BLAS, or OpenBLAS, or the system's. NST_ERR_ARG: there is none;
 * NST_ERR_MEM: no address space for its use from this number of threads. */
enum nst_status nst_blas_load(nst_sgemm_fn **sgemm, int threads, struct nst_err *err);

/* Like nst_threads_run(); with OpenMP if this is built with it. */
void nst_blas_for(struct nst_backend *be, int items, nst_work_fn *work, void *ctx);

/* conv.c */

/* Floats of scratch memory for convolutions from and to a map, for each thread. */
size_t nst_blas_conv_scratch(struct nst_shape s);
void nst_blas_conv(struct nst_backend *be, const struct nst_conv *k,
                   const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                   bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled);
void nst_blas_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                        const struct nst_tensor *gy,
                        const struct nst_backward_step *step);
void nst_blas_head_grad(struct nst_backend *be, const struct nst_backward_step *step);
void nst_blas_first_conv(struct nst_backend *be, const struct nst_conv *k,
                         const struct nst_buffer *rgb, struct nst_tensor *y,
                         bool out_relu);
void nst_blas_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                              const struct nst_tensor *gy, struct nst_buffer *rgb);

/* sums.c */
struct nst_blas_scratch nst_blas_gram_scratch(struct nst_shape s);
void nst_blas_layer_sums(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                         struct nst_window window, const struct nst_buffer *mask,
                         bool add, struct nst_layer_sums sums);
void nst_blas_squared_error(struct nst_backend *be, const struct nst_tensor *f,
                            bool relu, const struct nst_tensor *t,
                            struct nst_window window, bool add, struct nst_scalar sum);

#endif
