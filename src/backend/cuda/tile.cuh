/* SPDX-License-Identifier: MIT */
/*
 * tile.cuh - tiles of implicit_gemm.cu: the layout of the operands in shared memory,
 * and the copies that load them.
 */
#ifndef NST_BACKEND_CUDA_TILE_CUH
#define NST_BACKEND_CUDA_TILE_CUH

#include "backend/cuda/conv.cuh"

#define SLICE_BYTES 64 /* bytes per slice of a pixel, and of a weight tap */
#define MMA_BYTES 32   /* bytes that one mma reads */
#define VEC_BYTES 16   /* bytes per copy */
#define SLICE_VECS (SLICE_BYTES / VEC_BYTES)
#define TILE_WIDTH 16
#define HALO_WIDTH (TILE_WIDTH + 2) /* a row with its halo */
#define WEIGHT_STAGES 4 /* columns of weights: one in use, three in flight */

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* A block's tile: WR x WN warps, each with N groups of 8 channels. */
template <int WR, int WN, int N> struct tile {
    static constexpr int m = 4, n = N; /* rows of 16 pixels, groups of 8 channels */
    static constexpr int warps_across = WN, threads = 32 * WR * WN;
    static constexpr int rows = m * WR, channels = 8 * N * WN;
    static constexpr int pixels = rows * TILE_WIDTH,
                         halo_pixels = (rows + 2) * HALO_WIDTH;
    static constexpr int map_bytes = halo_pixels * SLICE_BYTES,
                         column_bytes = 3 * channels * SLICE_BYTES;
    /* Shared memory holds two slices of the map, the ring of weight columns, and the
     * table of pixel offsets. Afterwards the output tile replaces all of it; pitch pads
     * a pixel's channels against bank conflicts. */
    static constexpr int weights_offset = 2 * map_bytes,
                         table_offset = weights_offset + WEIGHT_STAGES * column_bytes;
    static constexpr int mainloop_bytes =
        table_offset + halo_pixels * (int)sizeof(int2);
    static constexpr int pitch = channels + 8;
    static constexpr int epilogue_bytes = pixels * pitch * (int)sizeof(float);
    static constexpr int shared_bytes =
        mainloop_bytes > epilogue_bytes ? mainloop_bytes : epilogue_bytes;
    /* blocks of an SM with 228 KB and 512 threads of 128 registers; the system takes 1
     * KB per block */
    static constexpr int max_by_threads = 512 / threads,
                         max_by_shared = (228 << 10) / (shared_bytes + 1024);
    static constexpr int blocks_per_sm =
        max_by_threads < max_by_shared ? max_by_threads : max_by_shared;
};

/* A vector of 16 bytes. */
template <class T> struct alignas(VEC_BYTES) vec {
    static constexpr int n = VEC_BYTES / (int)sizeof(T);
    T v[n];
};

/* First row, column and channel of a block's tile. */
struct tile_origin {
    int top, left, channel;
};

template <class L>
static __device__ __forceinline__ struct tile_origin origin_of(int w, int cout)
{
    int tiles_x = (w + TILE_WIDTH - 1) / TILE_WIDTH,
        tiles_c = (cout + L::channels - 1) / L::channels;
    int i = (int)blockIdx.x;

    return {i / tiles_c / tiles_x * L::rows, i / tiles_c % tiles_x * TILE_WIDTH,
            i % tiles_c * L::channels};
}

/* Offset of vector part of row i, of pixels or weights. Swizzled, so that any eight
 * consecutive rows cover all banks. */
static __device__ __forceinline__ int swizzled(int i, int part)
{
    return i * SLICE_BYTES + (part ^ i / 2 % SLICE_VECS) * VEC_BYTES;
}

/* Table for the tile's pixels with their halo: the index in the map (-1: a zero), and
 * the offset of the first vector in shared memory. */
template <class T, class L>
static __device__ __forceinline__ void fill_offset_table(
    const struct conv_args<T> &p, const struct tile_origin &origin)
{
    int2 *offsets = reinterpret_cast<int2 *>(nst_dynamic_shared + L::table_offset);

    for (int i = (int)threadIdx.x; i < L::halo_pixels; i += L::threads) {
        int r = i / HALO_WIDTH, c = i % HALO_WIDTH, row = origin.top + r - 1,
            column = origin.left + c - 1;
        bool needed = row <= p.h && column <= p.w;

        offsets[i] =
            make_int2(needed ? padded_pixel(row, column, p.h, p.w, p.padding) : -1,
                      r * HALO_WIDTH * SLICE_BYTES + swizzled(c, 0));
    }
    __syncthreads();
}

/* The next copies of a thread, which are always the same vector of a slice. */
template <class T> struct loader {
    const T *x, *weight; /* pixel 0 of the map; a tap of an output channel */
    int dst;             /* offset of its first vector in a column of weights */
    /* remaining channels to read, and output channels with weights */
    int channels_left, cout_left;
};

template <class T, class L>
static __device__ __forceinline__ struct loader<T> loader_of(
    const struct conv_args<T> &p, const struct tile_origin &origin) {
    int i = (int)threadIdx.x / SLICE_VECS, part = (int)threadIdx.x % SLICE_VECS;
    int channel = part * vec<T>::n, k = origin.channel + i;

    return {p.x + channel, p.weight + (size_t)k * 9 * p.cin + channel,
            swizzled(i, part), p.cin - channel, p.cout - k};
}

/* A fetch is issued in this many parts, between rows of products. */
#define FETCH_PARTS 6

/* Start copying part of a column of weights, if enabled, and advance: to the next
 * channels or row of taps, at the end to the next column or slice. */
template <class T, class L>
static __device__ __forceinline__ void fetch_weights(struct loader<T> &from, int cin,
                                                     int column, int part, int to,
                                                     bool enabled)
{
    constexpr int step = L::threads / SLICE_VECS, parts = 3 * L::channels / step;
    constexpr int slice = SLICE_VECS * vec<T>::n;
    static_assert(parts <= FETCH_PARTS && L::channels % step == 0 && step % 8 == 0);
    int k = part * step % L::channels, next = (part + 1) * step % L::channels;
    int rows = next == 0 ? 1 : 0;
    bool inside = k < from.cout_left && from.channels_left > 0;

    if (part >= parts)
        return;
    ptx::cp_async16(nst_dynamic_shared + to + from.dst + part * step * SLICE_BYTES,
                    from.weight, inside, enabled);
    if (part < parts - 1)
        from.weight += (9 * (next - k) + 3 * rows) * cin;
    else if (column < 2)
        from.weight += (1 - 9 * k - 6) * cin;
    else
        from.weight += (-2 - 9 * k - 6) * cin + slice;
}

/* The same for a slice of the pixels. */
template <class T, class L>
static __device__ __forceinline__ void fetch_pixels(struct loader<T> &from, int cin,
                                                    int part, int to, bool enabled)
{
    constexpr int step = L::threads / SLICE_VECS;
    const int2 *offsets =
        reinterpret_cast<const int2 *>(nst_dynamic_shared + L::table_offset) +
        threadIdx.x / SLICE_VECS;

#pragma unroll
    for (int i = part * step; i < L::halo_pixels; i += FETCH_PARTS * step) {
        bool active = enabled && i + (int)threadIdx.x / SLICE_VECS < L::halo_pixels;
        int2 offset = offsets[active ? i : 0];

        ptx::cp_async16(nst_dynamic_shared + to +
                            (offset.y ^ (int)threadIdx.x % SLICE_VECS * VEC_BYTES),
                        from.x + (ptrdiff_t)offset.x * cin,
                        offset.x >= 0 && from.channels_left > 0, active);
    }
}

/* Fetch part of the operands of a column: the weights and, with column 0, the pixels of
 * the slice. If not enabled, the addresses do not matter. */
template <class T, class L>
static __device__ __forceinline__ void fetch(struct loader<T> &from, int cin,
                                             int column, int part, int pixels,
                                             int weights, bool enabled)
{
    fetch_weights<T, L>(from, cin, column, part, weights, enabled);
    if (column == 0)
        fetch_pixels<T, L>(from, cin, part, pixels, enabled);
    if (column == 2 && part == FETCH_PARTS - 1) {
        from.x += SLICE_VECS * vec<T>::n;
        from.channels_left -= SLICE_VECS * vec<T>::n;
    }
}

#endif
