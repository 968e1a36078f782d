/* SPDX-License-Identifier: MIT */
/*
 * backward.cu - the fused backward step between two convolutions. A map is read once
 * and written once, 16 bytes of a pixel at a time, in windows of 2 x 2 pixels, which
 * pooling needs together.
 *
 * With one region, a block takes some windows and all their channels: the product with
 * the region's matrix needs them all, and the gradients overwrite the values
 * (region_gemm.cuh). The windows' gx waits in shared memory meanwhile.
 *
 * On a small map with many channels, blocks split the channels of a tile. They write
 * the region's gradient to scratch, which the plain step then reads.
 */
#include "config.h"

#include "backend/cuda/region_gemm.cuh"

template <class T, int V> __global__ void backward_kernel(struct backward_step<T> step)
{
    unsigned parts = (unsigned)(step.c / V);
    size_t n = (size_t)((step.h + 1) / 2) * windows_per_row(step.w) * parts;
    float peak = 0;

    ptx::griddep_wait();
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        int part = (int)((unsigned)i % parts);
        struct window at = window_of(step, (int)((unsigned)i / parts));
        struct vec<T, V> y[4] = {
        };

#pragma unroll
        for (int p = 0; p < 4; p++)
            if (at.pixel[p] >= 0)
                y[p] = load_vec<V>(step.y, vec_index<V>(at.pixel[p], step.c, part));
        const struct gx_vecs<T, V> gx = load_gx<T, V>(step, at, part);
        peak = fmaxf(
            peak, backward_window<T, V>(
                      step, at, part, [&](int p) { return gx.v[p]; },
                      [&](int p) { return y[p]; },
                      [&](int p, bool before, float *g) {
                          const float *sum = before ? step.before.sum : step.after.sum;

                          if (sum)
                              axpy<V>(g, sum + (size_t)at.pixel[p] * step.c + part * V,
                                      1);
                      }));
    }
    update_peak(step, peak);
}

static size_t window_count(int h, int w)
{
    return (size_t)((h + 1) / 2) * windows_per_row(w);
}

template <int V, class T>
static void launch_vecs(struct cuda *cu, const struct backward_step<T> &step)
{
    size_t n = window_count(step.h, step.w) * step.c / V;
    size_t blocks = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;

    cuda_launch_pdl(cu, backward_kernel<T, V>,
                    dim3((unsigned)(blocks < 65536 ? blocks : 65536)), CUDA_BLOCK, 0,
                    step);
}

template <class T>
void cuda_backward_step(struct cuda *cu, const struct backward_step<T> &step)
{
    constexpr int per_vec = VEC_BYTES / (int)sizeof(T);

    if (step.c % per_vec == 0)
        launch_vecs<per_vec>(cu, step);
    else
        launch_vecs<1>(cu, step);
}

/* ---- with the product of a region ---- */

/* A region's gradient of a pixel: the vector of channels from k on, which starts in
 * fragments m and n, in their upper or lower rows. */
template <class T, class L>
static __device__ __forceinline__ void region_grad_of(const struct region<T> &r,
                                                      int pixel, int k, int m, int n,
                                                      int lower,
                                                      const float d[L::m][L::n][4],
                                                      float grad[VEC_BYTES / sizeof(T)])
{
    constexpr int V = VEC_BYTES / (int)sizeof(T);
    float weight = r.mask ? r.mask[pixel] : 1;

#pragma unroll
    for (int v = 0; v < V; v++)
        grad[v] = d[m][n + v / 2][lower * 2 + v % 2];
    if (r.offset)
        axpy<V>(grad, r.offset + k, r.scale);
#pragma unroll
    for (int v = 0; v < V; v++)
        grad[v] *= weight;
}

/* Backward step of the window's vectors that start in fragments m and n, and at row of
 * the tile. */
template <class T, class L>
static __device__ __forceinline__ float backward_fragments(
    const struct backward_step<T> &step, const struct region<T> &r,
    const struct window &at, int row, int k, int m, int n, const float d[L::m][L::n][4])
{
    constexpr int V = VEC_BYTES / (int)sizeof(T);
    auto y = [&](int i) {
        return *reinterpret_cast<const struct vec<T, V> *>(
            value_at<T, L>(row + i * 8, k / V));
    };
    auto gx = [&](int i) {
        int at = step.pooled ? window_of_row(row) : row + i * 8;

        if (!step.gx)
            return vec<T, V>{};
        return *reinterpret_cast<const struct vec<T, V> *>(gx_at<T, L>(at, k / V));
    };

    return backward_window<T, V>(
        step, at, k / V, gx, y, [&](int i, bool before, float *g) {
            float grad[V];

            if (before != r.before)
                return;
            region_grad_of<T, L>(r, at.pixel[i], k, m + i / 2, n, i % 2, d, grad);
#pragma unroll
            for (int v = 0; v < V; v++)
                g[v] += grad[v];
        });
}

/* Scale the products of matrix rows from k on, in fragments from n on. */
template <class T, class L>
static __device__ __forceinline__ void scale_fragments(const struct region<T> &r, int k,
                                                       int n, float d[L::m][L::n][4])
{
    constexpr int V = VEC_BYTES / (int)sizeof(T);
    float scale[V] = {};

    if (!r.scales)
        return;
    axpy<V>(scale, r.scales + k, r.scale);
#pragma unroll
    for (int m = 0; m < L::m; m++)
#pragma unroll
        for (int v = 0; v < V; v++) {
            d[m][n + v / 2][v % 2] *= scale[v];
            d[m][n + v / 2][2 + v % 2] *= scale[v];
        }
}

template <class T, class L>
__global__ void __launch_bounds__(L::threads, L::blocks)
    backward_region_kernel(struct backward_step<T> step, struct region<T> r)
{
    constexpr int per_vec = VEC_BYTES / (int)sizeof(T);
    const struct window *windows = fill_windows<T, L>(step);
    float d[L::m][L::n][4] = {}, peak = 0;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int first = warp / L::warps_across * L::m * 16 + lane / 4;
    int channel = warp % L::warps_across * L::n * 8 + lane % 4 * per_vec;

    static_assert(L::m % 2 == 0);

    mainloop<T, L>(step, r, 0, windows, d);
#pragma unroll
    for (int n = 0; n < L::n; n += per_vec / 2) {
        int k = channel + n * 8;

        if (k >= step.c)
            break;
        scale_fragments<T, L>(r, k, n, d);
#pragma unroll
        for (int m = 0; m < L::m; m += 2) {
            int row = first + m * 16;

            peak =
                fmaxf(peak, backward_fragments<T, L>(
                                step, r, windows[window_of_row(row)], row, k, m, n, d));
        }
    }
    update_peak(step, peak);
}

/* A region's gradient of a tile's pixels and some of their channels. */
template <class T, class L>
__global__ void __launch_bounds__(L::threads, L::blocks)
    region_split_kernel(struct backward_step<T> step, struct region<T> r, float *sum)
{
    constexpr int V = VEC_BYTES / (int)sizeof(T);
    const struct window *windows = fill_windows<T, L>(step);
    float d[L::m][L::n][4] = {};
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int row = warp / L::warps_across * L::m * 16 + lane / 4;
    int first = (int)blockIdx.y * L::channels;
    int channel = first + warp % L::warps_across * L::n * 8 + lane % 4 * V;

    mainloop<T, L>(step, r, first, windows, d);
#pragma unroll
    for (int n = 0; n < L::n; n += V / 2) {
        int k = channel + n * 8;

        if (k >= step.c)
            break;
        scale_fragments<T, L>(r, k, n, d);
#pragma unroll
        for (int i = 0; i < 2 * L::m; i++) {
            int at = row + i * 8;
            int pixel = windows[window_of_row(at)].pixel[at / 8 % 4];
            float grad[V];

            if (pixel < 0)
                continue;
            region_grad_of<T, L>(r, pixel, k, i / 2, n, i % 2, d, grad);
            store_vec<V>(sum, vec_index<V>(pixel, step.c, k / V), grad, 0.0f);
        }
    }
}

/* Call f with the larger tile if it occupies all SMs and fits into shared memory, else
 * with the smaller one. */
template <class T, class Large, class Small, class F>
static void with_larger_tile(const struct cuda *cu, size_t windows, F f)
{
    bool busy = windows / Large::windows >= (size_t)cu->sm_count;

    if (busy && layout<T, Large>::bytes <= cu->max_shared)
        f(Large());
    else
        f(Small());
}

template <class T, class F>
static void with_tile(const struct cuda *cu, int channels, size_t windows, F f)
{
    constexpr bool half = sizeof(T) == 2;

    if (channels <= 64) /* the whole matrix fits into the stages */
        f(tile < 64, 16, 2, 2, half ? 3 : 5, half ? 6 : 4 > ());
    else if (channels <= 128)
        with_larger_tile<T, tile<128, 16, 2, 4, 3, half ? 3 : 2>,
                         tile<128, 8, 1, 4, 4, 4>>(cu, windows, f);
    else if (channels <= 256)
        with_larger_tile<T, tile<256, 16, 2, 4, 3, 2>, tile<256, 8, 1, 8, 6, 1>>(
            cu, windows, f);
    else
        with_larger_tile<T, tile<512, 16, 1, 8, 3, 1>, tile<512, 8, 1, 8, 3, 1>>(
            cu, windows, f);
}

template <class T> bool cuda_can_fuse_region(const struct cuda *cu, int channels)
{
    size_t bytes = 0;

    if (!cu->tensor_cores || channels > 512 || channels * sizeof(T) % VEC_BYTES != 0)
        return false;
    with_tile<T>(cu, channels, 0,
                 [&](auto l) { bytes = layout<T, decltype(l)>::bytes; });
    return bytes <= cu->max_shared;
}

template <class T>
void cuda_backward_step_region(struct cuda *cu, const struct backward_step<T> &step,
                               const struct region<T> &r)
{
    size_t windows = window_count(step.h, step.w);

    with_tile<T>(cu, step.c, windows, [&](auto l) {
        using L = decltype(l);
        size_t gx_rows = !step.gx ? 0 : step.pooled ? L::windows : L::pixels;
        size_t bytes = layout<T, L>::gx + gx_rows * layout<T, L>::pitch;
        size_t blocks = (windows + L::windows - 1) / L::windows;

        cuda_ok(cu, cudaFuncSetAttribute(backward_region_kernel<T, L>,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)layout<T, L>::bytes));
        cuda_launch_pdl(cu, backward_region_kernel<T, L>, dim3((unsigned)blocks),
                        L::threads, bytes, step, r);
    });
}

/* Blocks of 8 windows by 64 of the channels. */
using split_tile = tile<64, 8, 2, 2, 6, 2, 512>;

template <class T>
bool cuda_should_split_region(const struct cuda *cu, int channels, int h, int w)
{
    size_t blocks =
        (window_count(h, w) + split_tile::windows - 1) / split_tile::windows;

    return channels > 128 && 2 * blocks <= (size_t)cu->sm_count &&
           cuda_can_fuse_region<T>(cu, channels) &&
           layout<T, split_tile>::gx <= (int)cu->max_shared;
}

template <class T>
void cuda_region_grad(struct cuda *cu, const struct backward_step<T> &step,
                      const struct region<T> &r, float *sum)
{
    using L = split_tile;
    size_t blocks = (window_count(step.h, step.w) + L::windows - 1) / L::windows;
    constexpr int bytes = layout<T, L>::gx;

    cuda_ok(cu,
            cudaFuncSetAttribute(region_split_kernel<T, L>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    cuda_launch_pdl(
        cu, region_split_kernel<T, L>,
        dim3((unsigned)blocks, (unsigned)((step.c + L::channels - 1) / L::channels)),
        L::threads, (size_t)bytes, step, r, sum);
}

#define INSTANTIATE(T)                                                                 \
    template void cuda_backward_step<T>(struct cuda *,                                 \
                                        const struct backward_step<T> &);              \
    template void cuda_backward_step_region<T>(                                        \
        struct cuda *, const struct backward_step<T> &, const struct region<T> &);     \
    template bool cuda_can_fuse_region<T>(const struct cuda *, int);                   \
    template void cuda_region_grad<T>(struct cuda *, const struct backward_step<T> &,  \
                                      const struct region<T> &, float *);              \
    template bool cuda_should_split_region<T>(const struct cuda *, int, int, int);
INSTANTIATE(float)
INSTANTIATE(__half)
