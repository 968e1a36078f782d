/* SPDX-License-Identifier: MIT */
/*
 * reduction.cu - sums over the pixels of a map: of its channels, and of its squared
 * difference from another map.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"
#include "backend/cuda/packed.cuh"
#include "backend/cuda/reduction.cuh"

#include <type_traits>

/* A block sums 32 channels of SUM_RUN of n pixels; a warp takes every eighth of
 * these. */
template <class T>
__global__ void __launch_bounds__(CUDA_BLOCK)
    channel_sums_kernel(struct map_view<T> k, int n, double *parts)
{
    constexpr int warps = CUDA_BLOCK / 32;
    __shared__ double partial[warps][32];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int first = (int)blockIdx.x * SUM_RUN, c = (int)blockIdx.y * 32 + lane;
    int end = n - first < SUM_RUN ? n : first + SUM_RUN;
    double sum = 0;

    for (int i = first + warp; i < end && c < k.c; i += warps) {
        size_t at = pixel_index(k, i);
        float v = to_float(k.f[at * k.c + c]);

        v = k.relu ? relu(v) : v;
        sum += (double)(k.mask ? v * k.mask[at] : v);
    }
    partial[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || c >= k.c)
        return;
    for (int i = 1; i < warps; i++)
        sum += partial[i][lane];
    parts[(size_t)blockIdx.x * k.c + c] = sum;
}

template <class T>
void cuda_channel_sums(struct nst_backend *be, const struct nst_tensor *f,
                       bool apply_relu, struct nst_window window,
                       const struct nst_buffer *mask, bool add, struct nst_buffer *sums)
{
    struct cuda *cu = cuda_of(be);
    struct cuda_arena arena = cuda_arena(cu);
    struct map_view<T> k = map_view_of<T>(f, apply_relu, window, mask);
    int n = window.height * window.width, parts_count = (n + SUM_RUN - 1) / SUM_RUN;
    double *parts = cuda_arena_alloc<double>(&arena, (size_t)k.c * parts_count);

    cuda_launch(cu, channel_sums_kernel<T>,
                dim3((unsigned)parts_count, (unsigned)((k.c + 31) / 32)), CUDA_BLOCK, 0,
                k, n, parts);
    reduce_parts(cu, parts, parts_count, k.c, buffer_data<double>(sums),
                 add_in_order{add});
    cuda_side_wait_main(cu);
}

/* Sum v over a block; all threads get the result. */
static __device__ double block_sum(double v)
{
    __shared__ double partial[CUDA_BLOCK / 32];

    for (int lane = 16; lane > 0; lane /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, lane);
    if (threadIdx.x % 32 == 0)
        partial[threadIdx.x / 32] = v;
    __syncthreads();
    v = 0;
    for (int i = 0; i < CUDA_BLOCK / 32; i++)
        v += partial[i];
    return v;
}

/* Windows of two maps: rows of length values, pitch apart. */
template <class T> struct map_pair {
    const T *f, *t;
    int rows;
    size_t length, pitch;
    bool relu; /* apply a ReLU to f */
};

/* Unit of loads: 16 bytes, or one value if these would not be aligned. */
template <class T, bool Wide> struct vec {
    using raw = std::conditional_t<Wide, uint4, T>;
    static constexpr int n = Wide ? 16 / (int)sizeof(T) : 1;

    static __device__ __forceinline__ raw load(const T *from)
    {
        if constexpr (Wide)
            return load16(from);
        else
            return *from;
    }
    static __device__ __forceinline__ void unpack(const raw &r, float v[n])
    {
        if constexpr (Wide)
            unpack16(r, v, static_cast<const T *>(nullptr));
        else
            v[0] = to_float(r);
    }
};

/* sum of (f - t)^2 over one unit, in float */
template <class T, bool Wide>
static __device__ __forceinline__ float squared_difference(
    const typename vec<T, Wide>::raw &f, const typename vec<T, Wide>::raw &t,
    bool apply_relu)
{
    using P = vec<T, Wide>;
    float a[P::n], b[P::n], sum = 0;

    P::unpack(f, a);
    P::unpack(t, b);
#pragma unroll
    for (int i = 0; i < P::n; i++) {
        float d = (apply_relu ? relu(a[i]) : a[i]) - b[i];

        sum += d * d;
    }
    return sum;
}

/* Each block's part of the sum of squares. */
template <class T, bool Wide>
__global__ void __launch_bounds__(CUDA_BLOCK)
    error_kernel(struct map_pair<T> p, double *parts)
{
    using P = vec<T, Wide>;
    size_t step = cuda_grid_stride() * P::n;
    double sum = 0;

    for (int row = (int)blockIdx.y; row < p.rows; row += (int)gridDim.y) {
        const T *f = p.f + row * p.pitch, *t = p.t + row * p.pitch;
        size_t i = cuda_grid_index() * P::n;

        for (; i + 3 * step < p.length; i += 4 * step) { /* all loads at once */
            typename P::raw a[4], b[4];

#pragma unroll
            for (int k = 0; k < 4; k++) {
                a[k] = P::load(f + i + k * step);
                b[k] = P::load(t + i + k * step);
            }
#pragma unroll
            for (int k = 0; k < 4; k++)
                sum += (double)squared_difference<T, Wide>(a[k], b[k], p.relu);
        }
        for (; i < p.length; i += step)
            sum += (double)squared_difference<T, Wide>(P::load(f + i), P::load(t + i),
                                                       p.relu);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

/* One block: set *sum to the sum of count parts, or add it. */
static __global__ void __launch_bounds__(CUDA_BLOCK)
    reduce_errors_kernel(const double *parts, int count, bool add, double *sum)
{
    double v = 0;

    for (int i = (int)threadIdx.x; i < count; i += CUDA_BLOCK)
        v += parts[i];
    v = block_sum(v);
    if (threadIdx.x == 0)
        *sum = add ? *sum + v : v;
}

/* Rows that span the whole map are joined into one. */
template <class T>
static struct map_pair<T> map_pair_of(const struct map_view<T> &k,
                                      const struct nst_tensor *t) {
    size_t pitch = (size_t)k.w * k.c, length = (size_t)k.window.width * k.c;
    size_t first = k.window.top * pitch + (size_t)k.window.left * k.c;
    bool whole = k.window.width == k.w;

    return {k.f + first,
            tensor_data<T>(t) + first,
            whole ? 1 : k.window.height,
            whole ? length *k.window.height : length,
            pitch,
            k.relu};
}

#define ERROR_BLOCKS 1024

template <class T, bool Wide>
static void squared_error(struct cuda *cu, const struct map_pair<T> &p, bool add,
                          double *sum)
{
    struct cuda_arena arena = cuda_arena(cu);
    double *parts = cuda_arena_alloc<double>(&arena, ERROR_BLOCKS);
    size_t block = (size_t)CUDA_BLOCK * 4 * vec<T, Wide>::n; /* 4 loads per thread */
    size_t across = (p.length + block - 1) / block;
    dim3 grid((unsigned)(across < ERROR_BLOCKS ? across : ERROR_BLOCKS));

    grid.y = ERROR_BLOCKS / grid.x;
    grid.y = grid.y < (unsigned)p.rows ? grid.y : (unsigned)p.rows;
    cuda_launch(cu, error_kernel<T, Wide>, grid, CUDA_BLOCK, 0, p, parts);
    cuda_launch(cu, reduce_errors_kernel, dim3(1), CUDA_BLOCK, 0, parts,
                (int)(grid.x * grid.y), add, sum);
}

template <class T>
void cuda_squared_error(struct nst_backend *be, const struct nst_tensor *f,
                        bool apply_relu, const struct nst_tensor *t,
                        struct nst_window window, bool add, struct nst_scalar sum)
{
    struct cuda *cu = cuda_of(be);
    struct map_pair<T> p = map_pair_of(map_view_of<T>(f, apply_relu, window, NULL), t);

    cuda_side_begin(cu, f);
    if (f->shape.c * sizeof(T) % 16 == 0)
        squared_error<T, true>(cu, p, add, scalar_data(sum));
    else
        squared_error<T, false>(cu, p, add, scalar_data(sum));
    cuda_side_end(cu);
}

#define INSTANTIATE(T)                                                                 \
    template void cuda_channel_sums<T>(                                                \
        struct nst_backend *, const struct nst_tensor *, bool, struct nst_window,      \
        const struct nst_buffer *, bool, struct nst_buffer *);                         \
    template void cuda_squared_error<T>(                                               \
        struct nst_backend *, const struct nst_tensor *, bool,                         \
        const struct nst_tensor *, struct nst_window, bool, struct nst_scalar);
INSTANTIATE(float)
INSTANTIATE(__half)
