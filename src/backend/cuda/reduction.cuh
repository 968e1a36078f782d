/* SPDX-License-Identifier: MIT */
/*
 * reduction.cuh - sums over the pixels of a map: float over SUM_RUN pixels and double
 * beyond, so that large maps lose no precision. Their order depends on the shape alone.
 */
#ifndef NST_BACKEND_CUDA_REDUCTION_CUH
#define NST_BACKEND_CUDA_REDUCTION_CUH

#include "backend/cuda/device.cuh"

/* Pixels whose products are summed in float; tests lower it. */
#ifndef SUM_RUN
#define SUM_RUN 1024
#endif

/* A window of a map h x w x c. */
template <class T> struct map_view {
    const T *f;
    int c, w;
    struct nst_window window;
    bool relu;         /* read through a ReLU */
    const float *mask; /* h x w, on the device; or NULL */
};

template <class T>
static struct map_view<T> map_view_of(const struct nst_tensor *f, bool apply_relu,
                                      struct nst_window window,
                                      const struct nst_buffer *mask) {
    return {tensor_data<T>(f),       f->shape.c, f->shape.w, window, apply_relu,
            buffer_data<float>(mask)};
}

/* Index in the map of pixel i of the window. */
template <class T>
static __device__ __forceinline__ size_t pixel_index(const struct map_view<T> &k, int i)
{
    int row = k.window.top, column = i;

    if (k.window.width != k.w) {
        row += i / k.window.width;
        column = k.window.left + i % k.window.width;
    }
    return (size_t)row * k.w + column;
}

/* Sum count parts of n values each; split warps share the parts of 32 values. add(sums,
 * i, v) stores the sum v of value i. */
template <class F, class Add>
__global__ void __launch_bounds__(CUDA_BLOCK)
    reduce_parts_kernel(const F *parts, int count, int n, int split, double *sums,
                        Add add)
{
    __shared__ double partial[CUDA_BLOCK / 32][32];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int i = ((int)blockIdx.x * (CUDA_BLOCK / 32) + warp) / split * 32 + lane;
    double sum = 0;

    if (i < n) {
#pragma unroll 8
        for (int k = warp % split; k < count; k += split)
            sum += (double)parts[(size_t)k * n + i];
    }
    partial[warp][lane] = sum;
    __syncthreads();
    if (warp % split != 0 || i >= n)
        return;
    for (int k = 1; k < split; k++)
        sum += partial[warp + k][lane];
    add(sums, i, sum);
}

template <class F, class Add>
static void reduce_parts(struct cuda *cu, const F *parts, int count, int n,
                         double *sums, Add add)
{
    int split = 1, lane_groups = (n + 31) / 32, warps = CUDA_BLOCK / 32;

    while (split < warps && count > 8 * split)
        split *= 2;
    cuda_launch(cu, reduce_parts_kernel<F, Add>,
                dim3((unsigned)((lane_groups * split - 1) / warps + 1)), CUDA_BLOCK, 0,
                parts, count, n, split, sums, add);
}

/* Store the sum at index i, or add it there. */
struct add_in_order {
    bool add;

    __device__ void operator()(double *sums, int i, double v) const
    {
        sums[i] = add ? sums[i] + v : v;
    }
};

#endif
