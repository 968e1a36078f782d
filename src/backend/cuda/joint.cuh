/* SPDX-License-Identifier: MIT */
/*
 * joint.cuh - the gradient by a map from the gradient by what a convolution read of it:
 * un-pooling, the ReLU and what the losses add, value by value, so that whoever has the
 * former makes the latter without another pass. See struct nst_joint.
 */
#ifndef NST_BACKEND_CUDA_JOINT_CUH
#define NST_BACKEND_CUDA_JOINT_CUH

#include "backend/cuda/device.cuh"

/* On the device. */
template <class T> struct joint {
    T *y; /* h x w x c: values, then gradients */
    int c, h, w;
    bool pooled, average;
    /* What losses on F add: maps of y's channels whose first pixel is y's of row top;
     * or NULL. */
    const float *after, *before;
    int top;
    /* and scale (F - target), or NULL */
    const T *after_target, *before_target;
    float after_scale, before_scale;
    int *peak; /* raised to the largest magnitude, as bits; or NULL */
};

/* Value i of y becomes the gradient by it, g being that by its ReLU. */
template <class T>
static __device__ float join(const struct joint<T> &j, size_t i, float g)
{
    float y = value(j.y[i]);
    size_t k = i - (size_t)j.top * j.w * j.c;

    if (j.after)
        g += j.after[k];
    if (j.after_target)
        g += j.after_scale * (relu(y) - value(j.after_target[i]));
    if (!(y > 0))
        g = 0;
    if (j.before)
        g += j.before[k];
    if (j.before_target)
        g += j.before_scale * (y - value(j.before_target[i]));
    put(&j.y[i], g);
    return fabsf(g);
}

/* Where in y channel k of a pixel is. */
template <class T>
static __device__ __forceinline__ size_t place(const struct joint<T> &j, int row,
                                               int column, int k)
{
    return ((size_t)row * j.w + column) * j.c + k;
}

/*
 * The same for all values that a pooled one stands for: two by two, and what is odd at
 * the far edges beside the last, which none stands for. g is the gradient by the pooled
 * value.
 */
template <class T>
static __device__ float unpool(const struct joint<T> &j, int row, int column, int k,
                               float g)
{
    int bottom = 2 * row + 2, right = 2 * column + 2, at = 0;
    float most = -1, peak = 0;

    if (j.h - bottom == 1)
        bottom = j.h;
    if (j.w - right == 1)
        right = j.w;
    for (int i = 0; i < 4 && !j.average; i++) {
        float y = relu(value(j.y[place(j, 2 * row + i / 2, 2 * column + i % 2, k)]));

        if (y > most) {
            most = y;
            at = i;
        }
    }
    for (int r = 2 * row; r < bottom; r++)
        for (int c = 2 * column; c < right; c++) {
            int i = 2 * (r - 2 * row) + c - 2 * column;
            bool inside = r < 2 * row + 2 && c < 2 * column + 2;
            float part = !inside ? 0 : j.average ? 0.25f * g : i == at ? g : 0;

            peak = fmaxf(peak, join(j, place(j, r, c, k), part));
        }
    return peak;
}

/* What a convolution's gradient at a pixel that it read becomes. */
template <class T>
static __device__ __forceinline__ float join_pixel(const struct joint<T> &j, int row,
                                                   int column, int k, float g)
{
    return j.pooled ? unpool(j, row, column, k, g)
                    : join(j, place(j, row, column, k), g);
}

/* Note a thread's largest magnitude; all threads of the warp call it. */
template <class T>
static __device__ __forceinline__ void note_peak(const struct joint<T> &j, float peak)
{
    if (!j.peak)
        return;
    for (int lane = 16; lane > 0; lane /= 2)
        peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, lane));
    if (threadIdx.x % 32 == 0 && peak > 0)
        atomicMax(j.peak, __float_as_int(peak));
}

#endif
