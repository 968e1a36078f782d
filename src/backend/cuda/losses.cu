/* SPDX-License-Identifier: MIT */
/*
 * losses.cu - the losses' last steps, when the sums over pixels are made, and what
 * looks at pixels alone. Each block makes its part of a sum, and one thread adds up the
 * parts in order.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#define MOST_PARTS 512

/* Add up a value of each thread of a block; thread 0 gets the sum. */
static __device__ double sum_of_block(double v)
{
    __shared__ double of[CUDA_BLOCK];

    of[threadIdx.x] = v;
    for (unsigned half = CUDA_BLOCK / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            of[threadIdx.x] += of[threadIdx.x + half];
    }
    return of[0];
}

static __global__ void parts_kernel(const double *parts, int count, double *sum)
{
    double v = 0;

    for (int i = (int)threadIdx.x; i < count; i += CUDA_BLOCK)
        v += parts[i];
    v = sum_of_block(v);
    if (threadIdx.x == 0)
        *sum = v;
}

/* As many blocks as n items want, each of which gives a part; then their sum. */
template <class... P, class... A>
static void add_up(struct cuda *cu, double *sum, size_t n, void (*kernel)(P...),
                   A... args)
{
    struct cuda_room room = cuda_room(cu);
    double *parts = cuda_take<double>(&room, MOST_PARTS);
    size_t blocks = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;

    if (blocks > MOST_PARTS)
        blocks = MOST_PARTS;
    cuda_launch(cu, kernel, dim3((unsigned)blocks), CUDA_BLOCK, 0, args..., n, parts);
    cuda_launch(cu, parts_kernel, dim3(1), CUDA_BLOCK, 0, parts, (int)blocks, sum);
}

static __global__ void gram_loss_kernel(const double *products, double scale,
                                        const double *target, double factor,
                                        float *derivative, size_t n, double *parts)
{
    double sum = 0;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        double d = scale * products[i] - target[i];

        sum += d * d;
        derivative[i] = (float)(factor * d);
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_gram_loss(struct nst_backend *be, int channels, const double *products,
                    double scale, const double *target, double factor,
                    float *derivative, double *sum)
{
    struct cuda *cu = cuda_of(be);

    cuda_go_aside(cu, NULL);
    add_up(cu, sum, (size_t)channels * (size_t)channels, gram_loss_kernel, products,
           scale, target, factor, derivative);
    cuda_come_back(cu);
}

/* As nst_host_moment_loss(). */
static __global__ void moment_kernel(struct nst_layer_moments m, double factor,
                                     float *derivative, float *offset, size_t channels,
                                     double *parts)
{
    double sum = 0;

    for (size_t c = cuda_first(); c < channels; c += cuda_step()) {
        double mean = m.sums[c] / m.pixels;
        double variance = m.products[c * channels + c] / m.pixels - mean * mean;
        double deviation = sqrt((variance > 0 ? variance : 0) + NST_LEAST_VARIANCE);
        double by_mean = mean - m.mean[c];
        double slope = (deviation - m.deviation[c]) / deviation;

        sum += by_mean * by_mean + slope * deviation * slope * deviation;
        offset[c] = (float)(factor * (by_mean - slope * mean));
        derivative[c * channels + c] += (float)(factor * slope);
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_moment_loss(struct nst_backend *be, int channels,
                      const struct nst_layer_moments *m, double factor,
                      float *derivative, float *offset, double *sum)
{
    struct cuda *cu = cuda_of(be);

    cuda_go_aside(cu, NULL);
    add_up(cu, sum, (size_t)channels, moment_kernel, *m, factor, derivative, offset);
    cuda_come_back(cu);
}

static __global__ void variation_kernel(const float *rgb, struct nst_planes of,
                                        float scale, float *grad, size_t n,
                                        double *parts)
{
    double sum = 0;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        int column = (int)(i % of.width), row = (int)(i / of.width % of.height);
        float x = rgb[i];
        float right = column < of.width - 1 ? rgb[i + 1] - x : 0;
        float down = row < of.height - 1 ? rgb[i + of.width] - x : 0;
        float left = column > 0 ? x - rgb[i - 1] : 0;
        float up = row > 0 ? x - rgb[i - of.width] : 0;

        sum += (double)right * right + (double)down * down;
        if (grad)
            grad[i] += scale * (left - right + up - down);
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_variation(struct nst_backend *be, const float *rgb, struct nst_planes of,
                    float scale, float *grad, double *sum)
{
    add_up(cuda_of(be), sum, 3 * (size_t)of.height * (size_t)of.width, variation_kernel,
           rgb, of, scale, grad);
}

static __global__ void pull_kernel(const float *rgb, size_t area, const float *before,
                                   const float *still, float scale, float *grad,
                                   size_t n, double *parts)
{
    double sum = 0;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        float pull = still[i % area] * (rgb[i] - before[i]);

        sum += (double)pull * (rgb[i] - before[i]);
        if (grad)
            grad[i] += scale * pull;
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void cuda_pull(struct nst_backend *be, const float *rgb, struct nst_planes of,
               const float *before, const float *still, float scale, float *grad,
               double *sum)
{
    size_t area = (size_t)of.height * (size_t)of.width;

    add_up(cuda_of(be), sum, 3 * area, pull_kernel, rgb, area, before, still, scale,
           grad);
}
