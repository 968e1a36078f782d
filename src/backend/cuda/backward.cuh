/* SPDX-License-Identifier: MIT */
/*
 * backward.cuh - interface of backward.cu: the fused backward step between two
 * convolutions (un-pooling, ReLU mask, gradients of the losses). It replaces the values
 * of a map by the gradient with respect to them. See struct nst_backward_step.
 */
#ifndef NST_BACKEND_CUDA_BACKWARD_CUH
#define NST_BACKEND_CUDA_BACKWARD_CUH

#include "backend/cuda/device.cuh"

/* Gradient of the losses on F, the map y before or after its ReLU. */
template <class T> struct loss_grad {
    const float *sum; /* the regions' part, shaped as y; or NULL */
    const T *target;  /* adds scale (F - target); or NULL */
    float scale;
};

/*
 * A map, or a band of one, on the device, in windows of 2 x 2 pixels. Windows at odd
 * far edges are smaller; a pooled gx has one pixel for each full window.
 */
template <class T> struct backward_step {
    T *y; /* h x w x c: first values, then gradients */
    int c, h, w;
    bool pooled, average;
    const T *gx; /* gradient of what the convolution read; NULL: 0 */
    struct loss_grad<T> after, before;
    int *peak; /* running maximum of |gradient|, as float bits; or NULL */
};

static __host__ __device__ __forceinline__ int windows_per_row(int w)
{
    return (w + 1) / 2;
}

/* Gradient of one region's losses: mask (matrix F + offset), times the loss scale. */
template <class T> struct region {
    const T *matrix;     /* c x c */
    const float *scales; /* c factors of its rows, times scale; or NULL: 1 */
    const float *offset; /* c, times scale; or NULL */
    float scale;
    const float *mask; /* a weight for each pixel of y; or NULL: 1 */
    bool before;       /* F is the map before its ReLU */
    bool relu;         /* F = relu(y); else F = y */
};

/* backward.cu */
template <class T>
void cuda_backward_step(struct cuda *cu, const struct backward_step<T> &step);
/* The same plus one region's gradient, on tensor cores; see cuda_can_fuse_region(). */
template <class T>
void cuda_backward_step_region(struct cuda *cu, const struct backward_step<T> &step,
                               const struct region<T> &r);
template <class T> bool cuda_can_fuse_region(const struct cuda *cu, int channels);
/* Write the region's gradient alone to sum, a map shaped as y. Splits the channels over
 * more blocks, for maps too small to occupy the device otherwise. */
template <class T>
void cuda_region_grad(struct cuda *cu, const struct backward_step<T> &step,
                      const struct region<T> &r, float *sum);
template <class T>
bool cuda_should_split_region(const struct cuda *cu, int channels, int h, int w);

/* ---- on the device ---- */

#define VEC_BYTES 16 /* bytes per load or store */

/* V consecutive values. */
template <class T, int V> struct alignas(V * sizeof(T)) vec {
    T v[V];
};

/* i counts vectors, so that 32 bits suffice for the largest maps. */
template <int V, class T>
static __device__ __forceinline__ struct vec<T, V> load_vec(const T *from, unsigned i) {
    return reinterpret_cast<const struct vec<T, V> *>(from)[i];
}

/* g += scale v */
template <int V>
static __device__ __forceinline__ void axpy(float g[V], const float *v, float scale)
{
    constexpr int n = V < 4 ? V : 4;

#pragma unroll
    for (int i = 0; i < V; i += n) {
        struct vec<float, n> chunk = load_vec<n>(v + i, 0);

#pragma unroll
        for (int k = 0; k < n; k++)
            g[i + k] += scale * chunk.v[k];
    }
}

template <int V>
static __device__ __forceinline__ void store_vec(float *to, unsigned at,
                                                 const float g[V], float)
{
    struct vec<float, V> p;

#pragma unroll
    for (int v = 0; v < V; v++)
        p.v[v] = g[v];
    reinterpret_cast<struct vec<float, V> *>(to)[at] = p;
}

/* peak: the largest |g|. Values beyond the range of fp16 saturate. */
template <int V>
static __device__ __forceinline__ void store_vec(__half *to, unsigned at,
                                                 const float g[V], float peak)
{
    const float half_max = 65504;
    struct vec<__half, V> p;

    if (V == 1 || peak > half_max) {
#pragma unroll
        for (int v = 0; v < V; v++)
            store(&p.v[v], g[v]);
    } else {
#pragma unroll
        for (int v = 0; v + 1 < V; v += 2) {
            __half2 pair = __floats2half2_rn(g[v], g[v + 1]);

            p.v[v] = pair.x;
            p.v[v + 1] = pair.y;
        }
    }
    reinterpret_cast<struct vec<__half, V> *>(to)[at] = p;
}

/* Indices of the pixels in y, row by row, and of the pooled pixel in gx; -1: none. */
struct window {
    int pixel[4], pooled_pixel;
};

template <class T>
static __device__ __forceinline__ struct window window_of(
    const struct backward_step<T> &step, int i)
{
    int per_row = windows_per_row(step.w), row = i / per_row,
        column = i - row * per_row;
    struct window w;

#pragma unroll
    for (int k = 0; k < 4; k++) {
        int r = 2 * row + k / 2, c = 2 * column + k % 2;

        w.pixel[k] = r < step.h && c < step.w ? r * step.w + c : -1;
    }
    w.pooled_pixel = w.pixel[3] >= 0 ? row * (step.w / 2) + column : -1;
    return w;
}

/* Backward step of vector p of y: turn g, the gradient after the ReLU, into the
 * gradient with respect to y, and store it. add_region(before, g) adds the regions'
 * part. Returns the largest |g|. */
template <class T, int V, class F>
static __device__ __forceinline__ float backward_vec(
    const struct backward_step<T> &step, unsigned p, const struct vec<T, V> &y,
    float g[V], F add_region)
{
    float peak = 0;

    add_region(false, g);
    if (step.after.target) {
        struct vec<T, V> target = load_vec<V>(step.after.target, p);

#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += step.after.scale * (relu(to_float(y.v[v])) - to_float(target.v[v]));
    }
#pragma unroll
    for (int v = 0; v < V; v++)
        g[v] = to_float(y.v[v]) > 0 ? g[v] : 0;
    add_region(true, g);
    if (step.before.target) {
        struct vec<T, V> target = load_vec<V>(step.before.target, p);

#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += step.before.scale * (to_float(y.v[v]) - to_float(target.v[v]));
    }
#pragma unroll
    for (int v = 0; v < V; v++)
        peak = fmaxf(peak, fabsf(g[v]));
    store_vec<V>(step.y, p, g, peak);
    return peak;
}

/* For each channel, the pixel with the maximum (the first of equal ones), in 2 bits. */
template <class T, int V, class Y>
static __device__ __forceinline__ unsigned argmax_of(Y y)
{
    float max[V] = {};
    unsigned argmax = 0;

#pragma unroll
    for (unsigned i = 0; i < 4; i++) {
        struct vec<T, V> next = y(i);

#pragma unroll
        for (int v = 0; v < V; v++) {
            float x = to_float(next.v[v]);

            /* none is positive: pixel 0, whose gradient the ReLU clears */
            if (x > max[v])
                argmax = (argmax & ~(3u << 2 * v)) | i << 2 * v;
            max[v] = fmaxf(max[v], x);
        }
    }
    return argmax;
}

/* Index of vector part of a pixel, in a map of c channels. */
template <int V>
static __device__ __forceinline__ unsigned vec_index(int pixel, int c, int part)
{
    return (unsigned)pixel * (unsigned)(c / V) + (unsigned)part;
}

/* Vectors of gx for a window: v[0] alone if pooled, else one for each pixel. */
template <class T, int V> struct gx_vecs {
    struct vec<T, V> v[4];
};

template <class T, int V>
static __device__ __forceinline__ struct gx_vecs<T, V> load_gx(
    const struct backward_step<T> &step, const struct window &at, int part) {
    struct gx_vecs<T, V> r = {
    };

#pragma unroll
    for (int i = 0; i < 4; i++) {
        int pixel = !step.pooled ? at.pixel[i] : i == 0 ? at.pooled_pixel : -1;

        if (step.gx && pixel >= 0)
            r.v[i] = load_vec<V>(step.gx, vec_index<V>(pixel, step.c, part));
    }
    return r;
}

/* Backward step of vector part of a window's pixels. y(i) returns the values of pixel
 * i, gx(i) is as in struct gx_vecs, add_region(i, before, g) adds the regions' part.
 * Returns the largest |gradient|. */
template <class T, int V, class R, class Y, class F>
static __device__ __forceinline__ float backward_window(
    const struct backward_step<T> &step, const struct window &at, int part, R gx, Y y,
    F add_region)
{
    unsigned argmax = step.pooled && !step.average ? argmax_of<T, V>(y) : 0;
    float peak = 0;

#pragma unroll
    for (int i = 0; i < 4; i++) {
        struct vec<T, V> g_out;
        float g[V];

        if (at.pixel[i] < 0)
            continue;
        g_out = step.pooled ? gx(0) : gx(i);
#pragma unroll
        for (int v = 0; v < V; v++) {
            bool is_argmax = (argmax >> 2 * v & 3) == unsigned(i);

            g[v] = to_float(g_out.v[v]);
            if (step.pooled)
                g[v] = step.average ? 0.25f * g[v] : is_argmax ? g[v] : 0;
        }
        peak = fmaxf(peak,
                     backward_vec<T, V>(
                         step, vec_index<V>(at.pixel[i], step.c, part), y(i), g,
                         [&](bool before, float *sum) { add_region(i, before, sum); }));
    }
    return peak;
}

/* Raise *step.peak to the largest peak of the warp. All its threads must call this. */
template <class T>
static __device__ __forceinline__ void update_peak(const struct backward_step<T> &step,
                                                   float peak)
{
    if (!step.peak)
        return;
    for (int lane = 16; lane > 0; lane /= 2)
        peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, lane));
    /* read first: most warps find a larger value and skip the atomic */
    if (threadIdx.x % 32 == 0 &&
        __float_as_int(peak) > *static_cast<volatile int *>(step.peak))
        atomicMax(step.peak, __float_as_int(peak));
}

#endif
