/* SPDX-License-Identifier: MIT */
/*
 * tile.cuh - of implicit_gemm.cu: a block's tile, where in shared memory what it
 * multiplies lies, and the copies that bring it there.
 */
#ifndef NST_BACKEND_CUDA_TILE_CUH
#define NST_BACKEND_CUDA_TILE_CUH

#include "backend/cuda/conv.cuh"

#define SLICE_BYTES 64 /* bytes of a pixel, and of a tap of an output channel */
#define MMA_BYTES 32   /* of them that an instruction reads */
#define VEC_BYTES 16   /* of them that are copied at once */
#define SLICE_VECS (SLICE_BYTES / VEC_BYTES)
#define TILE_WIDTH 16
#define HALO_WIDTH (TILE_WIDTH + 2) /* pixels of a row that patches touch */
#define WEIGHT_STAGES 4             /* columns of weights: one in use, three to come */

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Tiles: warps each way, and eights of channels of a warp. */
template <int WR, int WN, int N> struct tile {
    static constexpr int m = 4, n = N; /* rows of 16 pixels, eights of channels */
    static constexpr int warps_across = WN, threads = 32 * WR * WN;
    static constexpr int rows = m * WR, channels = 8 * N * WN;
    static constexpr int pixels = rows * TILE_WIDTH,
                         halo_pixels = (rows + 2) * HALO_WIDTH;
    static constexpr int map_bytes = halo_pixels * SLICE_BYTES,
                         column_bytes = 3 * channels * SLICE_BYTES;
    /* In shared memory: two slices of the map, the ring, where in the map pixels are.
     * Then the tile made, in the place of all: a pixel's channels, and so much more
     * that no two of a store are in one bank. */
    static constexpr int weights_offset = 2 * map_bytes,
                         table_offset = weights_offset + WEIGHT_STAGES * column_bytes;
    static constexpr int mainloop_bytes =
        table_offset + halo_pixels * (int)sizeof(int2);
    static constexpr int pitch = channels + 8;
    static constexpr int epilogue_bytes = pixels * pitch * (int)sizeof(float);
    static constexpr int shared_bytes =
        mainloop_bytes > epilogue_bytes ? mainloop_bytes : epilogue_bytes;
    /* blocks of a processor of 228 KB and 512 threads of 128 registers; 1 KB of each is
     * the system's */
    static constexpr int max_by_threads = 512 / threads,
                         max_by_shared = (228 << 10) / (shared_bytes + 1024);
    static constexpr int blocks_per_sm =
        max_by_threads < max_by_shared ? max_by_threads : max_by_shared;
};

/* 16 bytes of values. */
template <class T> struct alignas(VEC_BYTES) vec {
    static constexpr int n = VEC_BYTES / (int)sizeof(T);
    T v[n];
};

/* Where a block works. */
struct tile_origin {
    int top, left, channel; /* first of its tile */
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

/* Piece part of row i of shared memory: any eight rows on end, be it of pixels or of
 * weights, are in all banks. */
static __device__ __forceinline__ int swizzled(int i, int part)
{
    return i * SLICE_BYTES + (part ^ i / 2 % SLICE_VECS) * VEC_BYTES;
}

/* Of each pixel that patches of the tile touch: where in the map it is (-1: beside it),
 * and where its first piece goes to. */
template <class T, class L>
static __device__ __forceinline__ void fill_offset_table(
    const struct conv_args<T> &p, const struct tile_origin &origin)
{
    int2 *offsets = reinterpret_cast<int2 *>(nst_dynamic_shared + L::table_offset);

    for (int i = (int)threadIdx.x; i < L::halo_pixels; i += L::threads) {
        int r = i / HALO_WIDTH, c = i % HALO_WIDTH, row = origin.top + r - 1,
            column = origin.left + c - 1;
        bool inside = row >= 0 && row < p.h && column >= 0 && column < p.w;

        offsets[i] = make_int2(inside ? row * p.w + column : -1,
                               r * HALO_WIDTH * SLICE_BYTES + swizzled(c, 0));
    }
    __syncthreads();
}

/* What a thread fetches next: always the same piece of a slice. */
template <class T> struct loader {
    const T *x, *weight; /* the map's first pixel; a tap of an output channel */
    int dst;             /* its first of a column of weights in shared memory */
    int channels_left,
        cout_left; /* that there are from its first on: to read, of weights */
};

template <class T, class L>
static __device__ __forceinline__ struct loader<T> loader_of(
    const struct conv_args<T> &p, const struct tile_origin &origin) {
    int i = (int)threadIdx.x / SLICE_VECS, part = (int)threadIdx.x % SLICE_VECS;
    int channel = part * vec<T>::n, k = origin.channel + i;

    return {p.x + channel, p.weight + (size_t)k * 9 * p.cin + channel,
            swizzled(i, part), p.cin - channel, p.cout - k};
}

/* Parts of a fetch, which are begun between rows of products. */
#define FETCH_PARTS 6

/* Begin to copy a part of a column of weights, if wanted, and go to the next: a row of
 * taps, or so many channels further on; at last the next column, and slice. */
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

/* The same of a slice of the pixels. */
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

/* Both: a part of what a column is multiplied by that is not there yet. Where nothing
 * is to be copied addresses do not matter. */
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
