/* SPDX-License-Identifier: MIT */
/*
 * first_conv.cu - the first convolution, which reads an image of three planes. It does
 * little arithmetic; storing the map dominates its time.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"
#include "backend/cuda/packed.cuh"

/* Input of the network: (v - mean) / deviation. */
struct input_image {
    const float *rgb; /* 3 x h x w */
    int h, w;
    struct nst_normalisation n;
    enum nst_padding padding;
};

/* Output of a block: TILE_ROWS x TILE_COLUMNS pixels of TILE_CHANNELS. */
#define TILE_ROWS 8
#define TILE_COLUMNS 32
#define TILE_CHANNELS 64
/* Row pitch of the input tile, which avoids most bank conflicts when the lanes of a
 * warp read 8 pixels of different taps. */
#define PITCH 44

/* W: float, or a pair of halves. */
template <class W> struct input_tile {
    W v[TILE_ROWS + 2][3][PITCH], weight[TILE_CHANNELS * 27];
    float bias[TILE_CHANNELS];
};

static __device__ __forceinline__ void store_operand(float *to, float v)
{
    *to = v;
}
/* The nearest value of fp16, and the remainder: 22 bits together. */
static __device__ __forceinline__ void store_operand(unsigned *to, float v)
{
    __half high, low;

    store(&high, v);
    store(&low, v - to_float(high));
    *to = __half_as_ushort(high) | (unsigned)__half_as_ushort(low) << 16;
}

/* First row, column and channel of a block's tile. */
struct corner {
    int top, left, channel;
};

static __device__ __forceinline__ struct corner corner_of(int w, int c)
{
    int tiles_x = (w + TILE_COLUMNS - 1) / TILE_COLUMNS,
        tiles_c = (c + TILE_CHANNELS - 1) / TILE_CHANNELS;
    int i = (int)blockIdx.x;

    return {i / tiles_c / tiles_x * TILE_ROWS, i / tiles_c % tiles_x * TILE_COLUMNS,
            i % tiles_c * TILE_CHANNELS};
}

static __device__ __forceinline__ float channel_value(const float v[3], int colour)
{
    return colour == 0 ? v[0] : colour == 1 ? v[1] : v[2];
}

/* Load a block's pixels with their halo, normalised. */
template <class W>
static __device__ __forceinline__ void load_input(struct input_tile<W> *s,
                                                  const struct input_image &p,
                                                  const struct corner &at)
{
    constexpr int across = TILE_COLUMNS + 2, n = (TILE_ROWS + 2) * 3 * across;
    constexpr int each = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;
    float v[each];

#pragma unroll
    for (int i = 0; i < each; i++) { /* all loads in flight at once */
        int k = i * CUDA_BLOCK + (int)threadIdx.x, colour = k / across % 3;
        int row = at.top + k / across / 3 - 1, column = at.left + k % across - 1;
        bool needed = row <= p.h && column <= p.w && k < n;
        int from = needed ? padded_pixel(row, column, p.h, p.w, p.padding) : -1;

        v[i] = from >= 0 ? p.rgb[(size_t)colour * p.h * p.w + from]
                         : channel_value(p.n.mean, colour);
    }
#pragma unroll
    for (int i = 0; i < each; i++) {
        int k = i * CUDA_BLOCK + (int)threadIdx.x, colour = k / across % 3;

        if (k < n)
            store_operand(&s->v[k / across / 3][colour][k % across],
                          (v[i] - channel_value(p.n.mean, colour)) /
                              channel_value(p.n.deviation, colour));
    }
}

/* Load the weights and biases of the block's channels; 0 beyond the last. */
template <class W>
static __device__ __forceinline__ void load_weights(struct input_tile<W> *s,
                                                    const float *weight,
                                                    const float *bias, int c,
                                                    const struct corner &at)
{
#pragma unroll
    for (int i = (int)threadIdx.x; i < TILE_CHANNELS * 27; i += CUDA_BLOCK) {
        int from = at.channel * 27 + i;

        store_operand(&s->weight[i], from < c * 27 ? weight[from] : 0);
    }
    for (int i = (int)threadIdx.x; i < TILE_CHANNELS; i += CUDA_BLOCK)
        s->bias[i] = at.channel + i < c ? bias[at.channel + i] : 0;
}

/* A thread's share of a row: one channel of eight pixels. */
static __device__ __forceinline__ void convolve(const struct input_tile<float> &s,
                                                int row, int column, const float w[27],
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
    first_conv_kernel(struct input_image p, const float *weight, const float *bias,
                      int c, bool out_relu, T *y)
{
    __shared__ __align__(16) struct input_tile<float> s;
    struct corner at = corner_of(p.w, c);
    int local = (int)threadIdx.x % TILE_CHANNELS, k = at.channel + local;
    int column = (int)threadIdx.x / TILE_CHANNELS * 8;
    float w[27];

    load_weights(&s, weight, bias, c, at);
    ptx::griddep_wait();
    load_input(&s, p, at);
    __syncthreads();
    if (k >= c)
        return;
#pragma unroll
    for (int i = 0; i < 27; i++)
        w[i] = s.weight[local * 27 + i];
    for (int row = 0; row < TILE_ROWS && at.top + row < p.h; row++) {
        float sum[8];
        T *to = y + ((size_t)(at.top + row) * p.w + at.left + column) * c + k;

#pragma unroll
        for (int i = 0; i < 8; i++)
            sum[i] = s.bias[local];
        convolve(s, row, column, w, sum);
#pragma unroll
        for (int i = 0; i < 8; i++)
            if (at.left + column + i < p.w)
                store(to + (size_t)i * c, out_relu ? relu(sum[i]) : sum[i]);
    }
}

/*
 * On tensor cores a warp computes 16 pixels of a row by 32 channels at once: 16 x 27
 * input values (padded to 32; index 3 tap + colour) times the weights. Both are sums of
 * two halves, and three of their four products matter. The columns of its four tiles of
 * 8 channels are ordered so that a thread's values form vectors of 16 bytes. This is
 * the channel of column 2 t + e of tile j.
 */
template <class T> static __device__ __forceinline__ int channel_of(int j, int t, int e)
{
    constexpr int per_vec = 16 / (int)sizeof(T);

    return j / (per_vec / 2) * 4 * per_vec + t * per_vec + j % (per_vec / 2) * 2 + e;
}

/* Collect the lower 16 bits of two words in high, the upper ones in low. */
static __device__ __forceinline__ void unzip(unsigned a, unsigned b, unsigned *high,
                                             unsigned *low)
{
    *high = (a & 0xffffu) | b << 16;
    *low = a >> 16 | (b & 0xffff0000u);
}

struct weight_fragments {
    unsigned high[2][4][2], low[2][4][2]; /* [step of 16][tile] */
};

/* Load the weights of a warp's 32 channels, from channel on. */
template <class T>
static __device__ __forceinline__ void load_weight_fragments(
    const struct input_tile<unsigned> &s, int channel, struct weight_fragments *b)
{
    int t = (int)threadIdx.x % 4, g = (int)threadIdx.x % 32 / 4;

#pragma unroll
    for (int i = 0; i < 16; i++) {
        int k = i / 8 * 16 + i % 2 * 8 + 2 * t, j = i / 2 % 4;
        const unsigned *from =
            s.weight + (channel + channel_of<T>(j, g / 2, g % 2)) * 27 + k;

        unzip(k < 27 ? from[0] : 0, k < 26 ? from[1] : 0, &b->high[i / 8][j][i % 2],
              &b->low[i / 8][j][i % 2]);
    }
}

/* Multiply 16 pixels of a row by 32 channels. offset: of a thread's values in from. */
static __device__ __forceinline__ void mma_pixels(const unsigned *from,
                                                  const int offset[8],
                                                  const struct weight_fragments &b,
                                                  float d[4][4])
{
    from += threadIdx.x % 32 / 4;
#pragma unroll
    for (int step = 0; step < 2; step++) {
        unsigned high[4], low[4];

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int *at = offset + 4 * step + i / 2 * 2;

            unzip(from[at[0] + i % 2 * 8], from[at[1] + i % 2 * 8], &high[i], &low[i]);
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            ptx::mma_f16(d[j], low, b.high[step][j]);
            ptx::mma_f16(d[j], high, b.low[step][j]);
            ptx::mma_f16(d[j], high, b.high[step][j]);
        }
    }
}

/* Store a thread's 8 channels of a pixel. */
template <class T>
static __device__ __forceinline__ void store_pixel(T *to, const float v[8],
                                                   bool out_relu)
{
    constexpr int per_vec = 16 / (int)sizeof(T);
    float out[8];

#pragma unroll
    for (int i = 0; i < 8; i++)
        out[i] = out_relu ? relu(v[i]) : v[i];
#pragma unroll
    for (int i = 0; i < 8; i += per_vec)
        store16(to + 4 * i, out + i);
}

/* On tensor cores, for a multiple of TILE_CHANNELS. */
template <class T>
__global__ void __launch_bounds__(CUDA_BLOCK, 3)
    first_conv_mma_kernel(struct input_image p, const float *weight, const float *bias,
                          int c, bool out_relu, T *y)
{
    __shared__ __align__(16) struct input_tile<unsigned> s;
    struct corner at = corner_of(p.w, c);
    int warp = (int)threadIdx.x / 32, t = (int)threadIdx.x % 4,
        g = (int)threadIdx.x % 32 / 4;
    int channel = warp % 2 * 32, offset[8];
    struct weight_fragments b;

    load_weights(&s, weight, bias, c, at);
    ptx::griddep_wait();
    load_input(&s, p, at);
    __syncthreads();
    load_weight_fragments<T>(s, channel, &b);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int k = i / 2 * 8 + 2 * t + i % 2;

        offset[i] = k < 27 ? (k / 9 * 3 + k % 3) * PITCH + k / 3 % 3 : 0;
    }
#pragma unroll 1
    for (int i = warp / 2; i < TILE_ROWS * TILE_COLUMNS / 16; i += CUDA_BLOCK / 64) {
        int row = at.top + i / 2, column = at.left + i % 2 * 16 + g;
        float d[4][4], v[2][8];

        if (row >= p.h)
            break;
#pragma unroll
        for (int k = 0; k < 16; k++)
            d[k / 4][k % 4] = s.bias[channel + channel_of<T>(k / 4, t, k % 2)];
        mma_pixels(&s.v[i / 2][0][i % 2 * 16], offset, b, d);
#pragma unroll
        for (int k = 0; k < 16; k++)
            v[k / 2 % 2][k / 4 * 2 + k % 2] = d[k / 4][k % 4];
#pragma unroll
        for (int k = 0; k < 2; k++)
            if (column + 8 * k < p.w)
                store_pixel(y + ((size_t)row * p.w + column + 8 * k) * c + at.channel +
                                channel + channel_of<T>(0, t, 0),
                            v[k], out_relu);
    }
}

template <class T>
void cuda_first_conv(struct nst_backend *be, const struct nst_conv *k,
                     const struct nst_buffer *rgb, struct nst_tensor *y, bool out_relu)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = y->shape;
    struct input_image p = {buffer_data<float>(rgb), s.h, s.w, *k->picture, k->padding};
    bool use_mma = cu->tensor_cores && s.c % TILE_CHANNELS == 0;
    int blocks = (s.h + TILE_ROWS - 1) / TILE_ROWS *
                 ((s.w + TILE_COLUMNS - 1) / TILE_COLUMNS) *
                 ((s.c + TILE_CHANNELS - 1) / TILE_CHANNELS);

    cuda_main_wait_side(cu);
    cuda_launch_pdl(cu, use_mma ? first_conv_mma_kernel<T> : first_conv_kernel<T>,
                    dim3((unsigned)blocks), CUDA_BLOCK, 0, p,
                    static_cast<const float *>(k->w_fwd), k->bias, s.c, out_relu,
                    tensor_data<T>(y));
    cuda_record_ready(cu, y);
}

#define INSTANTIATE(T)                                                                 \
    template void cuda_first_conv<T>(struct nst_backend *, const struct nst_conv *,    \
                                     const struct nst_buffer *, struct nst_tensor *,   \
                                     bool);
INSTANTIATE(float)
INSTANTIATE(__half)
