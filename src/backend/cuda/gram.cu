/* SPDX-License-Identifier: MIT */
/*
 * gram.cu - Gram matrices F'F over the pixels of a map, where F is pixels x channels,
 * row-major. On tensor cores a block computes a tile of channels by channels over a
 * part of the pixels. Otherwise, or with a mask, cuBLAS multiplies packed parts. The
 * parts are summed in double.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"
#include "backend/cuda/packed.cuh"
#include "backend/cuda/reduction.cuh"

#define STAGES 4

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Tiles of S x S channels, and WR x WN warps. */
template <int S, int WR, int WN> struct square_tile {
    static constexpr int side = S, warps_across = WN, threads = 32 * WR * WN;
    static constexpr int m = S / WR / 16; /* rows of a warp, in groups of 16 channels */
    static constexpr int n = S / WN / 8;  /* its columns, in groups of 8; even */
};
using small = square_tile<64, 2, 2>;
using large = square_tile<128, 2, 4>;

/* Layout of a stage: 8 KiB of pixels, with the channels of one side of a tile. The
 * pitch avoids bank conflicts: lanes read 8 rows of 16 bytes of fp16, or 4 rows of 8
 * floats, at once. */
template <class T, class L> struct stage_layout {
    static constexpr int row_bytes = L::side * (int)sizeof(T); /* bytes of a pixel */
    static constexpr int pixels = 8192 / row_bytes;
    static constexpr int pitch = row_bytes + (sizeof(T) == 2 ? 16 : 32);
    static constexpr int bytes = pixels * pitch;
    static_assert(SUM_RUN % pixels == 0);
};

/* Number of tiles in the upper triangle, which are ordered by column. */
static __host__ __device__ int tile_count(int c, int side)
{
    int n = (c + side - 1) / side;

    return n * (n + 1) / 2;
}

struct tile_coords {
    int row, column; /* first channels of the tile */
};

static __device__ struct tile_coords tile_coords_of(int tile, int side)
{
    int column = 0;

    while (tile > column)
        tile -= ++column;
    return {tile * side, column * side};
}

/* Start copying a slice: pixels from first on, channels from channel on. */
template <class T, class L>
static __device__ __forceinline__ void fetch(const struct map_view<T> &k, int first,
                                             int end, int channel, unsigned char *to)
{
    using S = stage_layout<T, L>;
    constexpr int chunks = S::row_bytes / 16;

#pragma unroll
    for (int i = (int)threadIdx.x; i < S::pixels * chunks; i += L::threads) {
        int pixel = first + i / chunks,
            c = channel + i % chunks * (16 / (int)sizeof(T));
        bool inside = pixel < end && c < k.c;
        size_t at = inside ? pixel_index(k, pixel) * k.c + c : 0;

        ptx::cp_async16(to + i / chunks * S::pitch + i % chunks * 16, k.f + at, inside);
    }
}

/* Load the fragments of 16 channels by 32 bytes of pixels (16 of fp16, 8 of TF32) at
 * from: as the left operand, or as two right operands of 8 channels. */
template <int Pitch>
static __device__ __forceinline__ void load_a(unsigned a[4], const unsigned char *from,
                                              const __half *)
{
    int lane = (int)threadIdx.x % 32;

    ptx::ldmatrix_x4_trans(a, from + (lane % 8 + lane / 16 * 8) * Pitch +
                                  lane / 8 % 2 * 16);
}
template <int Pitch>
static __device__ __forceinline__ void load_b(unsigned b[4], const unsigned char *from,
                                              const __half *)
{
    int lane = (int)threadIdx.x % 32;

    ptx::ldmatrix_x4_trans(b, from + lane % 16 * Pitch + lane / 16 * 16);
}

template <int Pitch>
static __device__ __forceinline__ unsigned load_float(const unsigned char *from, int i,
                                                      int j)
{
    int lane = (int)threadIdx.x % 32;

    return *reinterpret_cast<const unsigned *>(from + (lane % 4 + 4 * i) * Pitch +
                                               (lane / 4 + 8 * j) * sizeof(float));
}
template <int Pitch>
static __device__ __forceinline__ void load_a(unsigned a[4], const unsigned char *from,
                                              const float *)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        a[i] = load_float<Pitch>(from, i / 2, i % 2);
}
template <int Pitch>
static __device__ __forceinline__ void load_b(unsigned b[4], const unsigned char *from,
                                              const float *)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        b[i] = load_float<Pitch>(from, i % 2, i / 2);
}

/* Add the products of a slice to the warp's sums. */
template <class T, class L>
static __device__ __forceinline__ void mma_slice(const unsigned char *left,
                                                 const unsigned char *right,
                                                 unsigned floor, float d[L::m][L::n][4])
{
    using S = stage_layout<T, L>;
    const T *tag = nullptr;
    int warp = (int)threadIdx.x / 32;

    left += warp / L::warps_across * L::m * 16 * (int)sizeof(T);
    right += warp % L::warps_across * L::n * 8 * (int)sizeof(T);
#pragma unroll
    for (int pixel = 0; pixel < S::pixels; pixel += 32 / (int)sizeof(T)) {
        unsigned a[L::m][4], b[L::n][2];

#pragma unroll
        for (int m = 0; m < L::m; m++) {
            load_a<S::pitch>(a[m], left + pixel * S::pitch + m * 16 * (int)sizeof(T),
                             tag);
            for (int i = 0; i < 4; i++)
                a[m][i] = packed_round(packed_max(a[m][i], floor, tag), tag);
        }
#pragma unroll
        for (int n = 0; n < L::n; n += 2) {
            unsigned both[4];

            load_b<S::pitch>(both, right + pixel * S::pitch + n * 8 * (int)sizeof(T),
                             tag);
            for (int i = 0; i < 4; i++)
                b[n + i / 2][i % 2] =
                    packed_round(packed_max(both[i], floor, tag), tag);
        }
#pragma unroll
        for (int m = 0; m < L::m; m++)
#pragma unroll
            for (int n = 0; n < L::n; n++)
                packed_mma(d[m][n], a[m], b[n], tag);
    }
}

/* total += d; d = 0 */
template <class L>
static __device__ __forceinline__ void flush_accumulators(float total[L::m][L::n][4],
                                                          float d[L::m][L::n][4])
{
#pragma unroll
    for (int i = 0; i < L::m * L::n * 4; i++) {
        total[i / 4 / L::n][i / 4 % L::n][i % 4] +=
            d[i / 4 / L::n][i / 4 % L::n][i % 4];
        d[i / 4 / L::n][i / 4 % L::n][i % 4] = 0;
    }
}

/* Sum the warp's part of a tile over the pixels from first to end. */
template <class T, class L>
static __device__ __forceinline__ void mainloop(const struct map_view<T> &k,
                                                const struct tile_coords &at, int first,
                                                int end, float total[L::m][L::n][4])
{
    using S = stage_layout<T, L>;
    bool diagonal = at.row == at.column; /* both operands are the same */
    int stage = tile_count(k.c, L::side) > 1 ? 2 * S::bytes : S::bytes;
    int slices = (end - first + S::pixels - 1) / S::pixels;
    unsigned floor = packed_floor(k.relu, static_cast<const T *>(nullptr));
    float d[L::m][L::n][4] = {};
    auto prefetch = [&](int s) {
        unsigned char *to = nst_dynamic_shared + s % STAGES * stage;

        if (s < slices) {
            fetch<T, L>(k, first + s * S::pixels, end, at.row, to);
            if (!diagonal)
                fetch<T, L>(k, first + s * S::pixels, end, at.column, to + S::bytes);
        }
        ptx::cp_async_commit();
    };

    for (int s = 0; s < STAGES - 1; s++)
        prefetch(s);
    for (int s = 0; s < slices; s++) {
        const unsigned char *from = nst_dynamic_shared + s % STAGES * stage;

        ptx::cp_async_wait<STAGES - 2>();
        __syncthreads(); /* s is complete, and all threads are done with s - 1 */
        prefetch(s + STAGES - 1);
        mma_slice<T, L>(from, diagonal ? from : from + S::bytes, floor, d);
        if ((s + 1) % (SUM_RUN / S::pixels) == 0)
            flush_accumulators<L>(total, d);
    }
    flush_accumulators<L>(total, d);
}

/* out: all tiles of each part of length of the n pixels, one after the other */
template <class T, class L>
__global__ void __launch_bounds__(L::threads)
    gram_kernel(struct map_view<T> k, int n, int length, float *out)
{
    int tiles = tile_count(k.c, L::side);
    int part = (int)blockIdx.x / tiles, first = part * length;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    struct tile_coords at = tile_coords_of((int)blockIdx.x % tiles, L::side);
    float total[L::m][L::n][4] = {};

    mainloop<T, L>(k, at, first, n - first < length ? n : first + length, total);
    out += (size_t)blockIdx.x * L::side * L::side +
           (warp / L::warps_across * L::m * 16 + lane / 4) * L::side +
           warp % L::warps_across * L::n * 8 + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < L::m; m++)
#pragma unroll
        for (int j = 0; j < L::n; j++)
#pragma unroll
            for (int i = 0; i < 4; i += 2)
                *reinterpret_cast<float2 *>(out + (m * 16 + i / 2 * 8) * L::side +
                                            j * 8) =
                    make_float2(total[m][j][i], total[m][j][i + 1]);
}

/* Store value i of the tiles in the c x c matrix, and its mirror image. */
struct store_symmetric {
    int c, side;
    bool add;

    __device__ void operator()(double *sums, int i, double v) const
    {
        struct tile_coords at = tile_coords_of(i / (side * side), side);
        int row = at.row + i / side % side, column = at.column + i % side;

        if (row >= c || column >= c)
            return;
        v = add ? sums[row * c + column] + v : v;
        sums[row * c + column] = v;
        if (at.row != at.column)
            sums[column * c + row] = v;
    }
};

/* The pixels are divided into parts: enough to occupy 132 SMs, as many as fit into the
 * scratch, and of MIN_PIXELS at least, since smaller parts cost more than they save. */
#define TARGET_BLOCKS 256
#define MIN_PIXELS 256

template <class T, class L>
static void tiled_gram(struct cuda *cu, const struct map_view<T> &k, bool add,
                       double *sums)
{
    struct cuda_arena arena = cuda_arena(cu);
    int n = k.window.height * k.window.width, tiles = tile_count(k.c, L::side);
    int values = tiles * L::side * L::side;
    size_t fit = (size_t)(arena.end - arena.at) / (values * sizeof(float));
    int max_parts = tiles < TARGET_BLOCKS ? TARGET_BLOCKS / tiles : 1,
        parts = (n + MIN_PIXELS - 1) / MIN_PIXELS;
    int length, shared = STAGES * stage_layout<T, L>::bytes * (tiles > 1 ? 2 : 1);

    max_parts = fit < (size_t)max_parts ? (fit > 0 ? (int)fit : 1) : max_parts;
    parts = parts < max_parts ? parts : max_parts;
    length = ((n + parts - 1) / parts + 63) / 64 * 64; /* whole slices */
    parts = (n + length - 1) / length;
    cuda_ok(cu,
            cudaFuncSetAttribute(gram_kernel<T, L>,
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    cuda_launch(cu, gram_kernel<T, L>, dim3((unsigned)(parts * tiles)), L::threads,
                (size_t)shared, k, n, length, reinterpret_cast<float *>(arena.at));
    reduce_parts(cu, reinterpret_cast<const float *>(arena.at), parts, values, sums,
                 store_symmetric{k.c, L::side, add});
}

/* Pack n pixels from first on into out and, multiplied by the mask, into masked. */
template <class T>
__global__ void pack_view_kernel(struct map_view<T> k, int first, int n, T *out,
                                 T *masked)
{
    for (size_t i = cuda_grid_index(); i < (size_t)n * k.c; i += cuda_grid_stride()) {
        size_t at = pixel_index(k, first + (int)(i / k.c));
        float v = to_float(k.f[at * k.c + i % k.c]);

        v = k.relu ? relu(v) : v;
        store(&out[i], v);
        if (k.mask)
            store(&masked[i], v * k.mask[at]);
    }
}

/* Gram matrices of n pixels of c values, one for each run of SUM_RUN and one for the
 * rest; b is a times the mask. Returns their number. */
template <class T>
static int batched_grams(struct cuda *cu, int c, int n, const T *a, const T *b,
                         float *out)
{
    int full = n / SUM_RUN, remainder = n % SUM_RUN;

    if (full > 0)
        cuda_batched_gram(cu, c, SUM_RUN, full, a, b, out);
    if (remainder > 0)
        cuda_batched_gram(cu, c, remainder, 1, a + (size_t)full * SUM_RUN * c,
                          b + (size_t)full * SUM_RUN * c, out + (size_t)full * c * c);
    return full + (remainder > 0);
}

template <class T>
static void cublas_gram(struct cuda *cu, const struct map_view<T> &k, bool add,
                        double *sums)
{
    struct cuda_arena arena = cuda_arena(cu);
    int c = k.c, width = k.window.width, height = k.window.height, values = c * c;
    bool in_place = width == k.w && !k.relu && !k.mask; /* no packing needed */
    size_t pixel = (in_place ? 0 : 2 * c * sizeof(T)) +
                   ((size_t)values * sizeof(float) / SUM_RUN + 1);
    T *a, *b;
    float *parts;
    int rows;

    arena.end -= values * sizeof(float); /* the last run may be short */
    rows = cuda_arena_rows(&arena, width * pixel, height);
    a = cuda_arena_alloc<T>(&arena, in_place ? 0 : (size_t)rows * width * c);
    b = k.mask ? cuda_arena_alloc<T>(&arena, (size_t)rows * width * c) : a;
    parts = reinterpret_cast<float *>(arena.at);
    for (int top = 0; top < height; top += rows) {
        int first = top * width,
            n = (top + rows < height ? rows : height - top) * width;
        const T *from = k.f + (size_t)(k.window.top + top) * k.w * c;

        if (!in_place)
            cuda_launch_1d(cu, pack_view_kernel<T>, (size_t)n * c, k, first, n, a, b);
        reduce_parts(
            cu, parts,
            batched_grams<T>(cu, c, n, in_place ? from : a, in_place ? from : b, parts),
            values, sums, add_in_order{add || top > 0});
    }
}

/* Large tiles read less, small ones make more blocks. Large ones are used from this
 * many pixels times large tiles on; tests lower it. */
#ifndef GRAM_LARGE
#define GRAM_LARGE (128 * 1024)
#endif

template <class T>
static void gram(struct cuda *cu, const struct nst_tensor *f, bool apply_relu,
                 struct nst_window window, const struct nst_buffer *mask, bool add,
                 struct nst_buffer *sums)
{
    struct map_view<T> k = map_view_of<T>(f, apply_relu, window, mask);
    double *to = buffer_data<double>(sums);
    long n = (long)window.height * window.width;

    if (!cuda_uses_tensor_cores(cu, k.c) || mask) {
        cublas_gram(cu, k, add, to);
        cuda_side_wait_main(cu);
        return;
    }
    cuda_side_begin(cu, f);
    if (k.c > small::side && n * tile_count(k.c, large::side) >= GRAM_LARGE)
        tiled_gram<T, large>(cu, k, add, to);
    else
        tiled_gram<T, small>(cu, k, add, to);
    cuda_side_end(cu);
}

template <class T>
void cuda_layer_sums(struct nst_backend *be, const struct nst_tensor *f,
                     bool apply_relu, struct nst_window window,
                     const struct nst_buffer *mask, bool add,
                     struct nst_layer_sums sums)
{
    gram<T>(cuda_of(be), f, apply_relu, window, mask, add, sums.products);
    if (sums.sums)
        cuda_channel_sums<T>(be, f, apply_relu, window, mask, add, sums.sums);
}

#define INSTANTIATE(T)                                                                 \
    template void cuda_layer_sums<T>(                                                  \
        struct nst_backend *, const struct nst_tensor *, bool, struct nst_window,      \
        const struct nst_buffer *, bool, struct nst_layer_sums);
INSTANTIATE(float)
INSTANTIATE(__half)
