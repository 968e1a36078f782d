/* SPDX-License-Identifier: MIT */
/*
 * picture_grad.cu - the way back through the first convolution. Each pixel of the map
 * gives something to 3 x 3 pixels of the picture, 27 values: a product of the map and
 * the weights. The picture's gradient gathers them.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"
#include "backend/cuda/words.cuh"

#include <math.h>
#include <string.h>

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* The gradient by a picture: sums times these. */
struct gradient {
    float *rgb; /* 3 x h x w */
    int h, w;
    float scale[3];
};

static struct gradient gradient_of(const struct cuda *cu, const struct nst_conv *k,
                                   struct nst_shape s, float *rgb)
{
    struct gradient g = {rgb, s.h, s.w, {0, 0, 0}};

    for (int i = 0; i < 3; i++)
        g.scale[i] = 1 / (cu->base.gradient_scale * k->picture->deviation[i]);
    return g;
}

/*
 * On tensor cores a block makes SIDE x SIDE pixels of the picture: from the products of
 * these and of one more on each side, which lie in shared memory and are not written.
 * It reads SLICE bytes of each pixel at a time, the next while one is multiplied.
 */
#define SIDE 16
#define SEEN (SIDE + 2)
#define PIXELS (SEEN * SEEN)
#define SIXTEENS ((PIXELS + 15) / 16)
#define SLICE 128
#define PITCH (SLICE + 16) /* bytes: eight rows are in all banks */
#define STAGE ((PIXELS + PICTURE_ROWS) * PITCH)
#define OWN 3 /* sixteens of a warp */
#define WARPS (SIXTEENS / OWN)
#define THREADS (32 * WARPS)
#define PRODUCTS 29 /* floats from pixel to pixel, 27 of them used: odd, for banks */
static_assert(PIXELS * PRODUCTS * sizeof(float) <= STAGE);
static_assert(WARPS * OWN == SIXTEENS);
static_assert(SIXTEENS * 16 <= PIXELS + PICTURE_ROWS); /* the last are read, too */

/* Begin to copy slice s of the pixels and of the weights. */
template <class T>
static __device__ __forceinline__ void fetch(const T *gy, const T *back, int c,
                                             const struct gradient &g, int top,
                                             int left, int s, unsigned char *to)
{
    int part = (int)threadIdx.x % (SLICE / 16);
    int channel = (s * SLICE + part * 16) / (int)sizeof(T);

    to += part * 16;
    for (int i = (int)threadIdx.x / (SLICE / 16); i < PIXELS + PICTURE_ROWS;
         i += THREADS / (SLICE / 16)) {
        int row = top + i / SEEN - 1, column = left + i % SEEN - 1;
        bool inside = row >= 0 && row < g.h && column >= 0 && column < g.w;
        const T *from = gy + (inside ? ((size_t)row * g.w + column) * c : 0);

        if (i >= PIXELS)
            from = back + (size_t)(i - PIXELS) * c;
        ptx::cp_async16(to + i * PITCH, from + channel, inside || i >= PIXELS);
    }
    ptx::cp_async_commit();
}

/* d += the products of a slice: of a warp's sixteens of pixels by 32 columns. */
template <class T>
static __device__ __forceinline__ void multiply_slice(const unsigned char *stage,
                                                      float d[OWN][4][4])
{
    const T *kind = nullptr;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const unsigned char *pixels = stage + lane % 16 * PITCH + lane / 16 * 16;
    const unsigned char *weights =
        stage + PIXELS * PITCH + (lane / 16 * 8 + lane % 8) * PITCH + lane / 8 % 2 * 16;

#pragma unroll
    for (int step = 0; step < SLICE; step += 32) {
        unsigned b[2][4]; /* each of twice 8 columns */

#pragma unroll
        for (int i = 0; i < 2; i++) {
            ptx::ldmatrix_x4(b[i], weights + i * 16 * PITCH + step);
            for (int k = 0; k < 4; k++)
                b[i][k] = word_nearest(b[i][k], kind);
        }
#pragma unroll
        for (int i = 0; i < OWN; i++) {
            unsigned a[4];

            ptx::ldmatrix_x4(a, pixels + (warp + i * WARPS) * 16 * PITCH + step);
            for (int k = 0; k < 4; k++)
                a[k] = word_nearest(a[k], kind);
#pragma unroll
            for (int j = 0; j < 4; j++)
                word_multiply(d[i][j], a, &b[j / 2][j % 2 * 2], kind);
        }
    }
}

/* The products pixel by pixel, in place of the stages. */
static __device__ __forceinline__ const float *spread(const float d[OWN][4][4])
{
    float *products = reinterpret_cast<float *>(nst_dynamic_shared);
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;

    __syncthreads(); /* all are done with them */
#pragma unroll
    for (int i = 0; i < OWN * 16; i++) {
        int pixel = (warp + i / 16 * WARPS) * 16 + i / 2 % 2 * 8 + lane / 4;
        int column = i / 4 % 4 * 8 + lane % 4 * 2 + i % 2;

        if (pixel < PIXELS && column < 27)
            products[pixel * PRODUCTS + column] = d[i / 16][i / 4 % 4][i % 4];
    }
    __syncthreads();
    return products;
}

/* A block's pixels of the picture. */
static __device__ __forceinline__ void gather(const float *products,
                                              const struct gradient &g, int top,
                                              int left)
{
    for (int i = (int)threadIdx.x; i < SIDE * SIDE; i += THREADS) {
        int row = i / SIDE, column = i % SIDE;
        float sum[3] = {0, 0, 0};

        if (top + row >= g.h || left + column >= g.w)
            continue;
#pragma unroll
        for (int k = 0; k < 27; k++)
            sum[k % 3] += products[((row + 2 - k / 9) * SEEN + column + 2 - k / 3 % 3) *
                                       PRODUCTS +
                                   k];
#pragma unroll
        for (int colour = 0; colour < 3; colour++)
            g.rgb[((size_t)colour * g.h + top + row) * g.w + left + column] =
                g.scale[colour] * sum[colour];
    }
}

/* c * sizeof(T) is a multiple of SLICE. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    gradient_kernel(const T *gy, const T *back, int c, struct gradient g)
{
    int across = (g.w + SIDE - 1) / SIDE, slices = c * (int)sizeof(T) / SLICE;
    int top = (int)blockIdx.x / across * SIDE, left = (int)blockIdx.x % across * SIDE;
    float d[OWN][4][4] = {};

    ptx::begin();
    fetch(gy, back, c, g, top, left, 0, nst_dynamic_shared);
    for (int s = 0; s < slices; s++) {
        if (s + 1 < slices) {
            __syncthreads(); /* all are done with s - 1 */
            fetch(gy, back, c, g, top, left, s + 1,
                  nst_dynamic_shared + (s + 1) % 2 * STAGE);
            ptx::cp_async_wait<1>();
        } else {
            ptx::cp_async_wait<0>();
        }
        __syncthreads(); /* all copies of s are there */
        multiply_slice<T>(nst_dynamic_shared + s % 2 * STAGE, d);
    }
    gather(spread(d), g, top, left);
}

template <class T>
static void tensor_gradient(struct cuda *cu, const T *gy, const T *back, int c,
                            const struct gradient &g)
{
    int blocks = (g.h + SIDE - 1) / SIDE * ((g.w + SIDE - 1) / SIDE);
    int shared = c * sizeof(T) > SLICE ? 2 * STAGE : STAGE;

    cuda_ok(cu,
            cudaFuncSetAttribute(gradient_kernel<T>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    cuda_launch_early(cu, gradient_kernel<T>, dim3((unsigned)blocks), THREADS,
                      (size_t)shared, gy, back, c, g);
}

/*
 * products: rows from top - 1 on of w x PICTURE_ROWS, what each pixel of the map gives
 * to the 3 x 3 pixels it saw; rgb gets the sums, of rows from top on.
 */
static __global__ void gather_kernel(const float *products, int top, int rows,
                                     struct gradient g)
{
    size_t n = (size_t)rows * g.w * 3;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        int column = (int)(i % g.w), colour = (int)(i / g.w / rows);
        int row = top + (int)(i / g.w % rows);
        float sum = 0;

        for (int tap = 0; tap < 9; tap++) {
            int r = row + 1 - tap / 3, k = column + 1 - tap % 3;

            if (r >= 0 && r < g.h && k >= 0 && k < g.w)
                sum += products[((size_t)(r - top + 1) * g.w + k) * PICTURE_ROWS +
                                3 * tap + colour];
        }
        g.rgb[((size_t)colour * g.h + row) * g.w + column] =
            sum * (colour == 0   ? g.scale[0]
                   : colour == 1 ? g.scale[1]
                                 : g.scale[2]);
    }
}

/* By cuBLAS, so many rows at a time. */
template <class T>
static void laid_out_gradient(struct cuda *cu, const T *gy, const T *back, int c,
                              const struct gradient &g, struct cuda_room room)
{
    size_t row = (size_t)g.w * PICTURE_ROWS;
    float *products;
    int rows;

    room.end -= 2 * row * sizeof(float); /* a row more on either side */
    rows = cuda_rows(&room, row * sizeof(float), g.h);
    products = cuda_take<float>(&room, row * (rows + 2));
    for (int top = 0; top < g.h; top += rows) {
        int here = top + rows < g.h ? rows : g.h - top;
        int first = top > 0 ? top - 1 : 0,
            end = top + here < g.h ? top + here + 1 : g.h;

        cuda_product<T>(cu, (size_t)(end - first) * g.w, PICTURE_ROWS, c, 1,
                        gy + (size_t)first * g.w * c, back, 0,
                        products + (size_t)(first - top + 1) * row);
        cuda_launch_over(cu, gather_kernel, (size_t)here * g.w * 3, products, top, here,
                         g);
    }
}

template <class T>
void cuda_conv_picture_grad(struct nst_backend *be, const struct nst_conv *k,
                            const struct nst_tensor *gy, float *rgb)
{
    struct cuda *cu = cuda_of(be);
    struct gradient g = gradient_of(cu, k, gy->shape, rgb);
    const T *back = static_cast<const T *>(k->back);
    int c = gy->shape.c;

    if (cu->tensor_cores && c * sizeof(T) % SLICE == 0)
        tensor_gradient<T>(cu, values<T>(gy), back, c, g);
    else
        laid_out_gradient<T>(cu, values<T>(gy), back, c, g, cuda_room(cu));
    if (cu->peak)
        cuda_ok(cu, cudaMemcpyAsync(cu->peak_here, cu->peak, sizeof *cu->peak,
                                    cudaMemcpyDeviceToHost, cu->line.stream));
    cu->unsettled = cu->peak;
}

#define OF(T)                                                                          \
    template void cuda_conv_picture_grad<T>(struct nst_backend *,                      \
                                            const struct nst_conv *,                   \
                                            const struct nst_tensor *, float *);
OF(float)
OF(__half)
