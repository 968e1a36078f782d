/* SPDX-License-Identifier: MIT */
/*
 * outcome.cuh - of implicit.cu: what a block makes of the sums of its tile: the bias
 * and the ReLU, the map's pixels, those of the pooled one.
 */
#ifndef NST_BACKEND_CUDA_OUTCOME_CUH
#define NST_BACKEND_CUDA_OUTCOME_CUH

#include "backend/cuda/tile.cuh"

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

/* The block's tile plus a bias, of cout channels, pixel by pixel, in place of what was
 * multiplied; or what a ReLU leaves of it. */
template <class U, class L>
static __device__ __forceinline__ const U *spread(const float d[L::m][L::n][4],
                                                  const struct where &at,
                                                  const float *bias, int cout,
                                                  bool clip)
{
    U *tile = reinterpret_cast<U *>(nst_dynamic_shared);
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int pixel = warp / L::warps_across * L::m * COLUMNS + lane / 4;
    int channel = warp % L::warps_across * L::n * 8 + lane % 4 * 2;

    __syncthreads();
#pragma unroll
    for (int n = 0; n < L::n; n++) {
        int k = at.channel + channel + n * 8;
        float first = bias && k < cout ? bias[k] : 0;
        float second = bias && k + 1 < cout ? bias[k + 1] : 0;

#pragma unroll
        for (int m = 0; m < L::m; m++)
#pragma unroll
            for (int i = 0; i < 4; i += 2)
                put_pair(&tile[(pixel + m * COLUMNS + i / 2 * 8) * L::pitch + channel +
                               n * 8],
                         d[m][n][i] + first, d[m][n][i + 1] + second, clip);
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

#endif
