/* SPDX-License-Identifier: MIT */
/*
 * join.cu - the way back through a joint. A map is read once and written once, 16 bytes
 * of a pixel at a time, in windows of 2 x 2 pixels, so that what was pooled is
 * together.
 *
 * With one region's terms a block takes some windows and all of their channels, for the
 * product with the region's matrix wants all and the gradients are written where the
 * values were: a tile of values lies in shared memory, slices of the matrix pass by,
 * and each thread has in its registers 16 bytes' channels of the product at all four
 * pixels of a window. For that, rows of the tile are in such an order that a thread's
 * rows of two fragments (mma: g and g + 8 of each) are a window, and rows of the matrix
 * in such a one that its columns of the next fragments are the next channels.
 */
#include "config.h"

#include "backend/cuda/joint.cuh"

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

template <class T, int V> __global__ void join_kernel(struct joint<T> j)
{
    unsigned parts = (unsigned)(j.c / V);
    size_t n = (size_t)((j.h + 1) / 2) * windows_across(j.w) * parts;
    float peak = 0;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        int part = (int)((unsigned)i % parts);
        struct window at = window_of(j, (int)((unsigned)i / parts));
        struct piece<T, V> y[4] = {
        };

#pragma unroll
        for (int p = 0; p < 4; p++)
            if (at.pixel[p] >= 0)
                y[p] = piece_at<V>(j.y, index_of<V>(at.pixel[p], j.c, part));
        peak = fmaxf(
            peak, join_window<T, V>(
                      j, at, part, [&](int p) { return y[p]; },
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

template <class T> void cuda_join(struct cuda *cu, const struct joint<T> &j)
{
    constexpr int most = PIECE / (int)sizeof(T);
    size_t n = windows_of(j.h, j.w) * j.c;

    if (j.c % most == 0)
        cuda_launch_over(cu, join_kernel<T, most>, n / most, j);
    else
        cuda_launch_over(cu, join_kernel<T, 1>, n, j);
}

/* ---- with a product ---- */

#define SLICE 64 /* bytes of each row that are multiplied at once */

/* Channels (those that there are not count as 0), windows, how many warps divide each
 * among them, slices that are there or on their way, and blocks of a processor. */
template <int C, int W, int WR, int WN, int S, int B> struct tile {
    static constexpr int channels = C, windows = W, warps_across = WN;
    static constexpr int stages = S, blocks = B;
    static constexpr int pixels = 4 * W, threads = 32 * WR * WN;
    static constexpr int m = pixels / WR / 16; /* fragments of a warp: of 16 pixels */
    static constexpr int n = C / WN / 8;       /* and of 8 channels */
    static constexpr int stage = C * SLICE;
    static_assert(m % 2 == 0 && n % 4 == 0);
};

/* Where in shared memory things are: the windows, values, and slices of the matrix. */
template <class T, class L> struct places {
    static constexpr int pitch = L::channels * (int)sizeof(T);
    static constexpr int values = L::windows * (int)sizeof(struct window);
    static constexpr int matrix = values + L::pixels * pitch;
    static constexpr size_t bytes = (size_t)matrix + L::stages * L::stage;
    static_assert(values % PIECE == 0);
};

/* Row i of the tile is pixel i / 8 % 4 of a window. */
static __device__ __forceinline__ int window_of_row(int i)
{
    return i / 32 * 8 + i % 8;
}

/* A piece of a row of the tile: any eight rows on end are in all banks, and so are
 * four pieces of two rows. */
template <class T, class L>
static __device__ __forceinline__ unsigned char *value_at(int row, int part)
{
    int turned = (row & 1) << 2 | (row >> 1 & 3);

    return nst_dynamic_shared + places<T, L>::values + row * places<T, L>::pitch +
           (part ^ turned) * PIECE;
}

/* And of a row of a slice of the matrix. */
static __device__ __forceinline__ int matrix_at(int row, int part)
{
    return row * SLICE + (part ^ row / 2 % 4) * PIECE;
}

/* The row of the matrix for a channel: columns 2 t and 2 t + 1 of as many fragments as
 * make a piece are the piece t of so many channels. */
template <class T> static __device__ __forceinline__ int row_of(int channel)
{
    constexpr int piece = PIECE / (int)sizeof(T);
    int t = channel / piece % 4, k = channel % piece;

    return channel / (4 * piece) * 4 * piece + k / 2 * 8 + 2 * t + k % 2;
}

template <class T, class L>
static __device__ __forceinline__ const struct window *find_windows(
    const struct joint<T> &j)
{
    struct window *w = reinterpret_cast<struct window *>(nst_dynamic_shared);

    for (int i = (int)threadIdx.x; i < L::windows; i += L::threads)
        w[i] = window_of(j, (int)blockIdx.x * L::windows + i);
    __syncthreads();
    return w;
}

/* Begin to copy the tile's values. */
template <class T, class L>
static __device__ __forceinline__ void fetch_values(const struct joint<T> &j,
                                                    const struct window *windows)
{
    constexpr int all = places<T, L>::pitch / PIECE, piece = PIECE / (int)sizeof(T);

    for (int i = (int)threadIdx.x; i < L::pixels * all; i += L::threads) {
        int row = i / all, part = i % all;
        int pixel = windows[window_of_row(row)].pixel[row / 8 % 4];
        bool there = pixel >= 0 && part * piece < j.c;

        ptx::cp_async16(value_at<T, L>(row, part),
                        j.y + (there ? (size_t)pixel * j.c + part * piece : 0), there);
    }
}

/* And slice s of the matrix, whose rows are c values. Of every so many rows a thread
 * copies one piece. */
template <class T, class L>
static __device__ __forceinline__ void fetch_matrix(const T *matrix, int c, int s)
{
    constexpr int parts = SLICE / PIECE, piece = PIECE / (int)sizeof(T);
    constexpr int step = L::threads / parts;
    static_assert(step % (4 * piece) == 0, "so row_of() goes up by as much");
    int i = (int)threadIdx.x / parts, part = (int)threadIdx.x % parts;
    int k = (s * parts + part) * piece;
    unsigned char *to = nst_dynamic_shared + places<T, L>::matrix +
                        s % L::stages * L::stage + matrix_at(row_of<T>(i), part);
    const T *from = matrix + i * c + k;

#pragma unroll
    for (int n = 0; n < L::channels; n += step) {
        bool there = i + n < c && k < c;

        ptx::cp_async16(to + n * SLICE, there ? from + n * c : matrix, there);
    }
}

static __device__ __forceinline__ void multiply(float d[4], const unsigned a[4],
                                                const unsigned b[2], const __half *)
{
    ptx::mma_f16(d, a, b);
}

static __device__ __forceinline__ void multiply(float d[4], const unsigned a[4],
                                                const unsigned b[2], const float *)
{
    ptx::mma_tf32(d, a, b);
}

/* What the instruction takes of a float are its upper 19 bits: so to the nearest. */
static __device__ __forceinline__ void round_words(unsigned[4], const __half *)
{
}

static __device__ __forceinline__ void round_words(unsigned v[4], const float *)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        v[i] += 0x1000u;
}

/* max(v, 0) of a word of two values, or of one: negative ones have the sign bit */
static __device__ __forceinline__ unsigned clip_word(unsigned v, const __half *)
{
    unsigned negative = (v >> 15 & 0x00010001u) * 0xffffu;

    return v & ~negative;
}

static __device__ __forceinline__ unsigned clip_word(unsigned v, const float *)
{
    return v & ~(0u - (v >> 31));
}

/* Add the product with slice s to a warp's part. */
template <class T, class L>
static __device__ __forceinline__ void multiply_slice(int s, bool clip,
                                                      float d[L::m][L::n][4])
{
    const T *kind = nullptr;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int pixel = warp / L::warps_across * L::m * 16 + lane % 16;
    int channel = warp % L::warps_across * L::n * 8 + lane / 16 * 8 + lane % 8;
    const unsigned char *matrix =
        nst_dynamic_shared + places<T, L>::matrix + s % L::stages * L::stage;

#pragma unroll
    for (int step = 0; step < SLICE / PIECE; step += 2) {
        unsigned a[L::m][4], b[4];

#pragma unroll
        for (int m = 0; m < L::m; m++) {
            ptx::ldmatrix_x4(
                a[m],
                value_at<T, L>(pixel + m * 16, s * (SLICE / PIECE) + step + lane / 16));
            if (clip)
                for (int i = 0; i < 4; i++)
                    a[m][i] = clip_word(a[m][i], kind);
            round_words(a[m], kind);
        }
#pragma unroll
        for (int n = 0; n < L::n; n += 2) {
            ptx::ldmatrix_x4(b,
                             matrix + matrix_at(channel + n * 8, step + lane / 8 % 2));
            round_words(b, kind);
#pragma unroll
            for (int m = 0; m < L::m; m++) {
                multiply(d[m][n], a[m], b, kind);
                multiply(d[m][n + 1], a[m], b + 2, kind);
            }
        }
    }
}

/* The tile's values, and a warp's part of their product with the matrix. */
template <class T, class L>
static __device__ __forceinline__ void product(const struct joint<T> &j,
                                               const struct region<T> &r,
                                               const struct window *windows,
                                               float d[L::m][L::n][4])
{
    int slices = (j.c * (int)sizeof(T) + SLICE - 1) / SLICE;

    fetch_values<T, L>(j, windows);
    for (int s = 0; s < L::stages - 1; s++) {
        if (s < slices)
            fetch_matrix<T, L>(r.matrix, j.c, s);
        ptx::cp_async_commit();
    }
    for (int s = 0; s < slices; s++) {
        ptx::cp_async_wait<L::stages - 2>();
        __syncthreads(); /* all copies of s are there, and all are done with s - 1 */
        if (s + L::stages - 1 < slices)
            fetch_matrix<T, L>(r.matrix, j.c, s + L::stages - 1);
        ptx::cp_async_commit();
        multiply_slice<T, L>(s, r.clip, d);
    }
    ptx::cp_async_wait<0>();
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

    return join_window<T, V>(j, at, k / V, y, [&](int i, bool before, float *g) {
        float term[V], weight;

        if (before != r.before)
            return;
#pragma unroll
        for (int v = 0; v < V; v++)
            term[v] = d[m + i / 2][n + v / 2][i % 2 * 2 + v % 2];
        if (r.offset)
            add<V>(term, r.offset + k, r.scale);
        weight = r.guide ? r.guide[at.pixel[i]] : 1;
#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += weight * term[v];
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

    ptx::begin();
    product<T, L>(j, r, windows, d);
#pragma unroll
    for (int n = 0; n < L::n; n += piece / 2) {
        int k = channel + n * 8;

        if (k >= j.c)
            break;
        if (r.scales)
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

/* Call f with the tile for so many channels and windows: the larger where it keeps the
 * processors busy and there is shared memory for it. */
template <class T, class Large, class Small, class F>
static void either(const struct cuda *cu, size_t windows, F f)
{
    bool busy = windows / Large::windows >= (size_t)cu->processors;

    if (busy && places<T, Large>::bytes <= cu->shared)
        f(Large());
    else
        f(Small());
}

template <class T, class F>
static void with_tile(const struct cuda *cu, int channels, size_t windows, F f)
{
    if (channels <= 64)
        either<T, tile<64, 32, 4, 1, 3, 4>, tile<64, 16, 2, 2, 3, 4>>(cu, windows, f);
    else if (channels <= 128)
        either<T, tile<128, 16, 2, 2, 3, 4>, tile<128, 8, 1, 4, 4, 4>>(cu, windows, f);
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
                 [&](auto l) { bytes = places<T, decltype(l)>::bytes; });
    return bytes <= cu->shared;
}

template <class T>
void cuda_join_region(struct cuda *cu, const struct joint<T> &j,
                      const struct region<T> &r)
{
    size_t windows = windows_of(j.h, j.w);

    with_tile<T>(cu, j.c, windows, [&](auto l) {
        using L = decltype(l);
        constexpr size_t bytes = places<T, L>::bytes;
        size_t blocks = (windows + L::windows - 1) / L::windows;

        cuda_ok(cu, cudaFuncSetAttribute(join_region_kernel<T, L>,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)bytes));
        cuda_launch_early(cu, join_region_kernel<T, L>, dim3((unsigned)blocks),
                          L::threads, bytes, j, r);
    });
}

#define OF(T)                                                                          \
    template void cuda_join<T>(struct cuda *, const struct joint<T> &);                \
    template void cuda_join_region<T>(struct cuda *, const struct joint<T> &,          \
                                      const struct region<T> &);                       \
    template bool cuda_joins_region<T>(const struct cuda *, int);
OF(float)
OF(__half)
