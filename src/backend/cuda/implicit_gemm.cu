/* SPDX-License-Identifier: MIT */
/*
 * implicit_gemm.cu - convolutions on tensor cores without patches in memory ("implicit
 * GEMM"; Chetlur et al. 2014, cuDNN), for compute capability 8.0 and later.
 *
 * A block computes a tile of rows x 16 pixels by some channels, a warp 4 of its rows by
 * 32 or 16 channels. It iterates over the input channels in slices of SLICE_BYTES. The
 * slice of the tile's pixels with their halo is in shared memory once, where a tap is
 * an offset. The weights follow one column of three taps after the other. A row of
 * pixels in registers is multiplied by all three taps, since it belongs to the patches
 * of three rows. Meanwhile the same column of the next slice is copied.
 *
 * A sum is ordered by slice, column of taps, half slice, and row of taps. So it does
 * not depend on the tile.
 *
 * 32 bytes are 16 channels of fp16 or 8 of TF32, as one mma reads them: the same bytes
 * at the same places, so that one kernel serves both.
 */
#include "config.h"

#include "backend/cuda/epilogue.cuh"
#include "backend/cuda/packed.cuh"
#include "backend/cuda/tile.cuh"

#include <math.h>

/* Offsets in shared memory of a lane's rows of both operands. */
struct operands {
    int pixels, weights;
};

/* Operands in registers: three rows of pixels, and a column of weights. */
template <class L> struct fragments {
    unsigned a[3][4], b[3][L::n][2];
};

template <class L>
static __device__ __forceinline__ void load_pixels(struct fragments<L> &f, int row,
                                                   const struct operands &from)
{
    ptx::ldmatrix_x4(f.a[row % 3],
                     nst_dynamic_shared + from.pixels + row * HALO_WIDTH * SLICE_BYTES);
}

template <class L>
static __device__ __forceinline__ void load_weights(struct fragments<L> &f, int tap,
                                                    const struct operands &from)
{
#pragma unroll
    for (int n = 0; n < L::n; n += 2) {
        unsigned both[4];

        ptx::ldmatrix_x4(both, nst_dynamic_shared + from.weights +
                                   (tap * L::channels + n * 8) * SLICE_BYTES);
        f.b[tap][n][0] = both[0];
        f.b[tap][n][1] = both[1];
        f.b[tap][n + 1][0] = both[2];
        f.b[tap][n + 1][1] = both[3];
    }
}

/*
 * Add the products of half a slice and a column of taps to a warp's tile. The first two
 * rows of pixels and of weights are already in the fragments. A used one is reloaded
 * from next. interleaved(i) is called at each of FETCH_PARTS rows.
 */
template <class T, class L, bool RELU, class F>
static __device__ __forceinline__ void multiply_step(const struct operands &current,
                                                     const struct operands &next,
                                                     struct fragments<L> &f,
                                                     float d[L::m][L::n][4],
                                                     F interleaved)
{
    constexpr int rows = L::m + 2;
    static_assert(rows % 3 == 0 && rows == FETCH_PARTS);

#pragma unroll
    for (int r = 0; r < rows; r++) {
        if (r + 2 < rows)
            load_pixels<L>(f, r + 2, current);
        else
            load_pixels<L>(f, r + 2 - rows, next);
        if (r == 0)
            load_weights<L>(f, 2, current);
        if (r >= L::m)
            load_weights<L>(f, r - L::m, next);
        interleaved(r);
#pragma unroll
        for (int i = 0; i < 4; i++)
            f.a[r % 3][i] =
                packed_operand<RELU>(f.a[r % 3][i], static_cast<const T *>(nullptr));
#pragma unroll
        for (int u = 0; u < 3; u++)
#pragma unroll
            for (int n = 0; n < L::n; n++)
                if (r >= u && r - u < L::m)
                    packed_mma(d[r - u][n], f.a[r % 3], f.b[u][n],
                               static_cast<const T *>(nullptr));
    }
}

/* Offsets of a lane's rows: of pixels for each column of taps, and of weights. */
template <class L> struct lane_offsets {
    int pixels[3], weights;
};

template <class L>
static __device__ __forceinline__ struct lane_offsets<L> lane_offsets_of() {
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int row = warp / L::warps_across * L::m,
        channel = warp % L::warps_across * L::n * 8;
    struct lane_offsets<L> l;

#pragma unroll
    for (int v = 0; v < 3; v++)
        l.pixels[v] =
            row * HALO_WIDTH * SLICE_BYTES + swizzled(lane % 16 + v, lane / 16);
    l.weights = swizzled(channel + lane / 16 * 8 + lane % 8, lane / 8 % 2);
    return l;
}

/* The other half of a slice: swizzled() applies these bits by XOR. */
static __device__ __forceinline__ struct operands
other_half(const struct operands &o)
{
    return {o.pixels ^ MMA_BYTES, o.weights ^ MMA_BYTES};
}

/* Multiply the warp's tile of patches by the weights. */
template <class T, class L, bool RELU>
static __device__ __forceinline__ void mainloop(const struct conv_args<T> &p,
                                                const struct tile_origin &origin,
                                                float d[L::m][L::n][4])
{
    struct loader<T> from = loader_of<T, L>(p, origin);
    const struct lane_offsets<L> lane_offsets = lane_offsets_of<L>();
    int slices = (p.cin * (int)sizeof(T) + SLICE_BYTES - 1) / SLICE_BYTES;
    int pixels = 0, slot = 0; /* in use: offset of the slice, stage of the column */
    struct fragments<L> f;
    struct operands current;

    fill_offset_table<T, L>(p, origin);
#pragma unroll
    for (int v = 0; v < 3; v++) {
#pragma unroll
        for (int part = 0; part < FETCH_PARTS; part++)
            fetch<T, L>(from, p.cin, v, part, 0,
                        L::weights_offset + v * L::column_bytes, true);
        ptx::cp_async_commit();
    }
    ptx::cp_async_wait<2>();
    __syncthreads();
    current = {lane_offsets.pixels[0], L::weights_offset + lane_offsets.weights};
    for (int i = 0; i < 2; i++) {
        load_pixels<L>(f, i, current);
        load_weights<L>(f, i, current);
    }
    for (int s = 0; s < slices; s++) {
#pragma unroll
        for (int v = 0; v < 3; v++) {
            int next_slot = (slot + 1) % WEIGHT_STAGES,
                free_slot = (slot + WEIGHT_STAGES - 1) % WEIGHT_STAGES;
            struct operands half = other_half(current);

            multiply_step<T, L, RELU>(current, half, f, d, [](int) {});
            ptx::cp_async_wait<1>();
            __syncthreads(); /* the next column is complete, the last one free */
            current = {(v == 2 ? L::map_bytes - pixels : pixels) +
                           lane_offsets.pixels[(v + 1) % 3],
                       L::weights_offset + next_slot * L::column_bytes +
                           lane_offsets.weights};
            multiply_step<T, L, RELU>(half, current, f, d, [&](int part) {
                fetch<T, L>(from, p.cin, v, part, L::map_bytes - pixels,
                            L::weights_offset + free_slot * L::column_bytes,
                            s + 1 < slices);
            });
            ptx::cp_async_commit();
            slot = next_slot;
        }
        pixels = L::map_bytes - pixels;
    }
}

template <class T, class L, bool RELU>
__global__ void __launch_bounds__(L::threads, L::blocks_per_sm)
    implicit_gemm_kernel(struct conv_args<T> p, struct epilogue<T> o)
{
    struct tile_origin origin = origin_of<L>(p.w, p.cout);
    float d[L::m][L::n][4] = {};
    const T *tile;

    ptx::griddep_wait();
    origin.top += o.top;
    mainloop<T, L, RELU>(p, origin, d);
    tile = stage_accumulators<T, L>(d, origin, o.bias, p.cout, o.relu);
    store_tile<T, L>(p, o, origin, tile);
    if (o.pooled)
        pool_tile<T, L>(p, o, origin, tile);
}

using huge = tile<4, 4, 4>;   /* 16 rows, 128 channels */
using large = tile<4, 2, 4>;  /* 16 rows, 64 channels */
using medium = tile<4, 1, 4>; /* 16 rows, 32 channels */
using small = tile<2, 2, 2>;  /* 8 rows, 32 channels */

template <class L> static unsigned blocks(int rows, int w, int cout)
{
    return (unsigned)(((rows + L::rows - 1) / L::rows) *
                      ((w + TILE_WIDTH - 1) / TILE_WIDTH) *
                      ((cout + L::channels - 1) / L::channels));
}

/*
 * Cycles per slice: those of the products on the busiest SM, or of all reads, whichever
 * are more. Reads also slow down products, so a quarter of them is added: of equal
 * tiles, the one that reads less wins. A quarter of an SM multiplies 16 pixels, 8
 * channels and 32 bytes in 6.4 cycles (600 of 990 TFLOP/s of an H100), and an SM reads
 * 24 bytes per cycle (5.5 TB/s of its L2).
 */
template <class L> static float cost(const struct cuda *cu, int rows, int w, int cout)
{
    unsigned n = blocks<L>(rows, w, cout), sms = (unsigned)cu->sm_count;
    float products =
        (float)((n + sms - 1) / sms) * 18 * 6.4f / 4 * L::pixels * L::channels / 128;
    float reads =
        (float)n / (float)sms * SLICE_BYTES / 24 * (L::halo_pixels + 9 * L::channels);

    if ((size_t)L::shared_bytes > cu->max_shared)
        return INFINITY;
    return fmaxf(products, reads) + reads / 4;
}

/* Call f with the cheapest tile, the largest of equal ones. */
template <class F>
static void with_tile(const struct cuda *cu, int rows, int w, int cout, F f)
{
    float h = cost<huge>(cu, rows, w, cout), l = cost<large>(cu, rows, w, cout),
          m = cost<medium>(cu, rows, w, cout), s = cost<small>(cu, rows, w, cout);

    if (h <= l && h <= m && h <= s)
        f(huge());
    else if (l <= m && l <= s)
        f(large());
    else if (m <= s)
        f(medium());
    else
        f(small());
}

template <class T>
void cuda_implicit_gemm(struct cuda *cu, const struct conv_args<T> &p,
                        const struct epilogue<T> &o)
{
    with_tile(cu, o.rows, p.w, p.cout, [&](auto l) {
        using L = decltype(l);

        cuda_launch_pdl(cu,
                        p.relu ? implicit_gemm_kernel<T, L, true>
                               : implicit_gemm_kernel<T, L, false>,
                        dim3(blocks<L>(o.rows, p.w, p.cout)), L::threads,
                        L::shared_bytes, p, o);
    });
}

/* Raise the kernels' limit of shared memory, where the device has that much. */
template <class L, class... K> static void set_max_shared(struct cuda *cu, K... kernels)
{
    const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;

    if ((size_t)L::shared_bytes <= cu->max_shared)
        (cuda_ok(cu, cudaFuncSetAttribute(kernels, attribute, L::shared_bytes)), ...);
}

template <class T, class... L>
static void set_max_shared_of_tiles(struct cuda *cu, L...)
{
    (set_max_shared<L>(cu, implicit_gemm_kernel<T, L, false>,
                       implicit_gemm_kernel<T, L, true>),
     ...);
}

void cuda_implicit_gemm_init(struct cuda *cu)
{
    if (cu->precision == NST_PRECISION_FP16)
        set_max_shared_of_tiles<__half>(cu, huge(), large(), medium(), small());
    else
        set_max_shared_of_tiles<float>(cu, huge(), large(), medium(), small());
}

#define INSTANTIATE(T)                                                                 \
    template void cuda_implicit_gemm<T>(struct cuda *, const struct conv_args<T> &,    \
                                        const struct epilogue<T> &);
INSTANTIATE(float)
INSTANTIATE(__half)
