/* SPDX-License-Identifier: MIT */
/*
 * implicit.cu - convolutions as products on tensor cores that never lay patches out
 * ("implicit GEMM"; Chetlur et al. 2014, cuDNN), for compute capability 8.0 and later.
 *
 * A block makes a tile of rows x 16 pixels by so many channels, a warp 4 rows of it by
 * 32 or 16 channels. It goes through the channels read, CUDA_SLICE bytes at a time: of
 * these, all pixels that the tile's patches touch lie in shared memory once, and a tap
 * is but a place among them. Of the weights there are the three taps of a column, one
 * column after the other. A row of pixels, once in registers, is multiplied by all
 * three: it is in the patches of three rows. While a column is multiplied, what it will
 * be in the next slice is copied.
 *
 * The order of a sum is: slices, columns, channels of half a slice, rows of taps. Where
 * there are too few blocks to keep the device busy, several groups of warps work at a
 * tile, each at its own slices, and their sums are added in the groups' order.
 *
 * 32 bytes of fp16 are 16 channels, of TF32 eight, which an instruction reads: the same
 * bytes in the same places, and one kernel for both.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"

#include <math.h>

#define CUDA_SLICE 64 /* bytes of a pixel, and of a tap of an output channel */
#define STEP 32       /* of them that an instruction reads */
#define PIECE 16      /* of them that are copied at once */
#define PIECES (CUDA_SLICE / PIECE)
#define COLUMNS 16
#define READ (COLUMNS + 2) /* pixels of a row that patches touch */
#define RING 4             /* columns of weights: one in use, three to come */

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Tiles: warps each way, eights of channels of a warp, and groups of so many warps:
 * each takes its own slices, in turn, with shared memory of its own. */
template <int WR, int WN, int N, int G = 1> struct tile {
    static constexpr int m = 4, n = N; /* rows of 16 pixels, eights of channels */
    static constexpr int groups = G, group = 32 * WR * WN, threads = G * group;
    static constexpr int warps_across = WN;
    static constexpr int rows = m * WR, channels = 8 * N * WN;
    static constexpr int pixels = rows * COLUMNS, read = (rows + 2) * READ;
    static constexpr int map = read * CUDA_SLICE, column = 3 * channels * CUDA_SLICE;
    /* In shared memory of each group: two slices of the map, the ring, where in the map
     * pixels are. Then, in the place of all, the sums of all groups but the first, and
     * the tile made: a pixel's channels, and so much more that no two of a store are in
     * one bank. Behind all of it the bias. */
    static constexpr int ring = 2 * map, places = ring + RING * column;
    static constexpr int fetched = places + read * (int)sizeof(int2);
    static constexpr int pitch = channels + 8;
    static constexpr int made = pixels * pitch * (int)sizeof(float);
    static constexpr int bias = G * fetched > made ? G *fetched : made;
    static constexpr int bytes = bias + channels * (int)sizeof(float);
    static_assert((G - 1) * group * m * n * (int)sizeof(float4) <= bias);
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

/* A thread's group, and its number there; where the group's shared memory begins. */
template <class L> static __device__ __forceinline__ int group_of()
{
    return L::groups == 1 ? 0 : (int)threadIdx.x / L::group;
}
template <class L> static __device__ __forceinline__ int thread_of()
{
    return L::groups == 1 ? (int)threadIdx.x : (int)threadIdx.x % L::group;
}
template <class L> static __device__ __forceinline__ int begin_of()
{
    return group_of<L>() * L::fetched;
}

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
    int2 *places =
        reinterpret_cast<int2 *>(nst_dynamic_shared + begin_of<L>() + L::places);

    for (int i = thread_of<L>(); i < L::read; i += L::group) {
        int r = i / READ, c = i % READ, row = at.top + r - 1, column = at.left + c - 1;
        bool inside = row >= 0 && row < p.h && column >= 0 && column < p.w;

        places[i] = make_int2(inside ? row * p.w + column : -1,
                              begin_of<L>() + r * READ * CUDA_SLICE + swizzled(c, 0));
    }
    __syncthreads();
}

/* The bias to where it is read at the end. */
template <class L>
static __device__ __forceinline__ void find_bias(const float *bias, int cout,
                                                 const struct where &at)
{
    float *to = reinterpret_cast<float *>(nst_dynamic_shared + L::bias);

    for (int i = (int)threadIdx.x; i < L::channels; i += L::threads)
        to[i] = bias && at.channel + i < cout ? bias[at.channel + i] : 0;
}

/* What a thread fetches next: always the same piece of a slice. */
template <class T> struct source {
    const T *x, *weight; /* the map's first pixel; a tap of an output channel */
    int to;              /* its first of a column of weights in shared memory */
    int channels, left;  /* that there are from its first on: to read, of weights */
};

template <class T, class L>
static __device__ __forceinline__ struct source<T> source_of(const struct patches<T> &p,
                                                             const struct where &at,
                                                             int slice) {
    int i = thread_of<L>() / PIECES, part = thread_of<L>() % PIECES;
    int channel = (slice * PIECES + part) * piece<T>::n, k = at.channel + i;

    return {p.x + channel, p.weight + (size_t)k * 9 * p.cin + channel,
            begin_of<L>() + swizzled(i, part), p.cin - channel, p.cout - k};
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
    constexpr int step = L::group / PIECES, parts = 3 * L::channels / step;
    constexpr int slice = L::groups * PIECES * piece<T>::n;
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
    constexpr int step = L::group / PIECES;
    /* unsigned: or registers of the largest tiles are spilt */
    const int2 *places =
        reinterpret_cast<const int2 *>(nst_dynamic_shared + begin_of<L>() + L::places) +
        (unsigned)thread_of<L>() / PIECES;

#pragma unroll
    for (int i = part * step; i < L::read; i += PARTS * step) {
        bool here = wanted && i + thread_of<L>() / PIECES < L::read;
        int2 place = places[here ? i : 0];

        ptx::cp_async16(
            nst_dynamic_shared + to + (place.y ^ thread_of<L>() % PIECES * PIECE),
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
        from.x += L::groups * PIECES * piece<T>::n;
        from.channels -= L::groups * PIECES * piece<T>::n;
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

/* A word of the map as it is multiplied: what a ReLU leaves of it, if so. No number
 * stays none. */
template <bool RELU>
static __device__ __forceinline__ unsigned prepared(unsigned v, const __half *)
{
    return RELU ? ptx::max_f16x2(v, 0) : v;
}

/* What the instruction takes of a float are its upper 19 bits: so to the nearest. The
 * NaN that the device makes is 0x7fffffff, and would overflow. */
template <bool RELU>
static __device__ __forceinline__ unsigned prepared(unsigned v, const float *)
{
    int bits = min((int)v, 0x7fffefff);

    return (unsigned)((RELU ? max(bits, 0) : bits) + 0x1000);
}

/* What a warp multiplies by: offsets in shared memory of a lane's rows of both. */
struct operands {
    int pixels, weights;
};

/* In registers: of three rows of pixels, and of a column of weights. */
template <class L> struct fragments {
    unsigned a[3][4], b[3][L::n][2];
};

template <class L>
static __device__ __forceinline__ void load_pixels(struct fragments<L> &f, int row,
                                                   const struct operands &from)
{
    ptx::ldmatrix_x4(f.a[row % 3],
                     nst_dynamic_shared + from.pixels + row * READ * CUDA_SLICE);
}

template <class L>
static __device__ __forceinline__ void load_weights(struct fragments<L> &f, int tap,
                                                    const struct operands &from)
{
#pragma unroll
    for (int n = 0; n < L::n; n += 2) {
        unsigned both[4];

        ptx::ldmatrix_x4(both, nst_dynamic_shared + from.weights +
                                   (tap * L::channels + n * 8) * CUDA_SLICE);
        f.b[tap][n][0] = both[0];
        f.b[tap][n][1] = both[1];
        f.b[tap][n + 1][0] = both[2];
        f.b[tap][n + 1][1] = both[3];
    }
}

/*
 * Add the products of half a slice and a column of taps to a warp's tile. The first two
 * rows of pixels and of weights are in the fragments; as soon as one has been used, it
 * is loaded with what is next. between(i) is called at each of PARTS rows.
 */
template <class T, class L, bool RELU, class F>
static __device__ __forceinline__ void multiply_step(const struct operands &now,
                                                     const struct operands &next,
                                                     struct fragments<L> &f,
                                                     float d[L::m][L::n][4], F between)
{
    constexpr int rows = L::m + 2;
    static_assert(rows % 3 == 0 && rows == PARTS);

#pragma unroll
    for (int r = 0; r < rows; r++) {
        if (r + 2 < rows)
            load_pixels<L>(f, r + 2, now);
        else
            load_pixels<L>(f, r + 2 - rows, next);
        if (r == 0)
            load_weights<L>(f, 2, now);
        if (r >= L::m)
            load_weights<L>(f, r - L::m, next);
        between(r);
#pragma unroll
        for (int i = 0; i < 4; i++)
            f.a[r % 3][i] =
                prepared<RELU>(f.a[r % 3][i], static_cast<const T *>(nullptr));
#pragma unroll
        for (int u = 0; u < 3; u++)
#pragma unroll
            for (int n = 0; n < L::n; n++)
                if (r >= u && r - u < L::m)
                    multiply(d[r - u][n], f.a[r % 3], f.b[u][n],
                             static_cast<const T *>(nullptr));
    }
}

/* A lane's rows: of pixels at each column of taps, and of weights. */
template <class L> struct lanes {
    int pixels[3], weights;
};

template <class L> static __device__ __forceinline__ struct lanes<L> lanes_of() {
    int lane = (int)threadIdx.x % 32, warp = thread_of<L>() / 32;
    int row = warp / L::warps_across * L::m,
        channel = warp % L::warps_across * L::n * 8;
    struct lanes<L> l;

#pragma unroll
    for (int v = 0; v < 3; v++)
        l.pixels[v] = begin_of<L>() + row * READ * CUDA_SLICE +
                      swizzled(lane % 16 + v, lane / 16);
    l.weights =
        begin_of<L>() + swizzled(channel + lane / 16 * 8 + lane % 8, lane / 8 % 2);
    return l;
}

/* The other half of a slice: swizzled() has these bits by exclusive or. */
static __device__ __forceinline__ struct operands
other_half(const struct operands &o)
{
    return {o.pixels ^ STEP, o.weights ^ STEP};
}

/* The first columns of a group: the weights do not change, and may come before what was
 * launched before this is done. */
template <class T, class L>
static __device__ __forceinline__ void fetch_first(const struct patches<T> &p,
                                                   struct source<T> &from)
{
#pragma unroll
    for (int part = 0; part < PARTS; part++)
        fetch_weights<T, L>(from, p.cin, 0, part, L::ring, true);
    ptx::begin();
#pragma unroll
    for (int part = 0; part < PARTS; part++)
        fetch_pixels<T, L>(from, p.cin, part, 0, true);
    ptx::cp_async_commit();
#pragma unroll
    for (int v = 1; v < 3; v++) {
#pragma unroll
        for (int part = 0; part < PARTS; part++)
            fetch<T, L>(from, p.cin, v, part, 0, L::ring + v * L::column, true);
        ptx::cp_async_commit();
    }
}

/* Slices that a group goes through, of those of a map's channels. */
template <class T, class L>
static __host__ __device__ __forceinline__ int rounds(int cin)
{
    int slices = (cin * (int)sizeof(T) + CUDA_SLICE - 1) / CUDA_SLICE;

    return (slices + L::groups - 1) / L::groups;
}

/* The warp's tile of the product of patches and weights, of its group's slices. */
template <class T, class L, bool RELU>
static __device__ __forceinline__ void product(const struct patches<T> &p,
                                               const struct where &at,
                                               float d[L::m][L::n][4])
{
    const int slices = rounds<T, L>(p.cin);
    struct source<T> from = source_of<T, L>(p, at, group_of<L>());
    const struct lanes<L> lanes = lanes_of<L>();
    int pixels = 0, slot = 0; /* in use: of both slices, of the ring */
    struct fragments<L> f;
    struct operands now;

    find_pixels<T, L>(p, at);
    fetch_first<T, L>(p, from);
    ptx::cp_async_wait<2>();
    ptx::barrier<L::group>(1 + group_of<L>());
    now = {lanes.pixels[0], L::ring + lanes.weights};
    for (int i = 0; i < 2; i++) {
        load_pixels<L>(f, i, now);
        load_weights<L>(f, i, now);
    }
    for (int s = 0; s < slices; s++) {
#pragma unroll
        for (int v = 0; v < 3; v++) {
            int after = (slot + 1) % RING, last = (slot + RING - 1) % RING;
            struct operands half = other_half(now);

            multiply_step<T, L, RELU>(now, half, f, d, [](int) {});
            ptx::cp_async_wait<1>();
            ptx::barrier<L::group>(
                1 +
                group_of<L>()); /* the next column is there, and all left the last */
            now = {(v == 2 ? L::map - pixels : pixels) + lanes.pixels[(v + 1) % 3],
                   L::ring + after * L::column + lanes.weights};
            multiply_step<T, L, RELU>(half, now, f, d, [&](int part) {
                fetch<T, L>(from, p.cin, v, part, L::map - pixels,
                            L::ring + last * L::column, s + 1 < slices);
            });
            ptx::cp_async_commit();
            slot = after;
        }
        pixels = L::map - pixels;
    }
}

/* The sums of all groups to the first. */
template <class L>
static __device__ __forceinline__ void add_groups(float d[L::m][L::n][4])
{
    float4 *sums = reinterpret_cast<float4 *>(nst_dynamic_shared) + thread_of<L>();
    const int others = group_of<L>() - 1;

    __syncthreads();
#pragma unroll
    for (int i = 0; i < L::m * L::n; i++) {
        const float *v = d[i / L::n][i % L::n];

        if (others >= 0)
            sums[(others * L::m * L::n + i) * L::group] =
                make_float4(v[0], v[1], v[2], v[3]);
    }
    __syncthreads();
    if (others >= 0)
        return;
#pragma unroll
    for (int i = 0; i < (L::groups - 1) * L::m * L::n; i++) {
        float *v = d[i / L::n % L::m][i % L::n];
        float4 more = sums[i * L::group];

        v[0] += more.x;
        v[1] += more.y;
        v[2] += more.z;
        v[3] += more.w;
    }
}

/* Two values of channels that are neighbours, or what a ReLU leaves of them, as put()
 * has them. */
static __device__ __forceinline__ void put_pair(float *to, float a, float b, bool clip)
{
    *reinterpret_cast<float2 *>(to) =
        make_float2(clip ? relu(a) : a, clip ? relu(b) : b);
}
static __device__ __forceinline__ void put_pair(__half *to, float a, float b, bool clip)
{
    const unsigned least = clip ? 0 : 0xfc00fc00u; /* or minus infinity */

    *reinterpret_cast<unsigned *>(to) = ptx::max_f16x2(ptx::pack_f16x2(a, b), least);
}

/* Where a lane's sums are in the tile: the first pixel and channel of them. */
template <class L> static __device__ __forceinline__ int2 first_of()
{
    int lane = (int)threadIdx.x % 32, warp = thread_of<L>() / 32;

    return make_int2(warp / L::warps_across * L::m * COLUMNS + lane / 4,
                     warp % L::warps_across * L::n * 8 + lane % 4 * 2);
}

/* The block's tile plus the bias, pixel by pixel, in place of what was multiplied; or
 * what a ReLU leaves of it. */
template <class U, class L>
static __device__ __forceinline__ const U *spread(const float d[L::m][L::n][4],
                                                  bool clip)
{
    U *tile = reinterpret_cast<U *>(nst_dynamic_shared);
    const int2 first = first_of<L>();
    const float2 *bias =
        reinterpret_cast<const float2 *>(nst_dynamic_shared + L::bias) + first.y / 2;

    __syncthreads();
#pragma unroll
    for (int n = 0; n < L::n; n++) {
        float2 b = bias[n * 4];

#pragma unroll
        for (int m = 0; m < L::m; m++)
#pragma unroll
            for (int i = 0; i < 4; i += 2)
                if (group_of<L>() == 0)
                    put_pair(&tile[(first.x + m * COLUMNS + i / 2 * 8) * L::pitch +
                                   first.y + n * 8],
                             d[m][n][i] + b.x, d[m][n][i + 1] + b.y, clip);
    }
    __syncthreads();
    return tile;
}

template <class T, class L>
static __device__ __forceinline__ struct piece<T> piece_of(const T *tile, int pixel,
                                                           int channel) {
    return *reinterpret_cast<const struct piece<T> *>(tile + pixel * L::pitch +
                                                      channel);
}

/* The tile's pixels that are the map's, rows of which end before end. */
template <class T, class L>
static __device__ __forceinline__ void put_tile(const struct patches<T> &p,
                                                const struct outcome<T> &o,
                                                const struct where &at, const T *tile)
{
    constexpr int values = piece<T>::n, pieces = L::channels / values;

    for (int i = (int)threadIdx.x; i < L::pixels * pieces; i += L::threads) {
        int pixel = i / pieces, k = i % pieces * values, channel = at.channel + k;
        int row = at.top + pixel / COLUMNS, column = at.left + pixel % COLUMNS;

        if (row < o.top + o.rows && column < p.w && channel < p.cout)
            *reinterpret_cast<struct piece<T> *>(
                &o.y[((size_t)(row - o.top) * p.w + column) * p.cout + channel]) =
                piece_of<T, L>(tile, pixel, k);
    }
}

/* A pooled value of what a ReLU leaves of four. */
template <class T>
static __device__ __forceinline__ float pooled(bool average, T a, T b, T c, T d)
{
    float p = relu(value(a)), q = relu(value(b)), r = relu(value(c)),
          s = relu(value(d));

    return average ? 0.25f * (p + q + r + s) : fmaxf(fmaxf(p, q), fmaxf(r, s));
}

/* The pooled values of a tile of maps. */
template <class T, class L>
static __device__ __forceinline__ void pool_tile(const struct patches<T> &p,
                                                 const struct outcome<T> &o,
                                                 const struct where &at, const T *tile)
{
    constexpr int values = piece<T>::n, pieces = L::channels / values;

    for (int i = (int)threadIdx.x; i < L::pixels / 4 * pieces; i += L::threads) {
        int k = i % pieces * values, channel = at.channel + k;
        int column = i / pieces % (COLUMNS / 2), row = i / pieces / (COLUMNS / 2);
        int y = at.top / 2 + row, x = at.left / 2 + column;
        int pixel = 2 * (row * COLUMNS + column);
        struct piece<T> a = piece_of<T, L>(tile, pixel, k),
                        b = piece_of<T, L>(tile, pixel + 1, k),
                        c = piece_of<T, L>(tile, pixel + COLUMNS, k),
                        d = piece_of<T, L>(tile, pixel + COLUMNS + 1, k);

        for (int j = 0; j < values; j++)
            put(&a.v[j], pooled(o.average, a.v[j], b.v[j], c.v[j], d.v[j]));
        if (y < p.h / 2 && x < p.w / 2 && channel < p.cout)
            *reinterpret_cast<struct piece<T> *>(
                &o.pooled[((size_t)y * (p.w / 2) + x) * p.cout + channel]) = a;
    }
}

template <class T, class L, bool RELU>
__global__ void __launch_bounds__(L::threads, L::blocks)
    conv_kernel(struct patches<T> p, struct outcome<T> o)
{
    struct where at = place_of<L>(p.w, p.cout);
    float d[L::m][L::n][4] = {};
    const T *tile;

    at.top += o.top;
    find_bias<L>(o.bias, p.cout, at);
    product<T, L, RELU>(p, at, d);
    if (L::groups > 1)
        add_groups<L>(d);
    tile = spread<T, L>(d, o.relu);
    put_tile<T, L>(p, o, at, tile);
    if (o.pooled)
        pool_tile<T, L>(p, o, at, tile);
}

using huge = tile<4, 4, 4>;         /* 16 rows, 128 channels */
using large = tile<4, 2, 4>;        /* 16 rows, 64 channels */
using middle = tile<4, 1, 4>;       /* 16 rows, 32 channels */
using small = tile<2, 2, 2>;        /* 8 rows, 32 channels */
using large_two = tile<4, 2, 4, 2>; /* the same by two groups of warps */
using middle_two = tile<4, 1, 4, 2>;
using small_four = tile<2, 2, 2, 4>;

template <class L> static unsigned blocks(int rows, int w, int cout)
{
    return (unsigned)(((rows + L::rows - 1) / L::rows) * ((w + COLUMNS - 1) / COLUMNS) *
                      ((cout + L::channels - 1) / L::channels));
}

/*
 * Cycles of products on the processor that has most blocks, or of what all of them
 * read, whichever are more; the latter are in the way of the former, too, so that of
 * tiles as good as each other those are better that read less. A quarter of a processor
 * multiplies 16 pixels, 8 channels and 32 bytes in 6.4 cycles (600 of 990 TFLOP/s of an
 * H100), where enough warps take turns; with four on it, it took twice the time, with
 * eight half as much again. A processor gets 24 bytes in each (5.5 TB/s of its L2).
 */
template <class T, class L>
static float cost(const struct cuda *cu, const struct patches<T> &p)
{
    unsigned n = blocks<L>(p.h, p.w, p.cout), all = (unsigned)cu->processors;
    unsigned turns = (n + all - 1) / all;
    unsigned at_once = turns < (unsigned)L::blocks ? turns : (unsigned)L::blocks;
    float slices = (float)rounds<T, L>(p.cin) * L::groups;
    float products =
        (float)turns * slices * 18 * 6.4f / 4 * L::pixels * L::channels / 128;
    float reads =
        (float)n / (float)all * slices * CUDA_SLICE / 24 * (L::read + 9 * L::channels);

    if ((size_t)L::bytes > cu->shared)
        return INFINITY;
    products *= 1 + 4 * 32 / (float)(at_once * L::threads);
    return fmaxf(products, reads) + reads / 2;
}

/* Call f with the tile that costs least: the first such. It follows from the shape of
 * the map, whatever rows of it are wanted: with it the order of sums does. */
template <class T, class F, class L, class... More>
static void with_cheapest(const struct cuda *cu, const struct patches<T> &p, F f,
                          float least, L l, More... more)
{
    if constexpr (sizeof...(More) == 0)
        f(l);
    else if (cost<T, L>(cu, p) <= least)
        f(l);
    else
        with_cheapest<T>(cu, p, f, least, more...);
}

template <class T, class F, class... L>
static void with_tile(const struct cuda *cu, const struct patches<T> &p, F f, L... l)
{
    float least = INFINITY;

    ((least = fminf(least, cost<T, L>(cu, p))), ...);
    with_cheapest<T>(cu, p, f, least, l...);
}

/* f(tiles...) */
template <class F> static void with_tiles(F f)
{
    f(huge(), large(), middle(), small(), large_two(), middle_two(), small_four());
}

template <class T>
void cuda_implicit_conv(struct cuda *cu, const struct patches<T> &p,
                        const struct outcome<T> &o)
{
    auto launch = [&](auto l) {
        using L = decltype(l);

        cuda_launch_early(
            cu, p.relu ? conv_kernel<T, L, true> : conv_kernel<T, L, false>,
            dim3(blocks<L>(o.rows, p.w, p.cout)), L::threads, L::bytes, p, o);
    };

    with_tiles([&](auto... l) { with_tile<T>(cu, p, launch, l...); });
}

/* These kernels may have so much shared memory, where the device has it. */
template <class L, class... K> static void allow(struct cuda *cu, K... kernels)
{
    const auto most = cudaFuncAttributeMaxDynamicSharedMemorySize;

    if ((size_t)L::bytes <= cu->shared)
        (cuda_ok(cu, cudaFuncSetAttribute(kernels, most, L::bytes)), ...);
}

template <class T, class... L> static void allow_tiles(struct cuda *cu, L...)
{
    (allow<L>(cu, conv_kernel<T, L, false>, conv_kernel<T, L, true>), ...);
}

void cuda_implicit_open(struct cuda *cu)
{
    with_tiles([&](auto... l) {
        if (cu->precision == NST_PRECISION_FP16)
            allow_tiles<__half>(cu, l...);
        else
            allow_tiles<float>(cu, l...);
    });
}

#define OF(T)                                                                          \
    template void cuda_implicit_conv<T>(struct cuda *, const struct patches<T> &,      \
                                        const struct outcome<T> &);
OF(float)
OF(__half)
