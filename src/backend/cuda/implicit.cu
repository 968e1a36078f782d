/* SPDX-License-Identifier: MIT */
/*
 * implicit.cu - convolutions as products on tensor cores that never lay patches out
 * ("implicit GEMM"; Chetlur et al. 2014, cuDNN), for compute capability 8.0 and later.
 *
 * A block makes a tile of ROWS x 16 pixels by N channels. It goes through the 9 taps
 * and the channels read, CUDA_SLICE bytes of each pixel and of each output channel's
 * weights at a time; copies of the next slices are under way while one is multiplied.
 * The tile then lies in shared memory, where pixels to be pooled are together.
 *
 * 64 bytes of fp16 are two steps of 16 channels, of TF32 two steps of 8: the same bytes
 * in the same places, and one kernel for both.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"

#define STAGES 4
#define PITCH                                                                          \
    (CUDA_SLICE + 16) /* bytes from row to row: eight rows are in all banks            \
                       */
#define COLUMNS 16

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

/* Tiles: pixels' rows, channels, and warps each way. */
template <int R, int N, int WR, int WN> struct tile {
    static constexpr int rows = R, channels = N, warps_down = WR, warps_across = WN;
    static constexpr int threads = 32 * WR * WN;
    static constexpr int m = R / WR;     /* rows of 16 pixels of a warp */
    static constexpr int n = N / WN / 8; /* eights of channels of a warp: even */
    static constexpr int pixels = R * COLUMNS;
    static constexpr size_t stage = (size_t)(pixels + N) * PITCH,
                            bytes = STAGES * stage;
    /* of a pixel's channels, when the tile is made and lies in place of the stages */
    static constexpr int pitch = N + 8; /* floats; no two of a store in one bank */
    static_assert(pixels * pitch * sizeof(float) <= bytes);
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

/* Begin to copy slice s of the pixels and of the weights to a stage. */
template <class T, class L>
static __device__ __forceinline__ void fetch(const struct patches<T> &p,
                                             const struct where &at, int s,
                                             unsigned char *stage)
{
    constexpr int values16 = 16 / (int)sizeof(T), step = L::threads / 4;
    int slices = p.cin * (int)sizeof(T) / CUDA_SLICE;
    int tap = s / slices, part = (int)threadIdx.x % 4;
    int channel = s % slices * (CUDA_SLICE / (int)sizeof(T)) + part * values16;
    unsigned char *to = stage + part * 16;

    for (int i = (int)threadIdx.x / 4; i < L::pixels; i += step) {
        int row = at.top + i / COLUMNS + tap / 3 - 1,
            column = at.left + i % COLUMNS + tap % 3 - 1;
        bool inside = row >= 0 && row < p.h && column >= 0 && column < p.w;
        size_t pixel = inside ? (size_t)row * p.w + column : 0;

        ptx::cp_async16(to + i * PITCH, p.x + pixel * p.cin + channel, inside);
    }
    to += L::pixels * PITCH;
    for (int i = (int)threadIdx.x / 4; i < L::channels; i += step) {
        bool inside = at.channel + i < p.cout;
        size_t row = inside ? (size_t)(at.channel + i) : 0;

        ptx::cp_async16(to + i * PITCH, p.weight + (row * 9 + tap) * p.cin + channel,
                        inside);
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
static __device__ __forceinline__ unsigned nearest(unsigned v, const __half *)
{
    return v;
}

static __device__ __forceinline__ unsigned nearest(unsigned v, const float *)
{
    return v + 0x1000u;
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

/* Add the products of a stage to a warp's tile. */
template <class T, class L>
static __device__ __forceinline__ void multiply_stage(const unsigned char *stage,
                                                      bool clip, float d[L::m][L::n][4])
{
    const T *kind = nullptr;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const unsigned char *pixels =
        stage + (warp / L::warps_across * L::m * COLUMNS + lane % 16) * PITCH +
        lane / 16 * 16;
    const unsigned char *weights =
        stage + L::pixels * PITCH +
        (warp % L::warps_across * L::n * 8 + lane / 16 * 8 + lane % 8) * PITCH +
        lane / 8 % 2 * 16;

#pragma unroll
    for (int step = 0; step < CUDA_SLICE; step += 32) {
        unsigned a[L::m][4], b[L::n][2];

#pragma unroll
        for (int m = 0; m < L::m; m++) {
            ptx::ldmatrix_x4(a[m], pixels + m * COLUMNS * PITCH + step);
            for (int i = 0; i < 4; i++)
                a[m][i] = nearest(clip ? clip_word(a[m][i], kind) : a[m][i], kind);
        }
#pragma unroll
        for (int n = 0; n < L::n; n += 2) {
            unsigned both[4];

            ptx::ldmatrix_x4(both, weights + n * 8 * PITCH + step);
            b[n][0] = both[0];
            b[n][1] = both[1];
            b[n + 1][0] = both[2];
            b[n + 1][1] = both[3];
        }
#pragma unroll
        for (int m = 0; m < L::m; m++)
#pragma unroll
            for (int n = 0; n < L::n; n++)
                multiply(d[m][n], a[m], b[n], kind);
    }
}

/* The warp's tile of the product of patches and weights. */
template <class T, class L>
static __device__ __forceinline__ void product(const struct patches<T> &p,
                                               const struct where &at,
                                               float d[L::m][L::n][4])
{
    int slices = 9 * p.cin * (int)sizeof(T) / CUDA_SLICE;

    for (int s = 0; s < STAGES - 1; s++) {
        if (s < slices)
            fetch<T, L>(p, at, s, nst_dynamic_shared + s * L::stage);
        ptx::cp_async_commit();
    }
    for (int s = 0; s < slices; s++) {
        int next = s + STAGES - 1;

        ptx::cp_async_wait<STAGES - 2>();
        __syncthreads(); /* all copies of s are there, and all are done with s - 1 */
        if (next < slices)
            fetch<T, L>(p, at, next, nst_dynamic_shared + next % STAGES * L::stage);
        ptx::cp_async_commit();
        multiply_stage<T, L>(nst_dynamic_shared + s % STAGES * L::stage, p.relu, d);
    }
}

/* The block's tile, pixel by pixel, in place of its stages. */
template <class L>
static __device__ __forceinline__ const float *spread(const float d[L::m][L::n][4])
{
    float *tile = reinterpret_cast<float *>(nst_dynamic_shared);
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int pixel = warp / L::warps_across * L::m * COLUMNS + lane / 4;
    int channel = warp % L::warps_across * L::n * 8 + lane % 4 * 2;

    ptx::cp_async_wait<0>();
    __syncthreads();
#pragma unroll
    for (int m = 0; m < L::m; m++)
#pragma unroll
        for (int n = 0; n < L::n; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                tile[(pixel + m * COLUMNS + i / 2 * 8) * L::pitch + channel + n * 8 +
                     i % 2] = d[m][n][i];
    __syncthreads();
    return tile;
}

/* The pooled values of a tile of maps before the bias. */
template <class T, class L>
static __device__ __forceinline__ void pool_tile(const struct patches<T> &p,
                                                 const struct outcome<T> &o,
                                                 const struct where &at,
                                                 const float *tile)
{
    for (int i = (int)threadIdx.x; i < L::pixels / 4 * L::channels; i += L::threads) {
        int channel = i % L::channels, column = i / L::channels % (COLUMNS / 2);
        int row = i / L::channels / (COLUMNS / 2), k = at.channel + channel;
        int y = at.top / 2 + row, x = at.left / 2 + column;
        const float *from = tile + 2 * (row * COLUMNS + column) * L::pitch + channel;
        float bias = k < p.cout ? o.bias[k] : 0;
        float a = relu(from[0] + bias), b = relu(from[L::pitch] + bias);
        float c = relu(from[COLUMNS * L::pitch] + bias);
        float d = relu(from[(COLUMNS + 1) * L::pitch] + bias);

        if (y < p.h / 2 && x < p.w / 2 && k < p.cout)
            put(&o.pooled[((size_t)y * (p.w / 2) + x) * p.cout + k],
                o.average ? 0.25f * (a + b + c + d) : fmaxf(fmaxf(a, b), fmaxf(c, d)));
    }
}

/* Do f with each value of the tile that is the map's, rows of which end before end: its
 * place, and itself. */
template <class T, class L, class F>
static __device__ __forceinline__ void each(const struct patches<T> &p,
                                            const struct where &at, int end,
                                            const float *tile, F f)
{
    for (int i = (int)threadIdx.x; i < L::pixels * L::channels; i += L::threads) {
        int pixel = i / L::channels, channel = i % L::channels;
        int row = at.top + pixel / COLUMNS, column = at.left + pixel % COLUMNS;

        if (row < end && column < p.w && at.channel + channel < p.cout)
            f(row, column, at.channel + channel, tile[pixel * L::pitch + channel]);
    }
}

template <class T, class L>
__global__ void __launch_bounds__(L::threads)
    conv_kernel(struct patches<T> p, struct outcome<T> o)
{
    struct where at = place_of<L>(p.w, p.cout);
    float d[L::m][L::n][4] = {};
    const float *tile;

    product<T, L>(p, at, d);
    tile = spread<L>(d);
    each<T, L>(p, at, p.h, tile, [&](int row, int column, int k, float v) {
        v += o.bias[k];
        put(&o.y[((size_t)row * p.w + column) * p.cout + k], o.relu ? relu(v) : v);
    });
    if (o.pooled)
        pool_tile<T, L>(p, o, at, tile);
}

template <class T, class L>
__global__ void __launch_bounds__(L::threads)
    grad_kernel(struct patches<T> p, int top, int rows, struct joint<T> j)
{
    struct where at = place_of<L>(p.w, p.cout);
    float d[L::m][L::n][4] = {}, peak = 0;
    const float *tile;

    at.top += top;
    product<T, L>(p, at, d);
    tile = spread<L>(d);
    each<T, L>(p, at, top + rows, tile, [&](int row, int column, int k, float g) {
        peak = fmaxf(peak, join_pixel(j, row, column, k, g));
    });
    note_peak(j, peak);
}

using large = tile<8, 128, 2, 4>;
using middle = tile<8, 64, 4, 2>;
using small = tile<4, 64, 2, 2>;

template <class L> static unsigned blocks(int rows, int w, int cout)
{
    return (unsigned)(((rows + L::rows - 1) / L::rows) * ((w + COLUMNS - 1) / COLUMNS) *
                      ((cout + L::channels - 1) / L::channels));
}

/* Call f with the largest tile that keeps the processors busy. */
template <class F>
static void with_tile(const struct cuda *cu, int rows, int w, int cout, F f)
{
    if (cout > 64 && blocks<large>(rows, w, cout) >= (unsigned)cu->processors)
        f(large());
    else if (blocks<middle>(rows, w, cout) >= (unsigned)cu->processors)
        f(middle());
    else
        f(small());
}

template <class L, class... P, class... A>
static void launch_tiles(struct cuda *cu, void (*kernel)(P...), int rows, int w,
                         int cout, A... args)
{
    cuda_ok(cu,
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 (int)L::bytes));
    cuda_launch(cu, kernel, dim3(blocks<L>(rows, w, cout)), L::threads, L::bytes,
                args...);
}

template <class T>
void cuda_implicit_conv(struct cuda *cu, const struct patches<T> &p,
                        const struct outcome<T> &o)
{
    with_tile(cu, p.h, p.w, p.cout, [&](auto l) {
        using L = decltype(l);

        launch_tiles<L>(cu, conv_kernel<T, L>, p.h, p.w, p.cout, p, o);
    });
}

template <class T>
void cuda_implicit_grad(struct cuda *cu, const struct patches<T> &p, int top, int rows,
                        const struct joint<T> &j)
{
    with_tile(cu, rows, p.w, p.cout, [&](auto l) {
        using L = decltype(l);

        launch_tiles<L>(cu, grad_kernel<T, L>, rows, p.w, p.cout, p, top, rows, j);
    });
}

#define OF(T)                                                                          \
    template void cuda_implicit_conv<T>(struct cuda *, const struct patches<T> &,      \
                                        const struct outcome<T> &);                    \
    template void cuda_implicit_grad<T>(struct cuda *, const struct patches<T> &, int, \
                                        int, const struct joint<T> &);
OF(float)
OF(__half)
