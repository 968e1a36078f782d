/* SPDX-License-Identifier: MIT */
/*
 * conv.cuh - weights of a convolution on the device, and the 3 x 3 convolution as a
 * matrix product of patches and weights.
 */
#ifndef NST_BACKEND_CUDA_CONV_CUH
#define NST_BACKEND_CUDA_CONV_CUH

#include "backend/cuda/device.cuh"

/*
 * A patch holds the 3 x 3 neighbours of a pixel, row by row, channels innermost. w_fwd
 * is cout x (3 x 3 x cin). w_bwd is cin x (3 x 3 x cout), rotated by 180 degrees, and
 * gives the gradient. In the first convolution w_fwd is float, cout x (3 x 3 x 3), and
 * w_bwd is FIRST_CONV_TAPS x cout: row 3 (3 u + v) + c has the weights of tap (u, v)
 * and colour c, and the last five rows are 0.
 */
struct nst_conv {
    void *w_fwd, *w_bwd;
    float *bias;
    int cin, cout;
    enum nst_padding padding;
    const struct nst_normalisation *picture; /* borrowed; NULL but for the first one */
};

#define FIRST_CONV_TAPS 32

/* Input of a convolution: a map x (h x w x cin) and the weights. */
template <class T> struct conv_args {
    const T *x;
    const T *weight; /* cout x (9 cin) */
    int cin, cout, h, w;
    bool relu; /* apply a ReLU to x */
    enum nst_padding padding;
};

/* Output: rows of y = conv + bias, optionally through a ReLU and pooled. */
template <class T> struct epilogue {
    const float *bias; /* or NULL: 0 */
    T *y, *pooled; /* y: rows from top on; pooled: whole map (top is even) or NULL */
    bool relu, average;
    int top, rows;
};

/* conv.cu. Bytes of im2col scratch for each output row; 0 where the implicit GEMM
 * applies. cuda_convolve() processes as many rows at once as fit into arena. */
template <class T>
size_t cuda_im2col_row_bytes(const struct cuda *cu, const struct conv_args<T> &p);
template <class T>
void cuda_convolve(struct cuda *cu, const struct conv_args<T> &p,
                   const struct epilogue<T> &o, struct cuda_arena arena);
void cuda_implicit_gemm_init(struct cuda *cu); /* once, with its device current */
/* implicit_gemm.cu. Requires cuda_uses_tensor_cores() for cin and cout. */
template <class T>
void cuda_implicit_gemm(struct cuda *cu, const struct conv_args<T> &p,
                        const struct epilogue<T> &o);

/* ---- on the device ---- */

/* The pixel that stands for one inside or next to a map of h x w pixels; -1: a zero. */
static __device__ __forceinline__ int padded_pixel(int row, int column, int h, int w,
                                                   enum nst_padding padding)
{
    int r = nst_padded_index(row, h, padding), c = nst_padded_index(column, w, padding);

    return r < 0 || c < 0 ? -1 : r * w + c;
}

/* Call f(tap, i, j) for each output i, j of a convolution whose tap reads the pixel as
 * padding. They are next to the pixel or equal it. */
template <class F>
static __device__ __forceinline__ void for_padding_readers(int row, int column, int h,
                                                           int w,
                                                           enum nst_padding padding,
                                                           F f)
{
    bool inner = row > 1 && row < h - 2 && column > 1 && column < w - 2;

    if (inner || padding == NST_PADDING_ZERO)
        return;
    for (int tap = 0; tap < 9; tap++) {
        int u = tap / 3, v = tap % 3, i[2], j[2];
        int rows = nst_padded_readers(row, u, h, padding, i);
        int columns = nst_padded_readers(column, v, w, padding, j);

        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
                if (i[r] != row - u + 1 || j[c] != column - v + 1)
                    f(tap, i[r], j[c]);
    }
}

#endif
