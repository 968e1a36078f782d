/* SPDX-License-Identifier: MIT */
/*
 * vectors.cuh - kernels over the optimiser's vectors, four floats at a time, and their
 * reductions, which write to pinned host memory. n alone decides the order of sums.
 */
#ifndef NST_BACKEND_CUDA_VECTORS_CUH
#define NST_BACKEND_CUDA_VECTORS_CUH

#include "backend/cuda/operators.cuh"

#include <math.h>

/* Four floats from i on; padding from n on. */
static __device__ __forceinline__ float4 load4(const float *p, size_t i, size_t n,
                                               float padding = 0)
{
    if (i + 4 <= n)
        return *reinterpret_cast<const float4 *>(p + i);
    return make_float4(i < n ? p[i] : padding, i + 1 < n ? p[i + 1] : padding,
                       i + 2 < n ? p[i + 2] : padding, padding);
}

static __device__ __forceinline__ void store4(float *p, size_t i, size_t n, float4 v)
{
    if (i + 4 <= n) {
        *reinterpret_cast<float4 *>(p + i) = v;
        return;
    }
    if (i < n)
        p[i] = v.x;
    if (i + 1 < n)
        p[i + 1] = v.y;
    if (i + 2 < n)
        p[i + 2] = v.z;
}

static __device__ __forceinline__ float clamp_to_box(float v, struct nst_box box)
{
    v = v > box.lower ? v : box.lower;
    return v < box.upper ? v : box.upper;
}

/* ---- reductions: a maximum and two sums ---- */

#define REDUCE_BLOCK 128
#define REDUCE_MAX_BLOCKS 1056 /* eight blocks on each SM of an H100 */

/* Destination of a reduction. parts: 3 values per block; *done: 0 before and after. */
struct reducer {
    double *parts;
    unsigned *done;
    double *result; /* 3 values in pinned host memory */
};

struct reduction {
    double max, a, b;
};

static __device__ __forceinline__ void combine(struct reduction *t, double max,
                                               double a, double b)
{
    t->max = isnan(t->max) || max <= t->max ? t->max : max;
    t->a += a;
    t->b += b;
}

/* Reduce over the block; thread 0 gets the result. */
static __device__ struct reduction block_reduce(struct reduction t)
{
    __shared__ struct reduction partial[REDUCE_BLOCK / 32];

    for (unsigned by = 16; by > 0; by /= 2) {
        double max = __shfl_down_sync(0xffffffff, t.max, by);
        double a = __shfl_down_sync(0xffffffff, t.a, by);
        double b = __shfl_down_sync(0xffffffff, t.b, by);

        combine(&t, max, a, b);
    }
    if (threadIdx.x % 32 == 0)
        partial[threadIdx.x / 32] = t;
    __syncthreads();
    for (int i = 1; i < REDUCE_BLOCK / 32 && threadIdx.x == 0; i++)
        combine(&t, partial[i].max, partial[i].a, partial[i].b);
    __syncthreads();
    return t;
}

/* True in all threads of the last block to arrive. It then sees what the others wrote,
 * by volatile reads. */
static __device__ bool is_last_block(unsigned *done)
{
    __shared__ bool last;

    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(done, 1u) == gridDim.x - 1;
        if (last)
            *done = 0;
    }
    __syncthreads();
    return last;
}

/* Reduce over the grid; the last block combines the parts. */
static __device__ inline void reduce_grid(struct reducer to, struct reduction t)
{
    volatile double *parts = to.parts;

    t = block_reduce(t);
    if (threadIdx.x == 0) {
        parts[3 * blockIdx.x] = t.max;
        parts[3 * blockIdx.x + 1] = t.a;
        parts[3 * blockIdx.x + 2] = t.b;
    }
    if (!is_last_block(to.done))
        return;
    t = {-INFINITY, 0, 0};
    for (unsigned i = threadIdx.x; i < gridDim.x; i += REDUCE_BLOCK)
        combine(&t, parts[3 * i], parts[3 * i + 1], parts[3 * i + 2]);
    t = block_reduce(t);
    if (threadIdx.x == 0) {
        to.result[0] = t.max;
        to.result[1] = t.a;
        to.result[2] = t.b;
    }
}

/* Each kernel that reduces has its own result slot. */
enum { RESULT_DIRECTION, RESULT_MEASURE, RESULT_ACCEPT, RESULT_SUM, RESULT_COUNT };

/* A reducer into slot what; its result after all earlier work, zeros after an error. */
static inline struct reducer cuda_reducer(struct cuda *cu, int what)
{
    return {cu->partials,
            reinterpret_cast<unsigned *>(cu->partials + 3 * REDUCE_MAX_BLOCKS),
            cu->results + 3 * what};
}

static inline struct reduction cuda_reduction_result(struct cuda *cu, int what)
{
    const double *t = cu->results + 3 * what;

    if (cuda_synchronize(cu, NULL) != NST_OK)
        return {0, 0, 0};
    return {t[0], t[1], t[2]};
}

/* Launch a kernel with a reduction, in at most max_blocks blocks; each thread takes
 * four elements at a time. */
template <class... P, class... A>
static void cuda_launch_reduction(struct cuda *cu, void (*kernel)(P...), size_t n,
                                  size_t max_blocks, A... args)
{
    size_t blocks = (n + 4 * REDUCE_BLOCK - 1) / (4 * REDUCE_BLOCK);

    cuda_launch_pdl(cu, kernel,
                    dim3((unsigned)(blocks < max_blocks ? blocks : max_blocks)),
                    REDUCE_BLOCK, 0, args...);
}

static __device__ __forceinline__ double dot4(float4 a, float4 b)
{
    return ((double)a.x * b.x + (double)a.y * b.y) +
           ((double)a.z * b.z + (double)a.w * b.w);
}

/* lbfgs_direction.cu */
void cuda_direction_init(struct cuda *cu);
size_t cuda_direction_bytes(size_t n, int pairs);
struct nst_direction cuda_direction(struct nst_backend *be, size_t n,
                                    const struct nst_direction_args *c);

#endif
