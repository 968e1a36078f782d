/* SPDX-License-Identifier: MIT */
/*
 * vectors.cu - the optimiser's vector operations on the device, except for the
 * direction.
 */
#include "config.h"

#include "backend/cuda/vectors.cuh"

enum nst_status cuda_vectors_init(struct cuda *cu, struct nst_err *err)
{
    size_t bytes = (3 * REDUCE_MAX_BLOCKS + 1) * sizeof(double);
    void *partials = NULL, *results = NULL;
    enum nst_status st = cuda_alloc(cu, &partials, bytes, err);

    cu->partials = static_cast<double *>(partials);
    if (st != NST_OK)
        return st;
    cuda_ok(cu, cudaMemsetAsync(partials, 0, bytes, cu->current.stream));
    if (cudaMallocHost(&results, 3 * RESULT_COUNT * sizeof(double)) != cudaSuccess) {
        cudaGetLastError();
        return nst_err_set(err, NST_ERR_MEM, "cuda:%d: out of pinned memory",
                           cu->device);
    }
    cu->results = static_cast<double *>(results);
    cuda_direction_init(cu);
    return NST_OK;
}

void cuda_vectors_close(struct cuda *cu)
{
    cudaFree(cu->partials);
    cudaFreeHost(cu->results);
}

/* The larger one; NaN if either is. */
static __device__ __forceinline__ float max_or_nan(float a, float b)
{
    return isnan(a) || b <= a ? a : b;
}

static __device__ __forceinline__ float max_abs4(float4 v)
{
    return max_or_nan(max_or_nan(fabsf(v.x), fabsf(v.y)),
                      max_or_nan(fabsf(v.z), fabsf(v.w)));
}

static __global__ void measure_kernel(size_t n, const float *g, const float *d,
                                      struct reducer to)
{
    struct reduction t = {0, 0, 0};

    ptx::griddep_wait();
    for (size_t i = 4 * cuda_grid_index(); i < n; i += 4 * cuda_grid_stride()) {
        float4 v = load4(g, i, n);

        combine(&t, (double)max_abs4(v), dot4(v, v), d ? dot4(v, load4(d, i, n)) : 0);
    }
    reduce_grid(to, t);
}

static struct nst_measures measure(struct nst_backend *be, size_t n,
                                   const struct nst_buffer *g,
                                   const struct nst_buffer *d)
{
    struct cuda *cu = cuda_of(be);
    struct reduction t;

    cuda_launch_reduction(cu, measure_kernel, n, REDUCE_MAX_BLOCKS, n,
                          buffer_data<float>(g), buffer_data<float>(d),
                          cuda_reducer(cu, RESULT_MEASURE));
    t = cuda_reduction_result(cu, RESULT_MEASURE);
    return {t.max, t.a, t.b};
}

static __global__ void sum_abs_kernel(size_t n, const float *x, struct reducer to)
{
    struct reduction t = {0, 0, 0};

    ptx::griddep_wait();
    for (size_t i = 4 * cuda_grid_index(); i < n; i += 4 * cuda_grid_stride()) {
        float4 v = load4(x, i, n);

        combine(&t, 0,
                ((double)fabsf(v.x) + (double)fabsf(v.y)) +
                    ((double)fabsf(v.z) + (double)fabsf(v.w)),
                0);
    }
    reduce_grid(to, t);
}

static double sum_abs(struct nst_backend *be, size_t n, const struct nst_buffer *x)
{
    struct cuda *cu = cuda_of(be);

    cuda_launch_reduction(cu, sum_abs_kernel, n, REDUCE_MAX_BLOCKS, n,
                          buffer_data<float>(x), cuda_reducer(cu, RESULT_SUM));
    return cuda_reduction_result(cu, RESULT_SUM).a;
}

static __device__ __forceinline__ float4 sub4(float4 a, float4 b)
{
    return make_float4(a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w);
}

static __global__ void accept_kernel(size_t n, float *x, float *s, float *y,
                                     const float *g_new, const float *g,
                                     struct reducer to)
{
    struct reduction t = {0, 0, 0};

    ptx::griddep_wait();
    for (size_t i = 4 * cuda_grid_index(); i < n; i += 4 * cuda_grid_stride()) {
        float4 point = load4(s, i, n), step = sub4(point, load4(x, i, n));
        float4 change = sub4(load4(g_new, i, n), load4(g, i, n));

        store4(x, i, n, point);
        store4(s, i, n, step);
        store4(y, i, n, change);
        combine(&t, 0, dot4(step, change), dot4(change, change));
    }
    reduce_grid(to, t);
}

static void accept(struct nst_backend *be, size_t n, struct nst_buffer *x,
                   struct nst_buffer *s, struct nst_buffer *y,
                   const struct nst_buffer *g_new, const struct nst_buffer *g)
{
    struct cuda *cu = cuda_of(be);

    cuda_launch_reduction(cu, accept_kernel, n, REDUCE_MAX_BLOCKS, n,
                          buffer_data<float>(x), buffer_data<float>(s),
                          buffer_data<float>(y), buffer_data<float>(g_new),
                          buffer_data<float>(g), cuda_reducer(cu, RESULT_ACCEPT));
}

static void pair_dots(struct nst_backend *be, double *sy, double *yy)
{
    struct reduction t = cuda_reduction_result(cuda_of(be), RESULT_ACCEPT);

    *sy = t.a;
    *yy = t.b;
}

/* ---- element-wise operations ---- */

/* As cuda_launch_1d(), for kernels that start with ptx::griddep_wait(). */
template <class... P, class... A>
static void launch_1d(struct cuda *cu, void (*kernel)(P...), size_t n, A... args)
{
    size_t blocks = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;

    if (n > 0)
        cuda_launch_pdl(cu, kernel, dim3((unsigned)(blocks < 65536 ? blocks : 65536)),
                        CUDA_BLOCK, 0, args...);
}

static __global__ void projected_step_kernel(size_t n, float *to, const float *x,
                                             float t, const float *d,
                                             struct nst_box box)
{
    ptx::griddep_wait();
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride())
        to[i] = clamp_to_box(x[i] + t * d[i], box);
}

static void projected_step(struct nst_backend *be, size_t n, struct nst_buffer *to,
                           const struct nst_buffer *x, double t,
                           const struct nst_buffer *d, struct nst_box box)
{
    launch_1d(cuda_of(be), projected_step_kernel, n, n, buffer_data<float>(to),
              buffer_data<float>(x), (float)t, buffer_data<float>(d), box);
}

static __global__ void axpy_kernel(size_t n, float *y, float alpha, const float *x)
{
    ptx::griddep_wait();
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride())
        y[i] += alpha * x[i];
}

static void axpy(struct nst_backend *be, size_t n, struct nst_buffer *y, double alpha,
                 const struct nst_buffer *x)
{
    launch_1d(cuda_of(be), axpy_kernel, n, n, buffer_data<float>(y), (float)alpha,
              buffer_data<float>(x));
}

static __global__ void scale_kernel(size_t n, float *x, float alpha)
{
    ptx::griddep_wait();
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride())
        x[i] *= alpha;
}

static void scale(struct nst_backend *be, size_t n, struct nst_buffer *x, double alpha)
{
    launch_1d(cuda_of(be), scale_kernel, n, n, buffer_data<float>(x), (float)alpha);
}

static __global__ void clamp_kernel(size_t n, float *x, struct nst_box box)
{
    ptx::griddep_wait();
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride())
        x[i] = x[i] < box.lower ? box.lower : x[i] > box.upper ? box.upper : x[i];
}

static void clamp(struct nst_backend *be, size_t n, struct nst_buffer *x,
                  struct nst_box box)
{
    launch_1d(cuda_of(be), clamp_kernel, n, n, buffer_data<float>(x), box);
}

static void clear(struct nst_backend *be, size_t n, struct nst_buffer *x)
{
    struct cuda *cu = cuda_of(be);

    cuda_ok(cu, cudaMemsetAsync(x, 0, n * sizeof(float), cu->current.stream));
}

static void copy(struct nst_backend *be, size_t n, struct nst_buffer *to,
                 const struct nst_buffer *from)
{
    cuda_copy_async(cuda_of(be), to, from, n * sizeof(float));
}

static __global__ void blend_kernel(size_t n, float *to, const float *x,
                                    const float *content, const float *mask)
{
    ptx::griddep_wait();
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        float free_part = 1 - mask[i % (n / 3)];

        to[i] = x ? content[i] + free_part * (x[i] - content[i]) : to[i] * free_part;
    }
}

static void blend(struct nst_backend *be, size_t n, struct nst_buffer *to,
                  const struct nst_buffer *x, const struct nst_buffer *content,
                  const struct nst_buffer *mask)
{
    launch_1d(cuda_of(be), blend_kernel, n, n, buffer_data<float>(to),
              buffer_data<float>(x), buffer_data<float>(content),
              buffer_data<float>(mask));
}

static __global__ void adam_kernel(size_t n, struct nst_adam_args m, float *first,
                                   float *second, float *average, const float *g,
                                   struct nst_box box, float *x)
{
    ptx::griddep_wait();
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        float a = m.first_ema.beta * first[i] + m.first_ema.one_minus_beta * g[i];
        float b =
            m.second_ema.beta * second[i] + m.second_ema.one_minus_beta * g[i] * g[i];
        float to = clamp_to_box(
            x[i] - m.learning_rate * a / (sqrtf(b) * m.scale + m.epsilon), box);

        first[i] = a;
        second[i] = b;
        x[i] = to;
        average[i] =
            m.average_ema.beta * average[i] + m.average_ema.one_minus_beta * to;
    }
}

static void adam(struct nst_backend *be, size_t n, const struct nst_adam_args *m,
                 const struct nst_buffer *g, struct nst_box box, struct nst_buffer *x)
{
    launch_1d(cuda_of(be), adam_kernel, n, n, *m, buffer_data<float>(m->first_moment),
              buffer_data<float>(m->second_moment), buffer_data<float>(m->average),
              buffer_data<float>(g), box, buffer_data<float>(x));
}

const struct nst_vector_ops cuda_vectors = {
    .workspace_bytes = cuda_direction_bytes,
    .direction = cuda_direction,
    .projected_step = projected_step,
    .measure = measure,
    .accept = accept,
    .pair_dots = pair_dots,
    .sum_abs = sum_abs,
    .clear = clear,
    .copy = copy,
    .axpy = axpy,
    .scale = scale,
    .clamp = clamp,
    .blend = blend,
    .adam = adam,
};
