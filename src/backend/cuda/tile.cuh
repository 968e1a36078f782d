/* SPDX-License-Identifier: MIT */
/*
 * tile.cuh - of implicit.cu: a block's tile, where in shared memory what it multiplies
 * lies, and the copies that bring it there.
 */
#ifndef NST_BACKEND_CUDA_TILE_CUH
#define NST_BACKEND_CUDA_TILE_CUH

#include "backend/cuda/conv.cuh"

#define CUDA_SLICE 64 /* bytes of a pixel, and of a tap of an output channel */
#define STEP 32       /* of them that an instruction reads */
#define PIECE 16      /* of them that are copied at once */
#define PIECES (CUDA_SLICE / PIECE)
#define COLUMNS 16
#define READ (COLUMNS + 2) /* pixels of a row that patches touch */
#define RING 4             /* columns of weights: one in use, three to come */

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Tiles: warps each way, and eights of channels of a warp. */
template <int WR, int WN, int N> struct tile {
    static constexpr int m = 4, n = N; /* rows of 16 pixels, eights of channels */
    static constexpr int warps_across = WN, threads = 32 * WR * WN;
    static constexpr int rows = m * WR, channels = 8 * N * WN;
    static constexpr int pixels = rows * COLUMNS, read = (rows + 2) * READ;
    static constexpr int map = read * CUDA_SLICE, column = 3 * channels * CUDA_SLICE;
    /* In shared memory: two slices of the map, the ring, where in the map pixels are.
     * Then the tile made, in the place of all: a pixel's channels, and so much more
     * that no two of a store are in one bank. */
    static constexpr int ring = 2 * map, places = ring + RING * column;
    static constexpr int fetched = places + read * (int)sizeof(int2);
    static constexpr int pitch = channels + 8;
    static constexpr int made = pixels * pitch * (int)sizeof(float);
    static constexpr int bytes = fetched > made ? fetched : made;
    /* blocks of a processor of 228 KB and 512 threads of 128 registers; 1 KB of each is
     * the system's */
    static constexpr int most = 512 / threads, fit = (228 << 10) / (bytes + 1024);
    static constexpr int blocks = most < fit ? most : fit;
};

/* 16 bytes of values. */
template <class T> struct alignas(PIECE) piece {
    static constexpr int n = PIECE / (int)sizeof(T);
    T v[n];
};

/* Where a block works. */
struct where {
    int top, left, channel; /* first of its tile */
};

template <class L>
static __device__ __forceinline__ struct where place_of(int w, int cout)
{
    int across = (w + COLUMNS - 1) / COLUMNS,
        deep = (cout + L::channels - 1) / L::channels;
    int i = (int)blockIdx.x;

    return {i / deep / across * L::rows, i / deep % across * COLUMNS,
            i % deep * L::channels};
}

/* Piece part of row i of shared memory: any eight rows on end, be it of pixels or of
 * weights, are in all banks. */
static __device__ __forceinline__ int swizzled(int i, int part)
{
    return i * CUDA_SLICE + (part ^ i / 2 % PIECES) * PIECE;
}

/* Of each pixel that patches of the tile touch: where in the map it is (-1: beside it),
 * and where its first piece goes to. */
template <class T, class L>
static __device__ __forceinline__ void find_pixels(const struct patches<T> &p,
                                                   const struct where &at)
{
    int2 *places = reinterpret_cast<int2 *>(nst_dynamic_shared + L::places);

    for (int i = (int)threadIdx.x; i < L::read; i += L::threads) {
        int r = i / READ, c = i % READ, row = at.top + r - 1, column = at.left + c - 1;
        bool inside = row >= 0 && row < p.h && column >= 0 && column < p.w;

        places[i] = make_int2(inside ? row * p.w + column : -1,
                              r * READ * CUDA_SLICE + swizzled(c, 0));
    }
    __syncthreads();
}

/* What a thread fetches next: always the same piece of a slice. */
template <class T> struct source {
    const T *x, *weight; /* the map's first pixel; a tap of an output channel */
    int to;              /* its first of a column of weights in shared memory */
    int channels, left;  /* that there are from its first on: to read, of weights */
};

template <class T, class L>
static __device__ __forceinline__ struct source<T> source_of(const struct patches<T> &p,
                                                             const struct where &at) {
    int i = (int)threadIdx.x / PIECES, part = (int)threadIdx.x % PIECES;
    int channel = part * piece<T>::n, k = at.channel + i;

    return {p.x + channel, p.weight + (size_t)k * 9 * p.cin + channel,
            swizzled(i, part), p.cin - channel, p.cout - k};
}

/* Parts of a fetch, which are begun between rows of products. */
#define PARTS 6

/* Begin to copy a part of a column of weights, if wanted, and go to the next: a row of
 * taps, or so many channels further on; at last the next column, and slice. */
template <class T, class L>
static __device__ __forceinline__ void fetch_weights(struct source<T> &from, int cin,
                                                     int column, int part, int to,
                                                     bool wanted)
{
    constexpr int step = L::threads / PIECES, parts = 3 * L::channels / step;
    constexpr int slice = PIECES * piece<T>::n;
    static_assert(parts <= PARTS && L::channels % step == 0 && step % 8 == 0);
    int k = part * step % L::channels, next = (part + 1) * step % L::channels;
    int rows = next == 0 ? 1 : 0;
    bool inside = k < from.left && from.channels > 0;

    if (part >= parts)
        return;
    ptx::cp_async16(nst_dynamic_shared + to + from.to + part * step * CUDA_SLICE,
                    from.weight, inside, wanted);
    if (part < parts - 1)
        from.weight += (9 * (next - k) + 3 * rows) * cin;
    else if (column < 2)
        from.weight += (1 - 9 * k - 6) * cin;
    else
        from.weight += (-2 - 9 * k - 6) * cin + slice;
}

/* The same of a slice of the pixels. */
template <class T, class L>
static __device__ __forceinline__ void fetch_pixels(struct source<T> &from, int cin,
                                                    int part, int to, bool wanted)
{
    constexpr int step = L::threads / PIECES;
    const int2 *places =
        reinterpret_cast<const int2 *>(nst_dynamic_shared + L::places) +
        threadIdx.x / PIECES;

#pragma unroll
    for (int i = part * step; i < L::read; i += PARTS * step) {
        bool here = wanted && i + (int)threadIdx.x / PIECES < L::read;
        int2 place = places[here ? i : 0];

        ptx::cp_async16(
            nst_dynamic_shared + to + (place.y ^ (int)threadIdx.x % PIECES * PIECE),
            from.x + (ptrdiff_t)place.x * cin, place.x >= 0 && from.channels > 0, here);
    }
}

/* Both: a part of what a column is multiplied by that is not there yet. Where nothing
 * is to be copied addresses do not matter. */
template <class T, class L>
static __device__ __forceinline__ void fetch(struct source<T> &from, int cin,
                                             int column, int part, int pixels,
                                             int weights, bool wanted)
{
    fetch_weights<T, L>(from, cin, column, part, weights, wanted);
    if (column == 0)
        fetch_pixels<T, L>(from, cin, part, pixels, wanted);
    if (column == 2 && part == PARTS - 1) {
        from.x += PIECES * piece<T>::n;
        from.channels -= PIECES * piece<T>::n;
    }
}

#endif
