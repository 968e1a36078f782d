/* SPDX-License-Identifier: MIT */
/*
 * epilogue.cuh - epilogue of implicit_gemm.cu: adds the bias to a block's sums, applies
 * the ReLU, and stores the tile and its pooled version.
 */
#ifndef NST_BACKEND_CUDA_EPILOGUE_CUH
#define NST_BACKEND_CUDA_EPILOGUE_CUH

#include "backend/cuda/tile.cuh"

/* Store two adjacent channels, optionally through a ReLU; saturates as store() does. */
static __device__ __forceinline__ void store_pair(float *to, float a, float b,
                                                  bool apply_relu)
{
    *reinterpret_cast<float2 *>(to) =
        make_float2(apply_relu ? relu(a) : a, apply_relu ? relu(b) : b);
}
static __device__ __forceinline__ void store_pair(__half *to, float a, float b,
                                                  bool apply_relu)
{
    const unsigned lower = apply_relu ? 0 : 0xfc00fc00u; /* minus infinity: no ReLU */

    *reinterpret_cast<unsigned *>(to) = ptx::max_f16x2(ptx::pack_f16x2(a, b), lower);
}

/* Write the block's tile plus bias (cout values; or NULL), optionally through a ReLU,
 * to shared memory, pixel by pixel. Overwrites the operands there. */
template <class U, class L>
static __device__ __forceinline__ const U *stage_accumulators(
    const float d[L::m][L::n][4], const struct tile_origin &origin, const float *bias,
    int cout, bool apply_relu)
{
    U *tile = reinterpret_cast<U *>(nst_dynamic_shared);
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int pixel = warp / L::warps_across * L::m * TILE_WIDTH + lane / 4;
    int channel = warp % L::warps_across * L::n * 8 + lane % 4 * 2;

    __syncthreads();
#pragma unroll
    for (int n = 0; n < L::n; n++) {
        int k = origin.channel + channel + n * 8;
        float bias0 = bias && k < cout ? bias[k] : 0;
        float bias1 = bias && k + 1 < cout ? bias[k + 1] : 0;

#pragma unroll
        for (int m = 0; m < L::m; m++)
#pragma unroll
            for (int i = 0; i < 4; i += 2)
                store_pair(&tile[(pixel + m * TILE_WIDTH + i / 2 * 8) * L::pitch +
                                 channel + n * 8],
                           d[m][n][i] + bias0, d[m][n][i + 1] + bias1, apply_relu);
    }
    __syncthreads();
    return tile;
}

template <class T, class L>
static __device__ __forceinline__ struct vec<T> load_tile_vec(const T *tile, int pixel,
                                                              int channel) {
    return *reinterpret_cast<const struct vec<T> *>(tile + pixel * L::pitch + channel);
}

/* Store the pixels of the tile that lie in the map and in the rows of o. */
template <class T, class L>
static __device__ __forceinline__ void store_tile(const struct conv_args<T> &p,
                                                  const struct epilogue<T> &o,
                                                  const struct tile_origin &origin,
                                                  const T *tile)
{
    constexpr int values = vec<T>::n, vecs = L::channels / values;

    for (int i = (int)threadIdx.x; i < L::pixels * vecs; i += L::threads) {
        int pixel = i / vecs, k = i % vecs * values, channel = origin.channel + k;
        int row = origin.top + pixel / TILE_WIDTH,
            column = origin.left + pixel % TILE_WIDTH;

        if (row < o.top + o.rows && column < p.w && channel < p.cout)
            *reinterpret_cast<struct vec<T> *>(
                &o.y[((size_t)(row - o.top) * p.w + column) * p.cout + channel]) =
                load_tile_vec<T, L>(tile, pixel, k);
    }
}

/* Pool four values, each through a ReLU. */
template <class T>
static __device__ __forceinline__ float pooled(bool average, T a, T b, T c, T d)
{
    float p = relu(to_float(a)), q = relu(to_float(b)), r = relu(to_float(c)),
          s = relu(to_float(d));

    return average ? 0.25f * (p + q + r + s) : fmaxf(fmaxf(p, q), fmaxf(r, s));
}

/* Store the pooled tile. */
template <class T, class L>
static __device__ __forceinline__ void pool_tile(const struct conv_args<T> &p,
                                                 const struct epilogue<T> &o,
                                                 const struct tile_origin &origin,
                                                 const T *tile)
{
    constexpr int values = vec<T>::n, vecs = L::channels / values;

    for (int i = (int)threadIdx.x; i < L::pixels / 4 * vecs; i += L::threads) {
        int k = i % vecs * values, channel = origin.channel + k;
        int column = i / vecs % (TILE_WIDTH / 2), row = i / vecs / (TILE_WIDTH / 2);
        int y = origin.top / 2 + row, x = origin.left / 2 + column;
        int pixel = 2 * (row * TILE_WIDTH + column);
        struct vec<T> a = load_tile_vec<T, L>(tile, pixel, k),
                      b = load_tile_vec<T, L>(tile, pixel + 1, k),
                      c = load_tile_vec<T, L>(tile, pixel + TILE_WIDTH, k),
                      d = load_tile_vec<T, L>(tile, pixel + TILE_WIDTH + 1, k);

        for (int j = 0; j < values; j++)
            store(&a.v[j], pooled(o.average, a.v[j], b.v[j], c.v[j], d.v[j]));
        if (y < p.h / 2 && x < p.w / 2 && channel < p.cout)
            *reinterpret_cast<struct vec<T> *>(
                &o.pooled[((size_t)y * (p.w / 2) + x) * p.cout + channel]) = a;
    }
}

#endif
