/* SPDX-License-Identifier: MIT */
/*
 * joint.cuh - what join.cu makes: the gradient by a map, in its place, from the
 * gradient by what a convolution read of it (un-pooling, the ReLU, what the losses
 * add). See struct nst_joint.
 */
#ifndef NST_BACKEND_CUDA_JOINT_CUH
#define NST_BACKEND_CUDA_JOINT_CUH

#include "backend/cuda/device.cuh"

/* What losses on F, the map before its ReLU or after, add to the gradient by it. */
template <class T> struct addition {
    const float *sum; /* of the regions: a map as y; or NULL */
    const T *target;  /* and scale (F - target); or NULL */
    float scale;
};

/*
 * On the device: a map, or a band of one, in windows of 2 x 2 pixels, of which those at
 * odd far edges are less. A pooled joint's gx has a pixel for each whole window.
 */
template <class T> struct joint {
    T *y; /* h x w x c: values, then gradients */
    int c, h, w;
    bool pooled, average;
    const T *gx; /* gradients by what was read of y; NULL: 0 */
    struct addition<T> after, before;
    int *peak; /* raised to the largest magnitude, as bits; or NULL */
};

static __host__ __device__ __forceinline__ int windows_across(int w)
{
    return (w + 1) / 2;
}

/* One region's terms: guide (matrix F + offset), times what gradients are. */
template <class T> struct region {
    const T *matrix;     /* c x c */
    const float *scales; /* of what each row of it makes, times scale; or NULL: 1 */
    const float *offset; /* c, times scale; or NULL */
    float scale;
    const float *guide; /* of each pixel of y; or NULL */
    bool before;        /* F is the map before its ReLU */
    bool clip;          /* F is what a ReLU leaves of y, else y */
};

/* join.cu */
template <class T> void cuda_join(struct cuda *cu, const struct joint<T> &j);
/* The same, with one region's terms, multiplied on tensor cores: where the next holds.
 */
template <class T>
void cuda_join_region(struct cuda *cu, const struct joint<T> &j,
                      const struct region<T> &r);
template <class T> bool cuda_joins_region(const struct cuda *cu, int channels);
/* Or those terms alone, to sum, a map as y: by more blocks, for a map that is too small
 * to keep the device busy with all channels of so many pixels a block. */
template <class T>
void cuda_region_terms(struct cuda *cu, const struct joint<T> &j,
                       const struct region<T> &r, float *sum);
template <class T>
bool cuda_splits_region(const struct cuda *cu, int channels, int h, int w);

/* ---- on the device ---- */

#define PIECE 16 /* bytes that are read and written at once */

/* Values on end. */
template <class T, int V> struct alignas(V * sizeof(T)) piece {
    T v[V];
};

/* Pieces are counted, so that the largest of maps have few enough. */
template <int V, class T>
static __device__ __forceinline__ struct piece<T, V> piece_at(const T *from,
                                                              unsigned i) {
    return reinterpret_cast<const struct piece<T, V> *>(from)[i];
}

/* g += scale v */
template <int V>
static __device__ __forceinline__ void add(float g[V], const float *v, float scale)
{
    constexpr int n = V < 4 ? V : 4;

#pragma unroll
    for (int i = 0; i < V; i += n) {
        struct piece<float, n> part = piece_at<n>(v + i, 0);

#pragma unroll
        for (int k = 0; k < n; k++)
            g[i + k] += scale * part.v[k];
    }
}

template <int V>
static __device__ __forceinline__ void put_piece(float *to, unsigned at,
                                                 const float g[V], float)
{
    struct piece<float, V> p;

#pragma unroll
    for (int v = 0; v < V; v++)
        p.v[v] = g[v];
    reinterpret_cast<struct piece<float, V> *>(to)[at] = p;
}

/* peak: their largest magnitude. Too large a value becomes the largest. */
template <int V>
static __device__ __forceinline__ void put_piece(__half *to, unsigned at,
                                                 const float g[V], float peak)
{
    const float most = 65504;
    struct piece<__half, V> p;

    if (V == 1 || peak > most) {
#pragma unroll
        for (int v = 0; v < V; v++)
            put(&p.v[v], g[v]);
    } else {
#pragma unroll
        for (int v = 0; v + 1 < V; v += 2) {
            __half2 both = __floats2half2_rn(g[v], g[v + 1]);

            p.v[v] = both.x;
            p.v[v + 1] = both.y;
        }
    }
    reinterpret_cast<struct piece<__half, V> *>(to)[at] = p;
}

/* Pixels of y, row by row, and the one of gx, if it is pooled; -1: there is none. */
struct window {
    int pixel[4], read;
};

template <class T>
static __device__ __forceinline__ struct window window_of(const struct joint<T> &j,
                                                          int i)
{
    int across = windows_across(j.w), row = i / across, column = i - row * across;
    struct window w;

#pragma unroll
    for (int k = 0; k < 4; k++) {
        int r = 2 * row + k / 2, c = 2 * column + k % 2;

        w.pixel[k] = r < j.h && c < j.w ? r * j.w + c : -1;
    }
    w.read = w.pixel[3] >= 0 ? row * (j.w / 2) + column : -1;
    return w;
}

/* Values of a pixel and gradients by their ReLU become gradients by them: they are
 * piece p of y, and more(before, g) adds what regions do. The largest magnitude. */
template <class T, int V, class F>
static __device__ __forceinline__ float join(const struct joint<T> &j, unsigned p,
                                             const struct piece<T, V> &y, float g[V],
                                             F more)
{
    float peak = 0;

    more(false, g);
    if (j.after.target) {
        struct piece<T, V> target = piece_at<V>(j.after.target, p);

#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += j.after.scale * (relu(value(y.v[v])) - value(target.v[v]));
    }
#pragma unroll
    for (int v = 0; v < V; v++)
        g[v] = value(y.v[v]) > 0 ? g[v] : 0;
    more(true, g);
    if (j.before.target) {
        struct piece<T, V> target = piece_at<V>(j.before.target, p);

#pragma unroll
        for (int v = 0; v < V; v++)
            g[v] += j.before.scale * (value(y.v[v]) - value(target.v[v]));
    }
#pragma unroll
    for (int v = 0; v < V; v++)
        peak = fmaxf(peak, fabsf(g[v]));
    put_piece<V>(j.y, p, g, peak);
    return peak;
}

/* Which pixel of a window each pooled value is, the first of the largest: two bits for
 * each. */
template <class T, int V, class Y>
static __device__ __forceinline__ unsigned largest_of(Y y)
{
    float most[V] = {};
    unsigned largest = 0;

#pragma unroll
    for (unsigned i = 0; i < 4; i++) {
        struct piece<T, V> next = y(i);

#pragma unroll
        for (int v = 0; v < V; v++) {
            float of = value(next.v[v]);

            /* what all but a ReLU leaves is the first pixel's: its gradient is 0 */
            if (of > most[v])
                largest = (largest & ~(3u << 2 * v)) | i << 2 * v;
            most[v] = fmaxf(most[v], of);
        }
    }
    return largest;
}

/* Which piece of a map of y's channels is the part-th of a pixel. */
template <int V>
static __device__ __forceinline__ unsigned index_of(int pixel, int c, int part)
{
    return (unsigned)pixel * (unsigned)(c / V) + (unsigned)part;
}

/* Gradients by what was read of a window: of all that was pooled, in the first; or of
 * each pixel. */
template <class T, int V> struct reads {
    struct piece<T, V> of[4];
};

template <class T, int V>
static __device__ __forceinline__ struct reads<T, V> reads_of(const struct joint<T> &j,
                                                              const struct window &at,
                                                              int part) {
    struct reads<T, V> r = {
    };

#pragma unroll
    for (int i = 0; i < 4; i++) {
        int pixel = !j.pooled ? at.pixel[i] : i == 0 ? at.read : -1;

        if (j.gx && pixel >= 0)
            r.of[i] = piece_at<V>(j.gx, index_of<V>(pixel, j.c, part));
    }
    return r;
}

/* A piece of each pixel of a window: y(i) are values of pixel i, read(i) is as struct
 * reads, and more(i, before, g) adds what the regions do to gradients by them. */
template <class T, int V, class R, class Y, class F>
static __device__ __forceinline__ float join_window(const struct joint<T> &j,
                                                    const struct window &at, int part,
                                                    R read, Y y, F more)
{
    unsigned largest = j.pooled && !j.average ? largest_of<T, V>(y) : 0;
    float peak = 0;

#pragma unroll
    for (int i = 0; i < 4; i++) {
        struct piece<T, V> of;
        float g[V];

        if (at.pixel[i] < 0)
            continue;
        of = j.pooled ? read(0) : read(i);
#pragma unroll
        for (int v = 0; v < V; v++) {
            bool largest_here = (largest >> 2 * v & 3) == unsigned(i);

            g[v] = value(of.v[v]);
            if (j.pooled)
                g[v] = j.average ? 0.25f * g[v] : largest_here ? g[v] : 0;
        }
        peak = fmaxf(
            peak, join<T, V>(j, index_of<V>(at.pixel[i], j.c, part), y(i), g,
                             [&](bool before, float *sum) { more(i, before, sum); }));
    }
    return peak;
}

/* Note a thread's largest magnitude; all threads of the warp call it. */
template <class T>
static __device__ __forceinline__ void note_peak(const struct joint<T> &j, float peak)
{
    if (!j.peak)
        return;
    for (int lane = 16; lane > 0; lane /= 2)
        peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, lane));
    /* most find a larger one there */
    if (threadIdx.x % 32 == 0 &&
        __float_as_int(peak) > *static_cast<volatile int *>(j.peak))
        atomicMax(j.peak, __float_as_int(peak));
}

#endif
