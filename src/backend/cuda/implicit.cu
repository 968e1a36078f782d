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
 * The order of a sum is: slices, columns, channels of half a slice, rows of taps. So it
 * does not depend on the tile.
 *
 * 32 bytes of fp16 are 16 channels, of TF32 eight, which an instruction reads: the same
 * bytes in the same places, and one kernel for both.
 */
#include "config.h"

#include "backend/cuda/outcome.cuh"
#include "backend/cuda/tile.cuh"
#include "backend/cuda/words.cuh"

#include <math.h>

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
                word_ready<RELU>(f.a[r % 3][i], static_cast<const T *>(nullptr));
#pragma unroll
        for (int u = 0; u < 3; u++)
#pragma unroll
            for (int n = 0; n < L::n; n++)
                if (r >= u && r - u < L::m)
                    word_multiply(d[r - u][n], f.a[r % 3], f.b[u][n],
                                  static_cast<const T *>(nullptr));
    }
}

/* A lane's rows: of pixels at each column of taps, and of weights. */
template <class L> struct lanes {
    int pixels[3], weights;
};

template <class L> static __device__ __forceinline__ struct lanes<L> lanes_of() {
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int row = warp / L::warps_across * L::m,
        channel = warp % L::warps_across * L::n * 8;
    struct lanes<L> l;

#pragma unroll
    for (int v = 0; v < 3; v++)
        l.pixels[v] = row * READ * CUDA_SLICE + swizzled(lane % 16 + v, lane / 16);
    l.weights = swizzled(channel + lane / 16 * 8 + lane % 8, lane / 8 % 2);
    return l;
}

/* The other half of a slice: swizzled() has these bits by exclusive or. */
static __device__ __forceinline__ struct operands
other_half(const struct operands &o)
{
    return {o.pixels ^ STEP, o.weights ^ STEP};
}

/* The warp's tile of the product of patches and weights. */
template <class T, class L, bool RELU>
static __device__ __forceinline__ void product(const struct patches<T> &p,
                                               const struct where &at,
                                               float d[L::m][L::n][4])
{
    struct source<T> from = source_of<T, L>(p, at);
    const struct lanes<L> lanes = lanes_of<L>();
    int slices = (p.cin * (int)sizeof(T) + CUDA_SLICE - 1) / CUDA_SLICE;
    int pixels = 0, slot = 0; /* in use: of both slices, of the ring */
    struct fragments<L> f;
    struct operands now;

    find_pixels<T, L>(p, at);
#pragma unroll
    for (int v = 0; v < 3; v++) {
#pragma unroll
        for (int part = 0; part < PARTS; part++)
            fetch<T, L>(from, p.cin, v, part, 0, L::ring + v * L::column, true);
        ptx::cp_async_commit();
    }
    ptx::cp_async_wait<2>();
    __syncthreads();
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
            __syncthreads(); /* the next column is there, and all left the last */
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

template <class T, class L, bool RELU>
__global__ void __launch_bounds__(L::threads, L::blocks)
    conv_kernel(struct patches<T> p, struct outcome<T> o)
{
    struct where at = place_of<L>(p.w, p.cout);
    float d[L::m][L::n][4] = {};
    const T *tile;

    ptx::begin();
    at.top += o.top;
    product<T, L, RELU>(p, at, d);
    tile = spread<T, L>(d, at, o.bias, p.cout, o.relu);
    put_tile<T, L>(p, o, at, tile);
    if (o.pooled)
        pool_tile<T, L>(p, o, at, tile);
}

using huge = tile<4, 4, 4>;   /* 16 rows, 128 channels */
using large = tile<4, 2, 4>;  /* 16 rows, 64 channels */
using middle = tile<4, 1, 4>; /* 16 rows, 32 channels */
using small = tile<2, 2, 2>;  /* 8 rows, 32 channels */

template <class L> static unsigned blocks(int rows, int w, int cout)
{
    return (unsigned)(((rows + L::rows - 1) / L::rows) * ((w + COLUMNS - 1) / COLUMNS) *
                      ((cout + L::channels - 1) / L::channels));
}

/*
 * Cycles of a slice: of products on the processor that has most blocks, or of what all
 * of them read, whichever are more; the latter are in the way of the former, too, so
 * that of tiles as good as each other those are better that read less. A quarter of a
 * processor multiplies 16 pixels, 8 channels and 32 bytes in 6.4 cycles (600 of 990
 * TFLOP/s of an H100), and a processor gets 24 bytes in each (5.5 TB/s of its L2).
 */
template <class L> static float cost(const struct cuda *cu, int rows, int w, int cout)
{
    unsigned n = blocks<L>(rows, w, cout), all = (unsigned)cu->processors;
    float products =
        (float)((n + all - 1) / all) * 18 * 6.4f / 4 * L::pixels * L::channels / 128;
    float reads = (float)n / (float)all * CUDA_SLICE / 24 * (L::read + 9 * L::channels);

    if ((size_t)L::bytes > cu->shared)
        return INFINITY;
    return fmaxf(products, reads) + reads / 4;
}

/* Call f with the tile that costs least: the largest such. */
template <class F>
static void with_tile(const struct cuda *cu, int rows, int w, int cout, F f)
{
    float h = cost<huge>(cu, rows, w, cout), l = cost<large>(cu, rows, w, cout),
          m = cost<middle>(cu, rows, w, cout), s = cost<small>(cu, rows, w, cout);

    if (h <= l && h <= m && h <= s)
        f(huge());
    else if (l <= m && l <= s)
        f(large());
    else if (m <= s)
        f(middle());
    else
        f(small());
}

template <class T>
void cuda_implicit_conv(struct cuda *cu, const struct patches<T> &p,
                        const struct outcome<T> &o)
{
    with_tile(cu, o.rows, p.w, p.cout, [&](auto l) {
        using L = decltype(l);

        cuda_launch_early(
            cu, p.relu ? conv_kernel<T, L, true> : conv_kernel<T, L, false>,
            dim3(blocks<L>(o.rows, p.w, p.cout)), L::threads, L::bytes, p, o);
    });
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
    if (cu->precision == NST_PRECISION_FP16)
        allow_tiles<__half>(cu, huge(), large(), middle(), small());
    else
        allow_tiles<float>(cu, huge(), large(), middle(), small());
}

#define OF(T)                                                                          \
    template void cuda_implicit_conv<T>(struct cuda *, const struct patches<T> &,      \
                                        const struct outcome<T> &);
OF(float)
OF(__half)
