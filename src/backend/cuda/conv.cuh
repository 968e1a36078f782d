/* SPDX-License-Identifier: MIT */
/*
 * conv.cuh - a convolution's weights on the device, and the products that are
 * convolutions: of the 3 x 3 patches of a map with them.
 */
#ifndef NST_BACKEND_CUDA_CONV_CUH
#define NST_BACKEND_CUDA_CONV_CUH

#include "backend/cuda/device.cuh"

/*
 * Everything is a product with patches, in which a pixel's neighbours lie one after the
 * other, row by row, channels together: ahead is cout x (3 x 3 x cin), back is cin x (3
 * x 3 x cout), turned round, and gives the gradient. Of a picture's convolution ahead
 * is float, cout x (3 x 3 x 3), and back 32 x cout: its row 3 (3 u + v) + c is the
 * weight of tap (u, v) and colour c, and the last five are 0.
 */
struct nst_conv {
    void *w_fwd, *w_bwd;
    float *bias;
    int cin, cout;
    const struct nst_normalisation *picture; /* or NULL */
};

#define FIRST_CONV_TAPS 32

/* What a convolution of a map x (h x w x cin) makes. */
template <class T> struct conv_args {
    const T *x;
    const T *weight; /* cout x (9 cin) */
    int cin, cout, h, w;
    bool relu; /* of x */
};

/* Rows of y = conv + bias, or what a ReLU leaves of it, and perhaps pooled. */
template <class T> struct epilogue {
    const float *bias; /* or NULL: 0 */
    T *y, *pooled;     /* y: of row top on; pooled: of all that top is even; or NULL */
    bool relu, average;
    int top, rows;
};

/* conv.cu. Patches are laid out in room where they must be, for so many rows at once as
 * there is room for: so many bytes each; or 0. */
template <class T>
size_t cuda_im2col_row_bytes(const struct cuda *cu, const struct conv_args<T> &p);
template <class T>
void cuda_convolve(struct cuda *cu, const struct conv_args<T> &p,
                   const struct epilogue<T> &o, struct cuda_arena arena);
void cuda_implicit_gemm_init(struct cuda *cu); /* once, on its device */
/* implicit_gemm.cu: on tensor cores, where cuda_uses_tensor_cores() of cin and cout. */
template <class T>
void cuda_implicit_gemm(struct cuda *cu, const struct conv_args<T> &p,
                        const struct epilogue<T> &o);

#endif
