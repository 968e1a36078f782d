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

#define PIECE 16 /* bytes */

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Values on end. */
template <class T, int V> struct alignas(V * sizeof(T)) piece {
    T v[V];
};

template <int V, class T>
static __device__ __forceinline__ struct piece<T, V> piece_at(const T *from) {
    return *reinterpret_cast<const struct piece<T, V> *>(from);
}

/* g += scale v */
template <int V>
static __device__ __forceinline__ void add(float g[V], const float *v, float scale)
{
    constexpr int n = V < 4 ? V : 4;

#pragma unroll
    for (int i = 0; i < V; i += n) {
        struct piece<float, n> part = piece_at<n>(v + i);

#pragma unroll
        for (int k = 0; k < n; k++)
            g[i + k] += scale * part.v[k];
    }
}

template <int V>
static __device__ __forceinline__ void put_piece(float *to, const float g[V], float)
{
    struct piece<float, V> p;

#pragma unroll
    for (int v = 0; v < V; v++)
        p.v[v] = g[v];
    *reinterpret_cast<struct piece<float, V> *>(to) = p;
}

/* peak: their largest magnitude. Too large a value becomes the largest. */
template <int V>
static __device__ __forceinline__ void put_piece(__half *to, const float g[V],
                                                 float peak)
{
    const float most = 65504;
    struct piece<__half, V> p;

    if (V == 1 || peak > most) {
#pragma unroll
        for (int v = 0; v < V; v++)
            put(&p.v[v], g[v]);
    } else {
#pragma unroll
        for (int v = 0; v + 1 < V; v += 2) {
            __half2 both = __floats2half2_rn(g[v], g[v + 1]);

            p.v[v] = both.x;
            p.v[v + 1] = both.y;
        }
    }
    *reinterpret_cast<struct piece<__half, V> *>(to) = p;
}

/* Pixels of y, row by row, and the one of gx, if it is pooled; -1: there is none. */
struct window {
    int pixel[4], read;
};

template <class T>
static __device__ __forceinline__ int windows_across(const struct joint<T> &j)
{
    return (j.w + 1) / 2;
}

template <class T>
static __device__ __forceinline__ struct window window_of(const struct joint<T> &j,
                                                          int i)
{
    int row = i / windows_across(j), column = i - row * windows_across(j);
    bool whole = j.top + row < j.h / 2 && column < j.w / 2;
    struct window w;

#pragma unroll
    for (int k = 0; k < 4; k++) {
        int r = 2 * (j.top + row) + k / 2, c = 2 * column + k % 2;

        w.pixel[k] = row < j.rows && r < j.h && c < j.w ? r * j.w + c : -1;
    }
    w.read = row < j.rows && whole ? row * (j.w / 2) + column : -1;
    return w;
}

/* Values of a pixel and gradients by their ReLU become gradients by them: p is where
 * they are in y, more(before, g) adds what regions do. The largest magnitude. */
template <class T, int V, class F>
static __device__ __forceinline__ float join(const struct joint<T> &j, size_t p,
                                             const struct piece<T, V> &y, float g[V],
                                             F more)
{
    float peak = 0;

    more(false, g);
    if (j.after.target) {
        struct piece<T, V> target = piece_at<V>(j.after.target + p);

#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += j.after.scale * (relu(value(y.v[v])) - value(target.v[v]));
    }
#pragma unroll
    for (int v = 0; v < V; v++)
        g[v] = value(y.v[v]) > 0 ? g[v] : 0;
    more(true, g);
    if (j.before.target) {
        struct piece<T, V> target = piece_at<V>(j.before.target + p);

#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += j.before.scale * (value(y.v[v]) - value(target.v[v]));
    }
#pragma unroll
    for (int v = 0; v < V; v++)
        peak = fmaxf(peak, fabsf(g[v]));
    put_piece<V>(j.y + p, g, peak);
    return peak;
}

/* Which pixel of a window each pooled value is, the first of the largest: two bits for
 * each. */
template <class T, int V>
static __device__ __forceinline__ unsigned largest_of(const struct piece<T, V> y[4])
{
    unsigned largest = 0;

#pragma unroll
    for (int v = 0; v < V; v++) {
        float most = relu(value(y[0].v[v]));
        unsigned at = 0;

#pragma unroll
        for (unsigned i = 1; i < 4; i++) {
            float next = relu(value(y[i].v[v]));

            at = next > most ? i : at;
            most = fmaxf(most, next);
        }
        largest |= at << 2 * v;
    }
    return largest;
}

/* Channels from k on of a window whose values are y; more(i, before, g) adds what the
 * regions do to gradients of pixel i. */
template <class T, int V, class F>
static __device__ __forceinline__ float join_window(const struct joint<T> &j,
                                                    const struct window &at, int k,
                                                    const struct piece<T, V> y[4],
                                                    F more)
{
    size_t first = (size_t)2 * j.top * j.w;
    struct piece<T, V> read = {
    };
    float peak = 0;
    unsigned largest = 0;

    if (j.pooled) {
        if (j.gx && at.read >= 0)
            read = piece_at<V>(j.gx + (size_t)at.read * j.c + k);
        if (!j.average)
            largest = largest_of<T, V>(y);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float g[V];

        if (at.pixel[i] < 0)
            continue;
        if (j.gx && !j.pooled)
            read = piece_at<V>(j.gx + (at.pixel[i] - first) * j.c + k);
#pragma unroll
        for (int v = 0; v < V; v++) {
            g[v] = value(read.v[v]);
            if (j.pooled)
                g[v] = j.average                               ? 0.25f * g[v]
                       : (largest >> 2 * v & 3) == unsigned(i) ? g[v]
                                                               : 0;
        }
        peak = fmaxf(
            peak, join<T, V>(j, (size_t)at.pixel[i] * j.c + k, y[i], g,
                             [&](bool before, float *sum) { more(i, before, sum); }));
    }
    return peak;
}

/* Note a thread's largest magnitude; all threads of the warp call it. */
template <class T>
static __device__ __forceinline__ void note_peak(const struct joint<T> &j, float peak)
{
    if (!j.peak)
        return;
    for (int lane = 16; lane > 0; lane /= 2)
        peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, lane));
    /* most find a larger one there */
    if (threadIdx.x % 32 == 0 &&
        __float_as_int(peak) > *static_cast<volatile int *>(j.peak))
        atomicMax(j.peak, __float_as_int(peak));
}

template <class T, int V> __global__ void join_kernel(struct joint<T> j)
{
    unsigned pieces = (unsigned)(j.c / V);
    unsigned n = (unsigned)(j.rows * windows_across(j)) * pieces;
    float peak = 0;

    for (unsigned i = (unsigned)cuda_first(); i < n; i += (unsigned)cuda_step()) {
        int k = (int)(i % pieces) * V;
        struct window at = window_of(j, (int)(i / pieces));
        struct piece<T, V> y[4];

#pragma unroll
        for (int p = 0; p < 4; p++) {
            y[p] = {};
            if (at.pixel[p] >= 0)
                y[p] = piece_at<V>(j.y + (size_t)at.pixel[p] * j.c + k);
        }
        peak = fmaxf(peak,
                     join_window<T, V>(j, at, k, y, [&](int p, bool before, float *g) {
                         const float *sum = before ? j.before.sum : j.after.sum;
                         size_t pixel = (size_t)at.pixel[p] - (size_t)2 * j.top * j.w;

                         if (sum)
                             add<V>(g, sum + pixel * j.c + k, 1);
                     }));
    }
    note_peak(j, peak);
}

template <class T> void cuda_join(struct cuda *cu, const struct joint<T> &j)
{
    constexpr int most = PIECE / (int)sizeof(T);
    size_t windows = (size_t)j.rows * ((j.w + 1) / 2);

    if (j.c % most == 0)
        cuda_launch_over(cu, join_kernel<T, most>, windows * (j.c / most), j);
    else
        cuda_launch_over(cu, join_kernel<T, 1>, windows * j.c, j);
}

/* ---- with a product ---- */

#define SLICE 64 /* bytes of each row that are multiplied at once */
#define STAGES 3

/* Channels (those that there are not count as 0), windows, and how many warps divide
 * each among them; the least blocks of a processor. */
template <int C, int W, int WR, int WN, int B> struct tile {
    static constexpr int channels = C, windows = W, warps_across = WN, blocks = B;
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
    static constexpr size_t bytes = (size_t)matrix + STAGES * L::stage;
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

/* And slice s of the matrix. */
template <class T, class L>
static __device__ __forceinline__ void fetch_matrix(const T *matrix, int c, int s)
{
    constexpr int parts = SLICE / PIECE, piece = PIECE / (int)sizeof(T);
    unsigned char *to =
        nst_dynamic_shared + places<T, L>::matrix + s % STAGES * L::stage;
    int part = (int)threadIdx.x % parts, k = (s * parts + part) * piece;

    for (int i = (int)threadIdx.x / parts; i < L::channels; i += L::threads / parts) {
        bool there = i < c && k < c;

        ptx::cp_async16(to + matrix_at(row_of<T>(i), part),
                        matrix + (there ? (size_t)i * c + k : 0), there);
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
        nst_dynamic_shared + places<T, L>::matrix + s % STAGES * L::stage;

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
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < slices)
            fetch_matrix<T, L>(r.matrix, j.c, s);
        ptx::cp_async_commit();
    }
    for (int s = 0; s < slices; s++) {
        ptx::cp_async_wait<STAGES - 2>();
        __syncthreads(); /* all copies of s are there, and all are done with s - 1 */
        if (s + STAGES - 1 < slices)
            fetch_matrix<T, L>(r.matrix, j.c, s + STAGES - 1);
        ptx::cp_async_commit();
        multiply_slice<T, L>(s, r.clip, d);
    }
    ptx::cp_async_wait<0>();
}

/* What a row of the matrix makes is times. */
template <class T, int V> struct scales {
    float v[V];
};

template <class T, int V>
static __device__ __forceinline__ struct scales<T, V> scales_of(
    const struct region<T> &r, int k) {
    struct scales<T, V> s = {
    };

    if (r.scales)
        add<V>(s.v, r.scales + k, 1);
    else
#pragma unroll
        for (int v = 0; v < V; v++)
            s.v[v] = 1;
    return s;
}

/* Join pieces whose fragments begin with m and n. */
template <class T, class L>
static __device__ __forceinline__ float join_fragments(const struct joint<T> &j,
                                                       const struct region<T> &r,
                                                       const struct window &at, int row,
                                                       int k, int m, int n,
                                                       const float d[L::m][L::n][4])
{
    constexpr int V = PIECE / (int)sizeof(T);
    const struct scales<T, V> scales = scales_of<T, V>(r, k);
    struct piece<T, V> y[4];

#pragma unroll
    for (int i = 0; i < 4; i++)
        y[i] = *reinterpret_cast<const struct piece<T, V> *>(
            value_at<T, L>(row + i * 8, k / V));
    return join_window<T, V>(j, at, k, y, [&](int i, bool before, float *g) {
        float term[V], weight;

        if (before != r.before)
            return;
#pragma unroll
        for (int v = 0; v < V; v++)
            term[v] = scales.v[v] * d[m + i / 2][n + v / 2][i % 2 * 2 + v % 2];
        if (r.offset)
            add<V>(term, r.offset + k, r.scale);
        weight = r.guide ? r.guide[at.pixel[i]] : 1;
#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += weight * term[v];
    });
}

template <class T, class L>
__global__ void __launch_bounds__(L::threads, L::blocks)
    join_region_kernel(struct joint<T> j, struct region<T> r)
{
    constexpr int piece = PIECE / (int)sizeof(T);
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int first = warp / L::warps_across * L::m * 16 + lane / 4;
    int channel = warp % L::warps_across * L::n * 8 + lane % 4 * piece;
    const struct window *windows = find_windows<T, L>(j);
    float d[L::m][L::n][4] = {}, peak = 0;

    product<T, L>(j, r, windows, d);
#pragma unroll
    for (int m = 0; m < L::m; m += 2)
#pragma unroll
        for (int n = 0; n < L::n; n += piece / 2) {
            int row = first + m * 16, k = channel + n * 8;

            if (k < j.c)
                peak =
                    fmaxf(peak, join_fragments<T, L>(j, r, windows[window_of_row(row)],
                                                     row, k, m, n, d));
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
        either<T, tile<64, 32, 4, 1, 4>, tile<64, 8, 1, 2, 4>>(cu, windows, f);
    else if (channels <= 128)
        either<T, tile<128, 16, 2, 2, 4>, tile<128, 8, 1, 4, 4>>(cu, windows, f);
    else if (channels <= 256)
        either<T, tile<256, 16, 2, 4, 2>, tile<256, 8, 1, 8, 2>>(cu, windows, f);
    else
        either<T, tile<512, 16, 1, 8, 1>, tile<512, 8, 1, 8, 1>>(cu, windows, f);
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
    size_t windows = (size_t)j.rows * ((j.w + 1) / 2);

    with_tile<T>(cu, j.c, windows, [&](auto l) {
        using L = decltype(l);
        constexpr size_t bytes = places<T, L>::bytes;
        size_t blocks = (windows + L::windows - 1) / L::windows;

        cuda_ok(cu, cudaFuncSetAttribute(join_region_kernel<T, L>,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)bytes));
        cuda_launch(cu, join_region_kernel<T, L>, dim3((unsigned)blocks), L::threads,
                    bytes, j, r);
    });
}

#define OF(T)                                                                          \
    template void cuda_join<T>(struct cuda *, const struct joint<T> &);                \
    template void cuda_join_region<T>(struct cuda *, const struct joint<T> &,          \
                                      const struct region<T> &);                       \
    template bool cuda_joins_region<T>(const struct cuda *, int);
OF(float)
OF(__half)
