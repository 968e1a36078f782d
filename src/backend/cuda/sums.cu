/* SPDX-License-Identifier: MIT */
/*
 * sums.cu - sums over the pixels of a map: in float over PIECE of them, or by one
 * thread, and in double beyond, so that large maps lose nothing.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#include <stdlib.h>

extern "C" {
#include "base/mem.h"
}

#define PIECE 1024

/* Part of a map h x w x c. */
template <class T> struct cut {
    const T *f;
    int c, w;
    struct nst_window window;
    bool clip;          /* what its ReLU leaves */
    const float *guide; /* h x w, on the device; or NULL */
};

template <class T>
static __device__ __forceinline__ size_t pixel_of(const struct cut<T> &k, size_t i)
{
    size_t row = (size_t)k.window.top + i / k.window.width;

    return row * k.w + k.window.left + i % k.window.width;
}

/* n pixels from first on, laid out one after the other, and the same times the guide.
 */
template <class T>
__global__ void cut_kernel(struct cut<T> k, size_t first, size_t n, T *out, T *guided)
{
    for (size_t i = cuda_first(); i < n * k.c; i += cuda_step()) {
        size_t at = pixel_of(k, first + i / k.c);
        float v = value(k.f[at * k.c + i % k.c]);

        v = k.clip ? relu(v) : v;
        put(&out[i], v);
        if (k.guide)
            put(&guided[i], v * k.guide[at]);
    }
}

/* totals += the sums of count matrices of n values */
template <class F>
__global__ void total_kernel(const F *parts, int count, double *totals, size_t n)
{
    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        double sum = totals[i];

        for (int k = 0; k < count; k++)
            sum += (double)parts[k * n + i];
        totals[i] = sum;
    }
}

template <class T>
static struct cut<T> cut_of(const struct nst_tensor *f, bool clip,
                            struct nst_window window, const float *guide) {
    return {values<T>(f), f->shape.c, f->shape.w, window, clip, guide};
}

static void
begin_sums(struct cuda *cu, double *sums, size_t n, bool add)
{
    if (!add)
        cuda_ok(cu, cudaMemsetAsync(sums, 0, n * sizeof *sums, cu->line.stream));
}

/* The matrices of n pixels of c values, of which b are as a, times their guide: of each
 * PIECE, and of the rest. Returns how many. */
template <class T>
static int squares(struct cuda *cu, int c, size_t n, const T *a, const T *b, float *out)
{
    int whole = (int)(n / PIECE), rest = (int)(n % PIECE);

    if (whole > 0)
        cuda_squares(cu, c, PIECE, whole, a, b, out);
    if (rest > 0)
        cuda_squares(cu, c, rest, 1, a + (size_t)whole * PIECE * c,
                     b + (size_t)whole * PIECE * c, out + (size_t)whole * c * c);
    return whole + (rest > 0);
}

template <class T>
void cuda_gram(struct nst_backend *be, const struct nst_tensor *f, bool clip,
               struct nst_window window, const float *guide, bool add, double *sums)
{
    struct cuda *cu = cuda_of(be);
    struct cuda_room room = cuda_room(cu);
    struct cut<T> k = cut_of<T>(f, clip, window, guide);
    int c = k.c, width = window.width;
    size_t square = (size_t)c * c;
    bool laid = width == k.w && !clip && !guide; /* it lies there as it is wanted */
    size_t pixel =
        (laid ? 0 : 2 * c * sizeof(T)) + (square * sizeof(float) / PIECE + 1);
    T *a, *b;
    float *parts;
    int rows;

    begin_sums(cu, sums, square, add);
    room.end -= square * sizeof(float); /* the last piece may be a short one */
    rows = cuda_rows(&room, width * pixel, window.height);
    a = cuda_take<T>(&room, laid ? 0 : (size_t)rows * width * c);
    b = guide ? cuda_take<T>(&room, (size_t)rows * width * c) : a;
    parts = reinterpret_cast<float *>(room.at);
    for (int top = 0; top < window.height; top += rows) {
        int here = top + rows < window.height ? rows : window.height - top;
        size_t first = (size_t)top * width, n = (size_t)here * width;
        const T *from = k.f + (size_t)(window.top + top) * k.w * c;
        int count;

        if (!laid)
            cuda_launch_over(cu, cut_kernel<T>, n * c, k, first, n, a, b);
        count = squares<T>(cu, c, n, laid ? from : a, laid ? from : b, parts);
        cuda_launch_over(cu, total_kernel<float>, square, parts, count, sums, square);
    }
    cuda_hold_aside(cu);
}

/* One block makes the sums of each PIECE of a cut of n pixels. */
template <class T>
__global__ void channels_kernel(struct cut<T> k, size_t n, double *parts)
{
    size_t first = (size_t)blockIdx.x * PIECE;
    size_t end = first + PIECE < n ? first + PIECE : n;

    for (int c = (int)threadIdx.x; c < k.c; c += (int)blockDim.x) {
        double sum = 0;

        for (size_t i = first; i < end; i++) {
            size_t at = pixel_of(k, i);
            float v = value(k.f[at * k.c + c]);

            v = k.clip ? relu(v) : v;
            sum += (double)(k.guide ? v * k.guide[at] : v);
        }
        parts[(size_t)blockIdx.x * k.c + c] = sum;
    }
}

template <class T>
void cuda_channel_sums(struct nst_backend *be, const struct nst_tensor *f, bool clip,
                       struct nst_window window, const float *guide, bool add,
                       double *sums)
{
    struct cuda *cu = cuda_of(be);
    struct cuda_room room = cuda_room(cu);
    struct cut<T> k = cut_of<T>(f, clip, window, guide);
    size_t c = (size_t)k.c, n = (size_t)window.height * window.width;
    int pieces = (int)((n + PIECE - 1) / PIECE);
    double *parts = cuda_take<double>(&room, c * pieces);

    begin_sums(cu, sums, c, add);
    cuda_launch(cu, channels_kernel<T>, dim3((unsigned)pieces), 128, 0, k, n, parts);
    cuda_launch_over(cu, total_kernel<double>, c, parts, pieces, sums, c);
    cuda_hold_aside(cu);
}

#define ERROR_BLOCKS 512

/* Each block's part of the sum of squares of f - t. */
template <class T>
__global__ void error_kernel(struct cut<T> k, const T *t, size_t n, double *parts)
{
    __shared__ double of[CUDA_BLOCK];
    double sum = 0;

    for (size_t i = cuda_first(); i < n * k.c; i += cuda_step()) {
        size_t at = pixel_of(k, i / k.c) * k.c + i % k.c;
        float v = value(k.f[at]);
        double d = (double)(k.clip ? relu(v) : v) - (double)value(t[at]);

        sum += d * d;
    }
    of[threadIdx.x] = sum;
    for (unsigned half = CUDA_BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            of[threadIdx.x] += of[threadIdx.x + half];
    }
    if (threadIdx.x == 0)
        parts[blockIdx.x] = of[0];
}

template <class T>
void cuda_squared_error(struct nst_backend *be, const struct nst_tensor *f, bool clip,
                        const struct nst_tensor *t, struct nst_window window, bool add,
                        double *sum)
{
    struct cuda *cu = cuda_of(be);
    struct cuda_room room = cuda_room(cu);
    struct cut<T> k = cut_of<T>(f, clip, window, NULL);
    double *parts = cuda_take<double>(&room, ERROR_BLOCKS);

    begin_sums(cu, sum, 1, add);
    cuda_launch(cu, error_kernel<T>, dim3(ERROR_BLOCKS), CUDA_BLOCK, 0, k, values<T>(t),
                (size_t)window.height * window.width, parts);
    cuda_launch_over(cu, total_kernel<double>, 1, parts, ERROR_BLOCKS, sum, 1);
}

#define OF(T)                                                                          \
    template void cuda_gram<T>(struct nst_backend *, const struct nst_tensor *, bool,  \
                               struct nst_window, const float *, bool, double *);      \
    template void cuda_channel_sums<T>(                                                \
        struct nst_backend *, const struct nst_tensor *, bool, struct nst_window,      \
        const float *, bool, double *);                                                \
    template void cuda_squared_error<T>(                                               \
        struct nst_backend *, const struct nst_tensor *, bool,                         \
        const struct nst_tensor *, struct nst_window, bool, double *);
OF(float)
OF(__half)
