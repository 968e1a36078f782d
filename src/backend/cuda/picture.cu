/* SPDX-License-Identifier: MIT */
/*
 * picture.cu - the first convolution, which reads a picture of three planes. Little is
 * multiplied: what costs is that the map is written.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"
#include "backend/cuda/words.cuh"

/* What the network sees of a picture: (v - mean) / deviation, 0 beyond the border. */
struct picture {
    const float *rgb; /* 3 x h x w */
    int h, w;
    struct nst_normalisation n;
};

/* What a block of the first convolution makes: ROWS x COLUMNS pixels of CHANNELS. */
#define ROWS 8
#define COLUMNS 32
#define CHANNELS 64
/* From row to row of what it sees: where a warp's lanes read 8 pixels of different
 * taps, few are in one bank. */
#define PITCH 44

/* Values as W: float, or two of fp16. */
template <class W> struct seen {
    W v[ROWS + 2][3][PITCH], weight[CHANNELS * 27];
    float bias[CHANNELS];
};

static __device__ __forceinline__ void see(float *to, float v)
{
    *to = v;
}
/* The nearest value of fp16, and of what is left: 22 bits together. */
static __device__ __forceinline__ void see(unsigned *to, float v)
{
    __half high, low;

    put(&high, v);
    put(&low, v - value(high));
    *to = __half_as_ushort(high) | (unsigned)__half_as_ushort(low) << 16;
}

/* Where it begins. */
struct corner {
    int top, left, channel;
};

static __device__ __forceinline__ struct corner corner_of(int w, int c)
{
    int across = (w + COLUMNS - 1) / COLUMNS, deep = (c + CHANNELS - 1) / CHANNELS;
    int i = (int)blockIdx.x;

    return {i / deep / across * ROWS, i / deep % across * COLUMNS, i % deep * CHANNELS};
}

static __device__ __forceinline__ float of_colour(const float v[3], int colour)
{
    return colour == 0 ? v[0] : colour == 1 ? v[1] : v[2];
}

/* A block's pixels and those around them, normalised. */
template <class W>
static __device__ __forceinline__ void look(struct seen<W> *s, const struct picture &p,
                                            const struct corner &at)
{
    constexpr int across = COLUMNS + 2, n = (ROWS + 2) * 3 * across;
    constexpr int each = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;
    float v[each];

#pragma unroll
    for (int i = 0; i < each; i++) { /* all are on their way at once */
        int k = i * CUDA_BLOCK + (int)threadIdx.x, colour = k / across % 3;
        int row = at.top + k / across / 3 - 1, column = at.left + k % across - 1;
        bool inside = row >= 0 && row < p.h && column >= 0 && column < p.w && k < n;

        v[i] = inside ? p.rgb[((size_t)colour * p.h + row) * p.w + column]
                      : of_colour(p.n.mean, colour);
    }
#pragma unroll
    for (int i = 0; i < each; i++) {
        int k = i * CUDA_BLOCK + (int)threadIdx.x, colour = k / across % 3;

        if (k < n)
            see(&s->v[k / across / 3][colour][k % across],
                (v[i] - of_colour(p.n.mean, colour)) /
                    of_colour(p.n.deviation, colour));
    }
}

/* The weights and biases of its channels; 0 beyond the last. */
template <class W>
static __device__ __forceinline__ void learn(struct seen<W> *s, const float *weight,
                                             const float *bias, int c,
                                             const struct corner &at)
{
#pragma unroll
    for (int i = (int)threadIdx.x; i < CHANNELS * 27; i += CUDA_BLOCK) {
        int from = at.channel * 27 + i;

        see(&s->weight[i], from < c * 27 ? weight[from] : 0);
    }
    for (int i = (int)threadIdx.x; i < CHANNELS; i += CUDA_BLOCK)
        s->bias[i] = at.channel + i < c ? bias[at.channel + i] : 0;
}

/* A thread's pixels of a row: a channel of eight. */
static __device__ __forceinline__ void convolve(const struct seen<float> &s, int row,
                                                int column, const float w[27],
                                                float sum[8])
{
#pragma unroll
    for (int i = 0; i < 9; i++) {
        const float *from = &s.v[row + i / 3][i % 3][column];
        float v[10];

#pragma unroll
        for (int k = 0; k < 10; k++)
            v[k] = from[k];
#pragma unroll
        for (int tap = 0; tap < 3; tap++)
#pragma unroll
            for (int k = 0; k < 8; k++)
                sum[k] += w[i / 3 * 9 + tap * 3 + i % 3] * v[k + tap];
    }
}

/* In float, for any number of channels. */
template <class T>
__global__ void __launch_bounds__(CUDA_BLOCK)
    picture_kernel(struct picture p, const float *weight, const float *bias, int c,
                   bool out_relu, T *y)
{
    __shared__ __align__(16) struct seen<float> s;
    struct corner at = corner_of(p.w, c);
    int own = (int)threadIdx.x % CHANNELS, k = at.channel + own;
    int column = (int)threadIdx.x / CHANNELS * 8;
    float w[27];

    learn(&s, weight, bias, c, at);
    ptx::begin();
    look(&s, p, at);
    __syncthreads();
    if (k >= c)
        return;
#pragma unroll
    for (int i = 0; i < 27; i++)
        w[i] = s.weight[own * 27 + i];
    for (int row = 0; row < ROWS && at.top + row < p.h; row++) {
        float sum[8];
        T *to = y + ((size_t)(at.top + row) * p.w + at.left + column) * c + k;

#pragma unroll
        for (int i = 0; i < 8; i++)
            sum[i] = s.bias[own];
        convolve(s, row, column, w, sum);
#pragma unroll
        for (int i = 0; i < 8; i++)
            if (at.left + column + i < p.w)
                put(to + (size_t)i * c, out_relu ? relu(sum[i]) : sum[i]);
    }
}

/*
 * On tensor cores a warp makes 16 pixels of a row by 32 channels at once: a product of
 * 16 x 27 values seen (32 with zeros; 3 tap + colour) by weights. Both are sums of two
 * values of fp16, and three of the four products of those count. Columns of its four
 * tiles of 8 channels are such that a thread's values are 16 bytes side by side: of
 * tile j, column 2 t + e is this channel.
 */
template <class T> static __device__ __forceinline__ int channel_of(int j, int t, int e)
{
    constexpr int wide = 16 / (int)sizeof(T);

    return j / (wide / 2) * 4 * wide + t * wide + j % (wide / 2) * 2 + e;
}

/* The first halves of two words, and the second. */
static __device__ __forceinline__ void split(unsigned a, unsigned b, unsigned *high,
                                             unsigned *low)
{
    *high = (a & 0xffffu) | b << 16;
    *low = a >> 16 | (b & 0xffff0000u);
}

struct factors {
    unsigned high[2][4][2], low[2][4][2]; /* steps of 16, tiles */
};

/* The weights of a warp's 32 channels from one on. */
template <class T>
static __device__ __forceinline__ void weights_of(const struct seen<unsigned> &s,
                                                  int channel, struct factors *b)
{
    int t = (int)threadIdx.x % 4, g = (int)threadIdx.x % 32 / 4;

#pragma unroll
    for (int i = 0; i < 16; i++) {
        int k = i / 8 * 16 + i % 2 * 8 + 2 * t, j = i / 2 % 4;
        const unsigned *from =
            s.weight + (channel + channel_of<T>(j, g / 2, g % 2)) * 27 + k;

        split(k < 27 ? from[0] : 0, k < 26 ? from[1] : 0, &b->high[i / 8][j][i % 2],
              &b->low[i / 8][j][i % 2]);
    }
}

/* 16 pixels of a row by 32 channels; offset: where a thread's values are from there. */
static __device__ __forceinline__ void multiply(const unsigned *from,
                                                const int offset[8],
                                                const struct factors &b, float d[4][4])
{
    from += threadIdx.x % 32 / 4;
#pragma unroll
    for (int step = 0; step < 2; step++) {
        unsigned high[4], low[4];

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int *at = offset + 4 * step + i / 2 * 2;

            split(from[at[0] + i % 2 * 8], from[at[1] + i % 2 * 8], &high[i], &low[i]);
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            ptx::mma_f16(d[j], low, b.high[step][j]);
            ptx::mma_f16(d[j], high, b.low[step][j]);
            ptx::mma_f16(d[j], high, b.high[step][j]);
        }
    }
}

/* A pixel's values of a thread: of 8 channels from to on. */
template <class T>
static __device__ __forceinline__ void put_pixel(T *to, const float v[8], bool out_relu)
{
    constexpr int wide = 16 / (int)sizeof(T);
    float of[8];

#pragma unroll
    for (int i = 0; i < 8; i++)
        of[i] = out_relu ? relu(v[i]) : v[i];
#pragma unroll
    for (int i = 0; i < 8; i += wide)
        wide_put(to + 4 * i, of + i);
}

/* For a multiple of CHANNELS. */
template <class T>
__global__ void __launch_bounds__(CUDA_BLOCK, 3)
    picture_tensor_kernel(struct picture p, const float *weight, const float *bias,
                          int c, bool out_relu, T *y)
{
    __shared__ __align__(16) struct seen<unsigned> s;
    struct corner at = corner_of(p.w, c);
    int warp = (int)threadIdx.x / 32, t = (int)threadIdx.x % 4,
        g = (int)threadIdx.x % 32 / 4;
    int channel = warp % 2 * 32, offset[8];
    struct factors b;

    learn(&s, weight, bias, c, at);
    ptx::begin();
    look(&s, p, at);
    __syncthreads();
    weights_of<T>(s, channel, &b);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int k = i / 2 * 8 + 2 * t + i % 2;

        offset[i] = k < 27 ? (k / 9 * 3 + k % 3) * PITCH + k / 3 % 3 : 0;
    }
#pragma unroll 1
    for (int i = warp / 2; i < ROWS * COLUMNS / 16; i += CUDA_BLOCK / 64) {
        int row = at.top + i / 2, column = at.left + i % 2 * 16 + g;
        float d[4][4], v[2][8];

        if (row >= p.h)
            break;
#pragma unroll
        for (int k = 0; k < 16; k++)
            d[k / 4][k % 4] = s.bias[channel + channel_of<T>(k / 4, t, k % 2)];
        multiply(&s.v[i / 2][0][i % 2 * 16], offset, b, d);
#pragma unroll
        for (int k = 0; k < 16; k++)
            v[k / 2 % 2][k / 4 * 2 + k % 2] = d[k / 4][k % 4];
#pragma unroll
        for (int k = 0; k < 2; k++)
            if (column + 8 * k < p.w)
                put_pixel(y + ((size_t)row * p.w + column + 8 * k) * c + at.channel +
                              channel + channel_of<T>(0, t, 0),
                          v[k], out_relu);
    }
}

template <class T>
void cuda_conv_picture(struct nst_backend *be, const struct nst_conv *k,
                       const float *rgb, struct nst_tensor *y, bool out_relu)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = y->shape;
    struct picture p = {rgb, s.h, s.w, *k->picture};
    bool tensor = cu->tensor_cores && s.c % CHANNELS == 0;
    int blocks = (s.h + ROWS - 1) / ROWS * ((s.w + COLUMNS - 1) / COLUMNS) *
                 ((s.c + CHANNELS - 1) / CHANNELS);

    cuda_wait_aside(cu);
    cuda_launch_early(cu, tensor ? picture_tensor_kernel<T> : picture_kernel<T>,
                      dim3((unsigned)blocks), CUDA_BLOCK, 0, p,
                      static_cast<const float *>(k->ahead), k->bias, s.c, out_relu,
                      values<T>(y));
    cuda_made(cu, y);
}

#define OF(T)                                                                          \
    template void cuda_conv_picture<T>(struct nst_backend *, const struct nst_conv *,  \
                                       const float *, struct nst_tensor *, bool);
OF(float)
OF(__half)
