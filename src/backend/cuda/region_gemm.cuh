/* SPDX-License-Identifier: MIT */
/*
 * region_gemm.cuh - multiplies a block's windows of 2 x 2 pixels by a region's matrix,
 * on tensor cores. The tile of values lies in shared memory, and slices of the matrix
 * stream through. Each thread ends with 16 bytes of channels of the product at all four
 * pixels of a window. To this end the rows of the tile are ordered so that a thread's
 * rows of two fragments (mma: g and g + 8 of each) form a window, and the rows of the
 * matrix so that a thread's columns of consecutive fragments are consecutive channels.
 */
#ifndef NST_BACKEND_CUDA_REGION_GEMM_CUH
#define NST_BACKEND_CUDA_REGION_GEMM_CUH

#include "backend/cuda/backward.cuh"
#include "backend/cuda/packed.cuh"

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

#define SLICE_BYTES 64 /* bytes of a row per slice */

/* C channels (missing ones count as 0), W windows, WR x WN warps, S stages of matrix
 * slices, B blocks per SM, and D channels of the values. */
template <int C, int W, int WR, int WN, int S, int B, int D = C> struct tile {
    static constexpr int channels = C, windows = W, warps_across = WN, depth = D;
    static constexpr int stages = S, blocks = B;
    static constexpr int pixels = 4 * W, threads = 32 * WR * WN;
    static constexpr int m = pixels / WR / 16; /* fragments of a warp: 16 pixels each */
    static constexpr int n = C / WN / 8;       /* and 8 channels each */
    static constexpr int stage = C * SLICE_BYTES;
    static_assert(m > 0 && n % 4 == 0);
};

/* Offsets in shared memory: windows, values, matrix slices, and gx if there is one. */
template <class T, class L> struct layout {
    static constexpr int pitch = L::depth * (int)sizeof(T);
    static constexpr int values = L::windows * (int)sizeof(struct window);
    static constexpr int matrix = values + L::pixels * pitch;
    static constexpr int gx = matrix + L::stages * L::stage;
    static constexpr size_t bytes = (size_t)gx + L::pixels * pitch;
    static_assert(values % VEC_BYTES == 0);
};

/* Row i of the tile is pixel i / 8 % 4 of a window. */
static __device__ __forceinline__ int window_of_row(int i)
{
    return i / 32 * 8 + i % 8;
}

/* Offset of a vector of a row. Swizzled, so that eight consecutive rows, or four
 * vectors of two rows, cover all banks. */
template <class T, class L>
static __device__ __forceinline__ int vec_offset(int row, int part)
{
    int swizzle = (row & 1) << 2 | (row >> 1 & 3);

    return row * layout<T, L>::pitch + (part ^ swizzle) * VEC_BYTES;
}

/* A vector of the tile's values. */
template <class T, class L>
static __device__ __forceinline__ unsigned char *value_at(int row, int part)
{
    return nst_dynamic_shared + layout<T, L>::values + vec_offset<T, L>(row, part);
}

/* A vector of gx: rows as in the tile, or one for each window if pooled. */
template <class T, class L>
static __device__ __forceinline__ unsigned char *gx_at(int row, int part)
{
    return nst_dynamic_shared + layout<T, L>::gx + vec_offset<T, L>(row, part);
}

/* Offset of a vector of a row in a slice of the matrix. */
static __device__ __forceinline__ int matrix_offset(int row, int part)
{
    return row * SLICE_BYTES + (part ^ row / 2 % 4) * VEC_BYTES;
}

/* Row of a channel of the matrix in shared memory: columns 2 t and 2 t + 1 of the
 * fragments that make up a vector are vector t of these channels. */
template <class T> static __device__ __forceinline__ int matrix_row(int channel)
{
    constexpr int per_vec = VEC_BYTES / (int)sizeof(T);
    int t = channel / per_vec % 4, k = channel % per_vec;

    return channel / (4 * per_vec) * 4 * per_vec + k / 2 * 8 + 2 * t + k % 2;
}

template <class T, class L>
static __device__ __forceinline__ const struct window *fill_windows(
    const struct backward_step<T> &step)
{
    struct window *w = reinterpret_cast<struct window *>(nst_dynamic_shared);

    for (int i = (int)threadIdx.x; i < L::windows; i += L::threads)
        w[i] = window_of(step, (int)blockIdx.x * L::windows + i);
    __syncthreads();
    return w;
}

/* Start copying the tile's values. */
template <class T, class L>
static __device__ __forceinline__ void fetch_values(const struct backward_step<T> &step,
                                                    const struct window *windows)
{
    constexpr int vecs = layout<T, L>::pitch / VEC_BYTES,
                  per_vec = VEC_BYTES / (int)sizeof(T);

    for (int i = (int)threadIdx.x; i < L::pixels * vecs; i += L::threads) {
        int row = i / vecs, part = i % vecs;
        int pixel = windows[window_of_row(row)].pixel[row / 8 % 4];
        bool valid = pixel >= 0 && part * per_vec < step.c;

        ptx::cp_async16(value_at<T, L>(row, part),
                        step.y + (valid ? (size_t)pixel * step.c + part * per_vec : 0),
                        valid);
    }
}

/* Start copying gx. */
template <class T, class L>
static __device__ __forceinline__ void fetch_gx(const struct backward_step<T> &step,
                                                const struct window *windows)
{
    constexpr int vecs = layout<T, L>::pitch / VEC_BYTES,
                  per_vec = VEC_BYTES / (int)sizeof(T);
    int rows = !step.gx ? 0 : step.pooled ? L::windows : L::pixels;

#pragma unroll 4
    for (int i = (int)threadIdx.x; i < rows * vecs; i += L::threads) {
        int row = i / vecs, part = i % vecs;
        int pixel = step.pooled ? windows[row].pooled_pixel
                                : windows[window_of_row(row)].pixel[row / 8 % 4];
        bool valid = pixel >= 0 && part * per_vec < step.c;

        ptx::cp_async16(gx_at<T, L>(row, part),
                        step.gx + (valid ? (size_t)pixel * step.c + part * per_vec : 0),
                        valid);
    }
}

/* Prefetch a target's values. It was complete before any kernel still running, so this
 * need not wait. */
template <class T, class L>
static __device__ __forceinline__ void prefetch_target(
    const struct backward_step<T> &step, const struct window *windows, const T *target)
{
    constexpr int line = 128 / (int)sizeof(T), lines = (L::depth + line - 1) / line;

    if (!target)
        return;
    for (int i = (int)threadIdx.x; i < L::pixels * lines; i += L::threads) {
        int row = i / lines, k = i % lines * line;
        int pixel = windows[window_of_row(row)].pixel[row / 8 % 4];

        if (pixel >= 0 && k < step.c)
            ptx::prefetch(target + (size_t)pixel * step.c + k);
    }
}

/* Start copying slice s of rows of the matrix (c values each). Of every step rows, a
 * thread copies one vector. */
template <class T, class L>
static __device__ __forceinline__ void fetch_matrix(const T *matrix, int rows, int c,
                                                    int s)
{
    constexpr int parts = SLICE_BYTES / VEC_BYTES, per_vec = VEC_BYTES / (int)sizeof(T);
    constexpr int step = L::threads / parts;
    static_assert(step % (4 * per_vec) == 0, "so matrix_row() goes up by as much");
    int i = (int)threadIdx.x / parts, part = (int)threadIdx.x % parts;
    int k = (s * parts + part) * per_vec;
    unsigned char *to = nst_dynamic_shared + layout<T, L>::matrix +
                        s % L::stages * L::stage +
                        matrix_offset(matrix_row<T>(i), part);
    const T *from = matrix + i * c + k;

#pragma unroll
    for (int n = 0; n < L::channels; n += step) {
        bool valid = i + n < rows && k < c;

        ptx::cp_async16(to + n * SLICE_BYTES, valid ? from + n * c : matrix, valid);
    }
}

/* Add the product with slice s to the warp's sums. */
template <class T, class L>
static __device__ __forceinline__ void mma_slice(int s, bool apply_relu,
                                                 float d[L::m][L::n][4])
{
    const T *tag = nullptr;
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int pixel = warp / L::warps_across * L::m * 16 + lane % 16;
    int channel = warp % L::warps_across * L::n * 8 + lane / 16 * 8 + lane % 8;
    const unsigned char *matrix =
        nst_dynamic_shared + layout<T, L>::matrix + s % L::stages * L::stage;

#pragma unroll
    for (int step = 0; step < SLICE_BYTES / VEC_BYTES; step += 2) {
        unsigned a[L::m][4], b[4];

#pragma unroll
        for (int m = 0; m < L::m; m++) {
            ptx::ldmatrix_x4(
                a[m], value_at<T, L>(pixel + m * 16,
                                     s * (SLICE_BYTES / VEC_BYTES) + step + lane / 16));
            if (apply_relu)
                for (int i = 0; i < 4; i++)
                    a[m][i] = packed_relu(a[m][i], tag);
            for (int i = 0; i < 4; i++)
                a[m][i] = packed_round(a[m][i], tag);
        }
#pragma unroll
        for (int n = 0; n < L::n; n += 2) {
            ptx::ldmatrix_x4(
                b, matrix + matrix_offset(channel + n * 8, step + lane / 8 % 2));
            for (int i = 0; i < 4; i++)
                b[i] = packed_round(b[i], tag);
#pragma unroll
            for (int m = 0; m < L::m; m++) {
                packed_mma(d[m][n], a[m], b, tag);
                packed_mma(d[m][n + 1], a[m], b + 2, tag);
            }
        }
    }
}

/* Wait for slice s. The first stages - 1 slices were requested in advance. If a stage
 * is to be reused, all threads are done with slice s - 1 afterwards. */
template <class L>
static __device__ __forceinline__ void wait_for_slice(int s, int slices)
{
    if (s == 0)
        ptx::cp_async_wait<1>(); /* gx may arrive later */
    else if (s >= L::stages - 1)
        ptx::cp_async_wait<L::stages - 2>();
    if (s == 0 || slices >= L::stages)
        __syncthreads();
}

/* Load the values and gx, and multiply by the rows of the matrix from first on. The
 * matrix is read before the wait: it was complete before any kernel that this one
 * overlaps. */
template <class T, class L>
static __device__ __forceinline__ void mainloop(const struct backward_step<T> &step,
                                                const struct region<T> &r, int first,
                                                const struct window *windows,
                                                float d[L::m][L::n][4])
{
    int slices = (step.c * (int)sizeof(T) + SLICE_BYTES - 1) / SLICE_BYTES,
        rows = step.c - first;
    const T *matrix = r.matrix + (size_t)first * step.c;

    for (int s = 0; s < L::stages - 1 && s < slices; s++)
        fetch_matrix<T, L>(matrix, rows, step.c, s);
    if constexpr (L::depth == L::channels) {
        prefetch_target<T, L>(step, windows, step.after.target);
        prefetch_target<T, L>(step, windows, step.before.target);
    }
    ptx::griddep_wait();
    fetch_values<T, L>(step, windows);
    ptx::cp_async_commit();
    if constexpr (L::depth == L::channels)
        fetch_gx<T, L>(step, windows);
    ptx::cp_async_commit();
    for (int s = 0; s < slices; s++) {
        wait_for_slice<L>(s, slices);
        if (s + L::stages - 1 < slices)
            fetch_matrix<T, L>(matrix, rows, step.c, s + L::stages - 1);
        ptx::cp_async_commit();
        mma_slice<T, L>(s, r.relu, d);
    }
    ptx::cp_async_wait<0>();
    if (step.gx)
        __syncthreads();
}

#endif
