/* SPDX-License-Identifier: MIT */
/*
 * losses.cu - the last steps of the losses, after the sums over pixels, and the losses
 * on the image alone. Each block computes a part of a sum, and one block adds up the
 * parts in a fixed order.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#define MAX_PARTS 512

/* Sum v over a block; thread 0 gets the result. */
static __device__ double block_sum(double v)
{
    __shared__ double partial[CUDA_BLOCK];

    partial[threadIdx.x] = v;
    for (unsigned half = CUDA_BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    return partial[0];
}

static __global__ void reduce_parts_kernel(const double *parts, int count, double *sum)
{
    double v = 0;

    for (int i = (int)threadIdx.x; i < count; i += CUDA_BLOCK)
        v += parts[i];
    v = block_sum(v);
    if (threadIdx.x == 0)
        *sum = v;
}

/* Run kernel over n items, a part per block, and set sum to the sum of the parts. */
template <class... P, class... A>
static void reduce(struct cuda *cu, struct nst_scalar sum, size_t n,
                   void (*kernel)(P...), A... args)
{
    struct cuda_arena arena = cuda_arena(cu);
    double *parts = cuda_arena_alloc<double>(&arena, MAX_PARTS);
    size_t blocks = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;

    if (blocks > MAX_PARTS)
        blocks = MAX_PARTS;
    cuda_launch(cu, kernel, dim3((unsigned)blocks), CUDA_BLOCK, 0, args..., n, parts);
    cuda_launch(cu, reduce_parts_kernel, dim3(1), CUDA_BLOCK, 0, parts, (int)blocks,
                scalar_data(sum));
}

static __global__ void gram_loss_kernel(const double *products, double scale,
                                        const double *target, double factor,
                                        float *derivative, size_t n, double *parts)
{
    double sum = 0;

    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        double d = scale * products[i] - target[i];

        sum += d * d;
        derivative[i] = (float)(factor * d);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_gram_loss(struct nst_backend *be, int channels,
                    const struct nst_buffer *products, double scale,
                    const struct nst_buffer *target, double factor,
                    struct nst_buffer *derivative, struct nst_scalar sum)
{
    struct cuda *cu = cuda_of(be);

    cuda_side_begin(cu, NULL);
    reduce(cu, sum, (size_t)channels * (size_t)channels, gram_loss_kernel,
           buffer_data<double>(products), scale, buffer_data<double>(target), factor,
           buffer_data<float>(derivative));
    cuda_side_end(cu);
}

/* See nst_host_moment_loss(). */
static __global__ void moment_loss_kernel(const double *products, const double *sums,
                                          double pixels, const double *target,
                                          double factor, float *derivative,
                                          float *offset, size_t channels, double *parts)
{
    double sum = 0;

    for (size_t c = cuda_grid_index(); c < channels; c += cuda_grid_stride()) {
        double mean = sums[c] / pixels;
        double variance = products[c * channels + c] / pixels - mean * mean;
        double deviation = sqrt((variance > 0 ? variance : 0) + NST_VARIANCE_EPSILON);
        double mean_error = mean - target[c];
        double slope = (deviation - target[channels + c]) / deviation;

        sum += mean_error * mean_error + slope * deviation * slope * deviation;
        offset[c] = (float)(factor * (mean_error - slope * mean));
        derivative[c * channels + c] += (float)(factor * slope);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_moment_loss(struct nst_backend *be, int channels,
                      const struct nst_layer_moments *m, double factor,
                      struct nst_buffer *derivative, struct nst_buffer *offset,
                      struct nst_scalar sum)
{
    struct cuda *cu = cuda_of(be);

    cuda_side_begin(cu, NULL);
    reduce(cu, sum, (size_t)channels, moment_loss_kernel,
           buffer_data<double>(m->products), buffer_data<double>(m->sums), m->pixels,
           buffer_data<double>(m->target), factor, buffer_data<float>(derivative),
           buffer_data<float>(offset));
    cuda_side_end(cu);
}

static __global__ void tv_loss_kernel(const float *rgb, struct nst_image_size size,
                                      float scale, float *grad, size_t n, double *parts)
{
    double sum = 0;

    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        int column = (int)(i % size.width), row = (int)(i / size.width % size.height);
        float x = rgb[i];
        float right = column < size.width - 1 ? rgb[i + 1] - x : 0;
        float down = row < size.height - 1 ? rgb[i + size.width] - x : 0;
        float left = column > 0 ? x - rgb[i - 1] : 0;
        float up = row > 0 ? x - rgb[i - size.width] : 0;

        sum += (double)right * right + (double)down * down;
        if (grad)
            grad[i] += scale * (left - right + up - down);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_tv_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                  struct nst_image_size size, float scale, struct nst_buffer *grad,
                  struct nst_scalar sum)
{
    reduce(cuda_of(be), sum, 3 * (size_t)size.height * (size_t)size.width,
           tv_loss_kernel, buffer_data<float>(rgb), size, scale,
           buffer_data<float>(grad));
}

static __global__ void temporal_loss_kernel(const float *rgb, size_t area,
                                            const float *previous,
                                            const float *static_mask, float scale,
                                            float *grad, size_t n, double *parts)
{
    double sum = 0;

    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        float weighted = static_mask[i % area] * (rgb[i] - previous[i]);

        sum += (double)weighted * (rgb[i] - previous[i]);
        if (grad)
            grad[i] += scale * weighted;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_temporal_loss(struct nst_backend *be, const struct nst_buffer *rgb,
                        struct nst_image_size size, const struct nst_buffer *previous,
                        const struct nst_buffer *static_mask, float scale,
                        struct nst_buffer *grad, struct nst_scalar sum)
{
    size_t area = (size_t)size.height * (size_t)size.width;

    reduce(cuda_of(be), sum, 3 * area, temporal_loss_kernel, buffer_data<float>(rgb),
           area, buffer_data<float>(previous), buffer_data<float>(static_mask), scale,
           buffer_data<float>(grad));
}
