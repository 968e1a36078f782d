/* SPDX-License-Identifier: MIT */
/*
 * conv.cu - convolutions. With tensor cores, patches are read as they are multiplied
 * (implicit_gemm.cu). Otherwise im2col writes the patches of some rows, and cuBLAS
 * multiplies them.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"

#include <stdlib.h>

extern "C" {
#include "base/alloc.h"
}

void cuda_conv_free(struct nst_backend *be, struct nst_conv *k)
{
    struct cuda *cu = cuda_of(be);

    if (!k)
        return;
    cuda_ok(cu, cudaFree(k->w_fwd));
    cuda_ok(cu, cudaFree(k->w_bwd));
    cuda_ok(cu, cudaFree(k->bias));
    free(k);
}

/* Round a weight for the tensor cores, which truncate floats to TF32. */
static __device__ __forceinline__ void store_weight(float *to, float v, bool tf32)
{
    *to = tf32 ? __uint_as_float(ptx::to_tf32(v)) : v;
}
static __device__ __forceinline__ void store_weight(__half *to, float v, bool)
{
    store(to, v);
}

/* w (cout x cin x 9) to w_fwd and w_bwd. */
template <class T>
__global__ void weights_kernel(const float *w, int cin, int cout, T *w_fwd, T *w_bwd,
                               bool tf32)
{
    for (size_t i = cuda_grid_index(); i < (size_t)9 * cin * cout;
         i += cuda_grid_stride()) {
        size_t tap = i % 9, ci = i / 9 % cin, co = i / 9 / cin;

        store_weight(&w_fwd[(co * 9 + tap) * cin + ci], w[i], tf32);
        store_weight(&w_bwd[(ci * 9 + 8 - tap) * cout + co], w[i], tf32);
    }
}

/* The same for the first convolution. */
template <class T>
__global__ void first_conv_weights_kernel(const float *w, int cout, float *w_fwd,
                                          T *w_bwd)
{
    for (size_t i = cuda_grid_index(); i < (size_t)FIRST_CONV_TAPS * cout;
         i += cuda_grid_stride()) {
        size_t row = i / cout, co = i % cout;
        float v = row < 27 ? w[(co * 3 + row % 3) * 9 + row / 3] : 0;

        store(&w_bwd[i], v);
        if (row < 27)
            w_fwd[co * 27 + row] = v;
    }
}

template <class T>
enum nst_status cuda_conv_new(struct nst_backend *be, struct nst_conv **out,
                              const struct nst_filters *f, struct nst_err *err)
{
    struct cuda *cu = cuda_of(be);
    struct nst_conv *k = static_cast<struct nst_conv *>(nst_xcalloc(1, sizeof *k));
    const struct nst_normalisation *picture = f->picture;
    int cin = f->cin, cout = f->cout;
    size_t n = (size_t)9 * cin * cout,
           bwd_count = picture ? (size_t)FIRST_CONV_TAPS * cout : n;
    enum nst_status st;

    *out = NULL;
    k->cin = cin;
    k->cout = cout;
    k->padding = f->padding;
    k->picture = picture;
    st = cuda_alloc(cu, &k->w_fwd, n * (picture ? sizeof(float) : sizeof(T)), err);
    if (st == NST_OK)
        st = cuda_alloc(cu, &k->w_bwd, bwd_count * sizeof(T), err);
    if (st == NST_OK)
        st = cuda_alloc(cu, reinterpret_cast<void **>(&k->bias),
                        (size_t)cout * sizeof(float), err);
    if (st == NST_OK)
        st = cuda_reserve_scratch(cu, &cu->current, n * sizeof(float), err);
    if (st != NST_OK) {
        cuda_conv_free(be, k);
        return st;
    }
    cuda_copy_async(cu, cu->current.scratch, f->weight, n * sizeof(float));
    cuda_copy_async(cu, k->bias, f->bias, (size_t)cout * sizeof(float));
    if (picture)
        cuda_launch_1d(cu, first_conv_weights_kernel<T>, bwd_count,
                       reinterpret_cast<const float *>(cu->current.scratch), cout,
                       static_cast<float *>(k->w_fwd), static_cast<T *>(k->w_bwd));
    else
        cuda_launch_1d(cu, weights_kernel<T>, n,
                       reinterpret_cast<const float *>(cu->current.scratch), cin, cout,
                       static_cast<T *>(k->w_fwd), static_cast<T *>(k->w_bwd),
                       cu->precision == NST_PRECISION_TF32);
    /* Clones use it on streams of their own. Also, a device without code for it fails
     * now rather than at the first image. */
    st = cuda_synchronize(cu, err);
    if (st != NST_OK) {
        cuda_conv_free(be, k);
        return st;
    }
    cuda_query_memory(cu);
    *out = k;
    return NST_OK;
}

/* Patches of rows from top on: 9 x cin values for each pixel. */
template <class T>
__global__ void im2col_kernel(struct conv_args<T> p, int top, int rows, T *out)
{
    size_t n = (size_t)rows * p.w * 9 * p.cin;

    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        int ci = (int)(i % p.cin), tap = (int)(i / p.cin % 9);
        size_t pixel = i / p.cin / 9;
        int row = top + (int)(pixel / p.w) + tap / 3 - 1;
        int column = (int)(pixel % p.w) + tap % 3 - 1;
        int from = padded_pixel(row, column, p.h, p.w, p.padding);
        float v = from < 0 ? 0 : to_float(p.x[(size_t)from * p.cin + ci]);

        store(&out[i], p.relu ? relu(v) : v);
    }
}

template <class T>
__global__ void bias_kernel(const float *bias, T *y, int c, size_t pixels)
{
    for (size_t i = cuda_grid_index(); i < pixels * c; i += cuda_grid_stride())
        store(&y[i], bias[i % c]);
}

/* Epilogue of im2col: the ReLU, and 2 x 2 pooling through a ReLU. */
template <class T> __global__ void relu_kernel(T *y, size_t n)
{
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride())
        store(&y[i], relu(to_float(y[i])));
}

template <class T>
__global__ void pool_kernel(const T *y, int c, int h, int w, bool average, T *pooled)
{
    size_t n = (size_t)(h / 2) * (w / 2) * c;

    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        size_t k = i % c, column = i / c % (w / 2), row = i / c / (w / 2);
        const T *from = y + (2 * row * w + 2 * column) * c + k;
        float a = relu(to_float(from[0])), b = relu(to_float(from[c]));
        float d = relu(to_float(from[(size_t)w * c])),
              e = relu(to_float(from[(size_t)w * c + c]));

        store(&pooled[i],
              average ? 0.25f * (a + b + d + e) : fmaxf(fmaxf(a, b), fmaxf(d, e)));
    }
}

/* A convolution by im2col, on any device; arena holds the patches. */
template <class T>
static void im2col_conv(struct cuda *cu, const struct conv_args<T> &p,
                        const struct epilogue<T> &o, struct cuda_arena arena)
{
    size_t row = (size_t)p.w * 9 * p.cin;
    int rows = cuda_arena_rows(&arena, row * sizeof(T), o.rows);
    T *columns = cuda_arena_alloc<T>(&arena, row * rows);
    size_t n = (size_t)o.rows * p.w * p.cout;

    for (int done = 0; done < o.rows; done += rows) {
        int band = done + rows < o.rows ? rows : o.rows - done;
        size_t pixels = (size_t)band * p.w;
        T *y = o.y + (size_t)done * p.w * p.cout;

        cuda_launch_1d(cu, im2col_kernel<T>, band * row, p, o.top + done, band,
                       columns);
        if (o.bias)
            cuda_launch_1d(cu, bias_kernel<T>, pixels * p.cout, o.bias, y, p.cout,
                           pixels);
        cuda_gemm<T>(cu, pixels, p.cout, 9 * p.cin, 1, columns, p.weight,
                     o.bias ? 1 : 0, y);
    }
    if (o.relu)
        cuda_launch_1d(cu, relu_kernel<T>, n, o.y, n);
    if (o.pooled)
        cuda_launch_1d(cu, pool_kernel<T>, n / 4, o.y, p.cout, p.h, p.w, o.average,
                       o.pooled);
}

template <class T>
size_t cuda_im2col_row_bytes(const struct cuda *cu, const struct conv_args<T> &p)
{
    bool implicit =
        cuda_uses_tensor_cores(cu, p.cin) && cuda_uses_tensor_cores(cu, p.cout);

    return implicit ? 0 : (size_t)p.w * 9 * p.cin * sizeof(T);
}

template <class T>
void cuda_convolve(struct cuda *cu, const struct conv_args<T> &p,
                   const struct epilogue<T> &o, struct cuda_arena arena)
{
    if (cuda_im2col_row_bytes(cu, p) == 0)
        cuda_implicit_gemm(cu, p, o);
    else
        im2col_conv(cu, p, o, arena);
}

template <class T>
void cuda_conv(struct nst_backend *be, const struct nst_conv *k,
               const struct nst_tensor *x, bool apply_relu, struct nst_tensor *y,
               bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = y->shape;
    struct conv_args<T> p = {
        tensor_data<T>(x), static_cast<const T *>(k->w_fwd), k->cin, k->cout, s.h, s.w,
            apply_relu, k->padding
    };
    struct epilogue<T> o = {
        k->bias, tensor_data<T>(y), pooled ? tensor_data<T>(pooled) : NULL, out_relu,
            pooling == NST_POOLING_AVG, 0, s.h
    };

    cuda_convolve(cu, p, o, cuda_arena(cu));
    cuda_record_ready(cu, y);
}

#define INSTANTIATE(T)                                                                 \
    template enum nst_status cuda_conv_new<T>(                                         \
        struct nst_backend *, struct nst_conv **, const struct nst_filters *,          \
        struct nst_err *);                                                             \
    template void cuda_conv<T>(struct nst_backend *, const struct nst_conv *,          \
                               const struct nst_tensor *, bool, struct nst_tensor *,   \
                               bool, enum nst_pooling, struct nst_tensor *);           \
    template size_t cuda_im2col_row_bytes<T>(const struct cuda *,                      \
                                             const struct conv_args<T> &);             \
    template void cuda_convolve<T>(struct cuda *, const struct conv_args<T> &,         \
                                   const struct epilogue<T> &, struct cuda_arena);
INSTANTIATE(float)
INSTANTIATE(__half)
