/* SPDX-License-Identifier: MIT */
/*
 * join.cu - the way back through a joint. A map is read once and written once, 16 bytes
 * of a pixel at a time, in windows of 2 x 2 pixels, so that what was pooled is
 * together.
 *
 * With one region's terms a block takes some windows and all of their channels, for the
 * product with the region's matrix wants all and the gradients are written where the
 * values were (product.cuh). What was read of a window waits in shared memory, too,
 * while that is multiplied.
 *
 * Where the map is small and its channels many, blocks share a tile's pixels among them
 * by channels: they put out terms, which the plain join then reads.
 */
#include "config.h"

#include "backend/cuda/product.cuh"

template <class T, int V> __global__ void join_kernel(struct joint<T> j)
{
    unsigned parts = (unsigned)(j.c / V);
    size_t n = (size_t)((j.h + 1) / 2) * windows_across(j.w) * parts;
    float peak = 0;

    ptx::begin();
    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        int part = (int)((unsigned)i % parts);
        struct window at = window_of(j, (int)((unsigned)i / parts));
        struct piece<T, V> y[4] = {
        };

#pragma unroll
        for (int p = 0; p < 4; p++)
            if (at.pixel[p] >= 0)
                y[p] = piece_at<V>(j.y, index_of<V>(at.pixel[p], j.c, part));
        const struct reads<T, V> read = reads_of<T, V>(j, at, part);
        peak = fmaxf(
            peak, join_window<T, V>(
                      j, at, part, [&](int p) { return read.of[p]; },
                      [&](int p) { return y[p]; },
                      [&](int p, bool before, float *g) {
                          const float *sum = before ? j.before.sum : j.after.sum;

                          if (sum)
                              add<V>(g, sum + (size_t)at.pixel[p] * j.c + part * V, 1);
                      }));
    }
    note_peak(j, peak);
}

static size_t windows_of(int h, int w)
{
    return (size_t)((h + 1) / 2) * windows_across(w);
}

template <int V, class T>
static void join_pieces(struct cuda *cu, const struct joint<T> &j)
{
    size_t n = windows_of(j.h, j.w) * j.c / V;
    size_t blocks = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;

    cuda_launch_early(cu, join_kernel<T, V>,
                      dim3((unsigned)(blocks < 65536 ? blocks : 65536)), CUDA_BLOCK, 0,
                      j);
}

template <class T> void cuda_join(struct cuda *cu, const struct joint<T> &j)
{
    constexpr int most = PIECE / (int)sizeof(T);

    if (j.c % most == 0)
        join_pieces<most>(cu, j);
    else
        join_pieces<1>(cu, j);
}

/* ---- with a product ---- */

/* The piece of channels from k on of a pixel's terms, which begins in fragments m and
 * n, in their upper or lower rows. */
template <class T, class L>
static __device__ __forceinline__ void terms_of(const struct region<T> &r, int pixel,
                                                int k, int m, int n, int lower,
                                                const float d[L::m][L::n][4],
                                                float term[PIECE / sizeof(T)])
{
    constexpr int V = PIECE / (int)sizeof(T);
    float weight = r.guide ? r.guide[pixel] : 1;

#pragma unroll
    for (int v = 0; v < V; v++)
        term[v] = d[m][n + v / 2][lower * 2 + v % 2];
    if (r.offset)
        add<V>(term, r.offset + k, r.scale);
#pragma unroll
    for (int v = 0; v < V; v++)
        term[v] *= weight;
}

/* Join pieces of a window that begin in fragments m and n, and in the tile at row. */
template <class T, class L>
static __device__ __forceinline__ float join_fragments(const struct joint<T> &j,
                                                       const struct region<T> &r,
                                                       const struct window &at, int row,
                                                       int k, int m, int n,
                                                       const float d[L::m][L::n][4])
{
    constexpr int V = PIECE / (int)sizeof(T);
    auto y = [&](int i) {
        return *reinterpret_cast<const struct piece<T, V> *>(
            value_at<T, L>(row + i * 8, k / V));
    };
    auto read = [&](int i) {
        int at = j.pooled ? window_of_row(row) : row + i * 8;

        if (!j.gx)
            return piece<T, V>{};
        return *reinterpret_cast<const struct piece<T, V> *>(read_at<T, L>(at, k / V));
    };

    return join_window<T, V>(j, at, k / V, read, y, [&](int i, bool before, float *g) {
        float term[V];

        if (before != r.before)
            return;
        terms_of<T, L>(r, at.pixel[i], k, m + i / 2, n, i % 2, d, term);
#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += term[v];
    });
}

/* Products of rows of the matrix from k on, in fragments from n on, times their scales.
 */
template <class T, class L>
static __device__ __forceinline__ void scale_fragments(const struct region<T> &r, int k,
                                                       int n, float d[L::m][L::n][4])
{
    constexpr int V = PIECE / (int)sizeof(T);
    float by[V] = {};

    if (!r.scales)
        return;
    add<V>(by, r.scales + k, r.scale);
#pragma unroll
    for (int m = 0; m < L::m; m++)
#pragma unroll
        for (int v = 0; v < V; v++) {
            d[m][n + v / 2][v % 2] *= by[v];
            d[m][n + v / 2][2 + v % 2] *= by[v];
        }
}

template <class T, class L>
__global__ void __launch_bounds__(L::threads, L::blocks)
    join_region_kernel(struct joint<T> j, struct region<T> r)
{
    constexpr int piece = PIECE / (int)sizeof(T);
    const struct window *windows = find_windows<T, L>(j);
    float d[L::m][L::n][4] = {}, peak = 0;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int first = warp / L::warps_across * L::m * 16 + lane / 4;
    int channel = warp % L::warps_across * L::n * 8 + lane % 4 * piece;

    static_assert(L::m % 2 == 0);

    product<T, L>(j, r, 0, windows, d);
#pragma unroll
    for (int n = 0; n < L::n; n += piece / 2) {
        int k = channel + n * 8;

        if (k >= j.c)
            break;
        scale_fragments<T, L>(r, k, n, d);
#pragma unroll
        for (int m = 0; m < L::m; m += 2) {
            int row = first + m * 16;

            peak = fmaxf(peak, join_fragments<T, L>(j, r, windows[window_of_row(row)],
                                                    row, k, m, n, d));
        }
    }
    note_peak(j, peak);
}

/* Terms of a tile's pixels and some channels. */
template <class T, class L>
__global__ void __launch_bounds__(L::threads, L::blocks)
    terms_kernel(struct joint<T> j, struct region<T> r, float *sum)
{
    constexpr int V = PIECE / (int)sizeof(T);
    const struct window *windows = find_windows<T, L>(j);
    float d[L::m][L::n][4] = {};
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int row = warp / L::warps_across * L::m * 16 + lane / 4;
    int first = (int)blockIdx.y * L::channels;
    int channel = first + warp % L::warps_across * L::n * 8 + lane % 4 * V;

    product<T, L>(j, r, first, windows, d);
#pragma unroll
    for (int n = 0; n < L::n; n += V / 2) {
        int k = channel + n * 8;

        if (k >= j.c)
            break;
        scale_fragments<T, L>(r, k, n, d);
#pragma unroll
        for (int i = 0; i < 2 * L::m; i++) {
            int at = row + i * 8;
            int pixel = windows[window_of_row(at)].pixel[at / 8 % 4];
            float term[V];

            if (pixel < 0)
                continue;
            terms_of<T, L>(r, pixel, k, i / 2, n, i % 2, d, term);
            put_piece<V>(sum, index_of<V>(pixel, j.c, k / V), term, 0.0f);
        }
    }
}

/* Call f with the tile for so many channels and windows: the larger where it keeps the
 * processors busy and there is shared memory for it. */
template <class T, class Large, class Small, class F>
static void either(const struct cuda *cu, size_t windows, F f)
{
    bool busy = windows / Large::windows >= (size_t)cu->processors;

    if (busy && places<T, Large>::most <= cu->shared)
        f(Large());
    else
        f(Small());
}

template <class T, class F>
static void with_tile(const struct cuda *cu, int channels, size_t windows, F f)
{
    constexpr bool half = sizeof(T) == 2;

    if (channels <= 64) /* all of the matrix is there at once */
        f(tile < 64, 16, 2, 2, half ? 3 : 5, half ? 6 : 4 > ());
    else if (channels <= 128)
        either<T, tile<128, 16, 2, 4, 3, half ? 3 : 2>, tile<128, 8, 1, 4, 4, 4>>(
            cu, windows, f);
    else if (channels <= 256)
        either<T, tile<256, 16, 2, 4, 3, 2>, tile<256, 8, 1, 8, 6, 1>>(cu, windows, f);
    else
        either<T, tile<512, 16, 1, 8, 3, 1>, tile<512, 8, 1, 8, 3, 1>>(cu, windows, f);
}

template <class T> bool cuda_joins_region(const struct cuda *cu, int channels)
{
    size_t bytes = 0;

    if (!cu->tensor_cores || channels > 512 || channels * sizeof(T) % PIECE != 0)
        return false;
    with_tile<T>(cu, channels, 0,
                 [&](auto l) { bytes = places<T, decltype(l)>::most; });
    return bytes <= cu->shared;
}

template <class T>
void cuda_join_region(struct cuda *cu, const struct joint<T> &j,
                      const struct region<T> &r)
{
    size_t windows = windows_of(j.h, j.w);

    with_tile<T>(cu, j.c, windows, [&](auto l) {
        using L = decltype(l);
        size_t reads = !j.gx ? 0 : j.pooled ? L::windows : L::pixels;
        size_t bytes = places<T, L>::reads + reads * places<T, L>::pitch;
        size_t blocks = (windows + L::windows - 1) / L::windows;

        cuda_ok(cu, cudaFuncSetAttribute(join_region_kernel<T, L>,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)places<T, L>::most));
        cuda_launch_early(cu, join_region_kernel<T, L>, dim3((unsigned)blocks),
                          L::threads, bytes, j, r);
    });
}

/* What shares the pixels of 8 windows by channels. */
using shared_tile = tile<64, 8, 2, 2, 6, 2, 512>;

template <class T>
bool cuda_splits_region(const struct cuda *cu, int channels, int h, int w)
{
    size_t blocks =
        (windows_of(h, w) + shared_tile::windows - 1) / shared_tile::windows;

    return channels > 128 && 2 * blocks <= (size_t)cu->processors &&
           cuda_joins_region<T>(cu, channels) &&
           places<T, shared_tile>::reads <= (int)cu->shared;
}

template <class T>
void cuda_region_terms(struct cuda *cu, const struct joint<T> &j,
                       const struct region<T> &r, float *sum)
{
    using L = shared_tile;
    size_t blocks = (windows_of(j.h, j.w) + L::windows - 1) / L::windows;
    constexpr int bytes = places<T, L>::reads;

    cuda_ok(cu,
            cudaFuncSetAttribute(terms_kernel<T, L>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    cuda_launch_early(
        cu, terms_kernel<T, L>,
        dim3((unsigned)blocks, (unsigned)((j.c + L::channels - 1) / L::channels)),
        L::threads, (size_t)bytes, j, r, sum);
}

#define OF(T)                                                                          \
    template void cuda_join<T>(struct cuda *, const struct joint<T> &);                \
    template void cuda_join_region<T>(struct cuda *, const struct joint<T> &,          \
                                      const struct region<T> &);                       \
    template bool cuda_joins_region<T>(const struct cuda *, int);                      \
    template void cuda_region_terms<T>(struct cuda *, const struct joint<T> &,         \
                                       const struct region<T> &, float *);             \
    template bool cuda_splits_region<T>(const struct cuda *, int, int, int);
OF(float)
OF(__half)
