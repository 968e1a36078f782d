/* SPDX-License-Identifier: MIT */
/*
 * first_conv_grad.cu - backward pass of the first convolution. The product of the map's
 * gradient and the weights gives 27 values for each pixel, its contributions to 3 x 3
 * pixels of the image. The image's gradient sums them (col2im).
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"
#include "backend/cuda/packed.cuh"

#include <math.h>
#include <string.h>

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Gradient with respect to the image: sums times scale. */
struct image_grad {
    float *rgb; /* 3 x h x w */
    int h, w;
    float scale[3];
    enum nst_padding padding;
};

static struct image_grad image_grad_of(const struct cuda *cu, const struct nst_conv *k,
                                       struct nst_shape s, float *rgb)
{
    struct image_grad g = {rgb, s.h, s.w, {0, 0, 0}, k->padding};

    for (int i = 0; i < 3; i++)
        g.scale[i] = 1 / (cu->base.loss_scale * k->picture->deviation[i]);
    return g;
}

/*
 * On tensor cores a block computes TILE x TILE pixels of the image, from the products
 * of these pixels and a halo of one, which stay in shared memory. It reads SLICE_BYTES
 * bytes of each pixel at a time, the next slice while one is multiplied.
 */
#define TILE 16
#define HALO_TILE (TILE + 2)
#define PIXELS (HALO_TILE * HALO_TILE)
#define M_FRAGMENTS ((PIXELS + 15) / 16)
#define SLICE_BYTES 128
#define PITCH (SLICE_BYTES + 16) /* bytes; eight rows cover all banks */
#define STAGE_BYTES ((PIXELS + FIRST_CONV_TAPS) * PITCH)
#define WARP_FRAGMENTS 3 /* groups of 16 pixels of a warp */
#define WARPS (M_FRAGMENTS / WARP_FRAGMENTS)
#define THREADS (32 * WARPS)
/* floats from pixel to pixel, of which 27 are used; odd against bank conflicts */
#define PRODUCT_PITCH 29
static_assert(PIXELS * PRODUCT_PITCH * sizeof(float) <= STAGE_BYTES);
static_assert(WARPS * WARP_FRAGMENTS == M_FRAGMENTS);
/* the last fragment reads beyond the pixels */
static_assert(M_FRAGMENTS * 16 <= PIXELS + FIRST_CONV_TAPS);

/* Start copying slice s of the pixels and of the weights. */
template <class T>
static __device__ __forceinline__ void fetch(const T *gy, const T *w_bwd, int c,
                                             const struct image_grad &g, int top,
                                             int left, int s, unsigned char *to)
{
    int part = (int)threadIdx.x % (SLICE_BYTES / 16);
    int channel = (s * SLICE_BYTES + part * 16) / (int)sizeof(T);

    to += part * 16;
    for (int i = (int)threadIdx.x / (SLICE_BYTES / 16); i < PIXELS + FIRST_CONV_TAPS;
         i += THREADS / (SLICE_BYTES / 16)) {
        int row = top + i / HALO_TILE - 1, column = left + i % HALO_TILE - 1;
        bool inside = row >= 0 && row < g.h && column >= 0 && column < g.w;
        const T *from = gy + (inside ? ((size_t)row * g.w + column) * c : 0);

        if (i >= PIXELS)
            from = w_bwd + (size_t)(i - PIXELS) * c;
        ptx::cp_async16(to + i * PITCH, from + channel, inside || i >= PIXELS);
    }
    ptx::cp_async_commit();
}

/* d += the products of a slice: a warp's groups of 16 pixels by 32 columns. */
template <class T>
static __device__ __forceinline__ void mma_slice(const unsigned char *stage,
                                                 float d[WARP_FRAGMENTS][4][4])
{
    const T *tag = nullptr;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const unsigned char *pixels = stage + lane % 16 * PITCH + lane / 16 * 16;
    const unsigned char *weights =
        stage + PIXELS * PITCH + (lane / 16 * 8 + lane % 8) * PITCH + lane / 8 % 2 * 16;

#pragma unroll
    for (int step = 0; step < SLICE_BYTES; step += 32) {
        unsigned b[2][4]; /* each of 2 x 8 columns */

#pragma unroll
        for (int i = 0; i < 2; i++) {
            ptx::ldmatrix_x4(b[i], weights + i * 16 * PITCH + step);
            for (int k = 0; k < 4; k++)
                b[i][k] = packed_round(b[i][k], tag);
        }
#pragma unroll
        for (int i = 0; i < WARP_FRAGMENTS; i++) {
            unsigned a[4];

            ptx::ldmatrix_x4(a, pixels + (warp + i * WARPS) * 16 * PITCH + step);
            for (int k = 0; k < 4; k++)
                a[k] = packed_round(a[k], tag);
#pragma unroll
            for (int j = 0; j < 4; j++)
                packed_mma(d[i][j], a, &b[j / 2][j % 2 * 2], tag);
        }
    }
}

/* Write the products, pixel by pixel, over the stages in shared memory. */
static __device__ __forceinline__ const float *stage_products(
    const float d[WARP_FRAGMENTS][4][4])
{
    float *products = reinterpret_cast<float *>(nst_dynamic_shared);
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;

    __syncthreads(); /* all threads are done with the stages */
#pragma unroll
    for (int i = 0; i < WARP_FRAGMENTS * 16; i++) {
        int pixel = (warp + i / 16 * WARPS) * 16 + i / 2 % 2 * 8 + lane / 4;
        int column = i / 4 % 4 * 8 + lane % 4 * 2 + i % 2;

        if (pixel < PIXELS && column < 27)
            products[pixel * PRODUCT_PITCH + column] = d[i / 16][i / 4 % 4][i % 4];
    }
    __syncthreads();
    return products;
}

/* Sum the products into a block's pixels of the image. */
static __device__ __forceinline__ void col2im(const float *products,
                                              const struct image_grad &g, int top,
                                              int left)
{
    for (int i = (int)threadIdx.x; i < TILE * TILE; i += THREADS) {
        int row = i / TILE, column = i % TILE;
        float sum[3] = {0, 0, 0};

        if (top + row >= g.h || left + column >= g.w)
            continue;
#pragma unroll
        for (int k = 0; k < 27; k++)
            sum[k % 3] +=
                products[((row + 2 - k / 9) * HALO_TILE + column + 2 - k / 3 % 3) *
                             PRODUCT_PITCH +
                         k];
        for_padding_readers(
            top + row, left + column, g.h, g.w, g.padding, [&](int tap, int r, int c) {
                int pixel = (r - top + 1) * HALO_TILE + c - left + 1;

#pragma unroll
                for (int colour = 0; colour < 3; colour++)
                    sum[colour] += products[pixel * PRODUCT_PITCH + 3 * tap + colour];
            });
#pragma unroll
        for (int colour = 0; colour < 3; colour++)
            g.rgb[((size_t)colour * g.h + top + row) * g.w + left + column] =
                g.scale[colour] * sum[colour];
    }
}

/* c * sizeof(T) is a multiple of SLICE_BYTES. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    first_conv_grad_kernel(const T *gy, const T *w_bwd, int c, struct image_grad g)
{
    int across = (g.w + TILE - 1) / TILE, slices = c * (int)sizeof(T) / SLICE_BYTES;
    int top = (int)blockIdx.x / across * TILE, left = (int)blockIdx.x % across * TILE;
    float d[WARP_FRAGMENTS][4][4] = {};

    ptx::griddep_wait();
    fetch(gy, w_bwd, c, g, top, left, 0, nst_dynamic_shared);
    for (int s = 0; s < slices; s++) {
        if (s + 1 < slices) {
            __syncthreads(); /* all threads are done with s - 1 */
            fetch(gy, w_bwd, c, g, top, left, s + 1,
                  nst_dynamic_shared + (s + 1) % 2 * STAGE_BYTES);
            ptx::cp_async_wait<1>();
        } else {
            ptx::cp_async_wait<0>();
        }
        __syncthreads(); /* all copies of s are complete */
        mma_slice<T>(nst_dynamic_shared + s % 2 * STAGE_BYTES, d);
    }
    col2im(stage_products(d), g, top, left);
}

template <class T>
static void mma_grad(struct cuda *cu, const T *gy, const T *w_bwd, int c,
                     const struct image_grad &g)
{
    int blocks = (g.h + TILE - 1) / TILE * ((g.w + TILE - 1) / TILE);
    int shared = c * sizeof(T) > SLICE_BYTES ? 2 * STAGE_BYTES : STAGE_BYTES;

    cuda_ok(cu,
            cudaFuncSetAttribute(first_conv_grad_kernel<T>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    cuda_launch_pdl(cu, first_conv_grad_kernel<T>, dim3((unsigned)blocks), THREADS,
                    (size_t)shared, gy, w_bwd, c, g);
}

/*
 * products: rows from top - 1 on of w x FIRST_CONV_TAPS, the contributions of each
 * pixel of the map to 3 x 3 pixels of the image. Sums them into rgb, rows from top on.
 */
static __global__ void col2im_kernel(const float *products, int top, int rows,
                                     struct image_grad g)
{
    size_t n = (size_t)rows * g.w * 3;

    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        int column = (int)(i % g.w), colour = (int)(i / g.w / rows);
        int row = top + (int)(i / g.w % rows);
        float sum = 0;

        auto add = [&](int tap, int r, int k) {
            sum += products[((size_t)(r - top + 1) * g.w + k) * FIRST_CONV_TAPS +
                            3 * tap + colour];
        };

        for (int tap = 0; tap < 9; tap++) {
            int r = row + 1 - tap / 3, k = column + 1 - tap % 3;

            if (r >= 0 && r < g.h && k >= 0 && k < g.w)
                add(tap, r, k);
        }
        for_padding_readers(row, column, g.h, g.w, g.padding, add);
        g.rgb[((size_t)colour * g.h + row) * g.w + column] =
            sum * (colour == 0   ? g.scale[0]
                   : colour == 1 ? g.scale[1]
                                 : g.scale[2]);
    }
}

/* By cuBLAS, in bands of rows. */
template <class T>
static void cublas_grad(struct cuda *cu, const T *gy, const T *w_bwd, int c,
                        const struct image_grad &g, struct cuda_arena arena)
{
    size_t row = (size_t)g.w * FIRST_CONV_TAPS;
    float *products;
    int rows;

    arena.end -= 2 * row * sizeof(float); /* one more row on either side */
    rows = cuda_arena_rows(&arena, row * sizeof(float), g.h);
    products = cuda_arena_alloc<float>(&arena, row * (rows + 2));
    for (int top = 0; top < g.h; top += rows) {
        int band = top + rows < g.h ? rows : g.h - top;
        int first = top > 0 ? top - 1 : 0,
            end = top + band < g.h ? top + band + 1 : g.h;

        cuda_gemm<T>(cu, (size_t)(end - first) * g.w, FIRST_CONV_TAPS, c, 1,
                     gy + (size_t)first * g.w * c, w_bwd, 0,
                     products + (size_t)(first - top + 1) * row);
        cuda_launch_1d(cu, col2im_kernel, (size_t)band * g.w * 3, products, top, band,
                       g);
    }
}

template <class T>
void cuda_first_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                          const struct nst_tensor *gy, struct nst_buffer *rgb)
{
    struct cuda *cu = cuda_of(be);
    struct image_grad g = image_grad_of(cu, k, gy->shape, buffer_data<float>(rgb));
    const T *w_bwd = static_cast<const T *>(k->w_bwd);
    int c = gy->shape.c;

    if (cu->tensor_cores && c * sizeof(T) % SLICE_BYTES == 0)
        mma_grad<T>(cu, tensor_data<T>(gy), w_bwd, c, g);
    else
        cublas_grad<T>(cu, tensor_data<T>(gy), w_bwd, c, g, cuda_arena(cu));
    if (cu->peak)
        cuda_ok(cu, cudaMemcpyAsync(cu->peak_host, cu->peak, sizeof *cu->peak,
                                    cudaMemcpyDeviceToHost, cu->current.stream));
    cu->grad_pending = cu->peak;
}

#define INSTANTIATE(T)                                                                 \
    template void cuda_first_conv_grad<T>(                                             \
        struct nst_backend *, const struct nst_conv *, const struct nst_tensor *,      \
        struct nst_buffer *);
INSTANTIATE(float)
INSTANTIATE(__half)
