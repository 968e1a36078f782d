/* SPDX-License-Identifier: MIT */
/*
 * vectors.cu - what the optimiser does with its vectors on the device, but for the
 * direction.
 */
#include "config.h"

#include "backend/cuda/vectors.cuh"

enum nst_status cuda_vectors_furnish(struct cuda *cu, struct nst_err *err)
{
    size_t bytes = (3 * TOLD_MOST + 1) * sizeof(double);
    void *parts = NULL, *told = NULL;
    enum nst_status st = cuda_alloc(cu, &parts, bytes, err);

    cu->told_parts = static_cast<double *>(parts);
    if (st != NST_OK)
        return st;
    cuda_ok(cu, cudaMemsetAsync(parts, 0, bytes, cu->line.stream));
    if (cudaMallocHost(&told, 3 * OF_ALL * sizeof(double)) != cudaSuccess) {
        cudaGetLastError();
        return nst_err_set(err, NST_ERR_MEM, "cuda:%d: out of pinned memory",
                           cu->device);
    }
    cu->told = static_cast<double *>(told);
    cuda_direction_furnish(cu);
    return NST_OK;
}

void cuda_vectors_close(struct cuda *cu)
{
    cudaFree(cu->told_parts);
    cudaFreeHost(cu->told);
}

struct teller cuda_teller(struct cuda *cu, int what)
{
    return {cu->told_parts,
            reinterpret_cast<unsigned *>(cu->told_parts + 3 * TOLD_MOST),
            cu->told + 3 * what};
}

struct told cuda_told(struct cuda *cu, int what)
{
    const double *t = cu->told + 3 * what;

    if (cuda_finish(cu, NULL) != NST_OK)
        return {0, 0, 0};
    return {t[0], t[1], t[2]};
}

/* NaN if one is */
static __device__ __forceinline__ float larger(float a, float b)
{
    return isnan(a) || b <= a ? a : b;
}

static __device__ __forceinline__ float most_of(float4 v)
{
    return larger(larger(fabsf(v.x), fabsf(v.y)), larger(fabsf(v.z), fabsf(v.w)));
}

static __global__ void measure_kernel(size_t n, const float *g, const float *d,
                                      struct teller to)
{
    struct told t = {0, 0, 0};

    ptx::begin();
    for (size_t i = 4 * cuda_first(); i < n; i += 4 * cuda_step()) {
        float4 v = load4(g, i, n);

        join(&t, (double)most_of(v), product(v, v), d ? product(v, load4(d, i, n)) : 0);
    }
    tell(to, t);
}

static struct nst_measures measure(struct nst_backend *be, size_t n, const float *g,
                                   const float *d)
{
    struct cuda *cu = cuda_of(be);
    struct told t;

    cuda_pass(cu, measure_kernel, n, TOLD_MOST, n, g, d, cuda_teller(cu, OF_MEASURE));
    t = cuda_told(cu, OF_MEASURE);
    return {t.most, t.a, t.b};
}

static __global__ void sum_abs_kernel(size_t n, const float *x, struct teller to)
{
    struct told t = {0, 0, 0};

    ptx::begin();
    for (size_t i = 4 * cuda_first(); i < n; i += 4 * cuda_step()) {
        float4 v = load4(x, i, n);

        join(&t, 0,
             ((double)fabsf(v.x) + (double)fabsf(v.y)) +
                 ((double)fabsf(v.z) + (double)fabsf(v.w)),
             0);
    }
    tell(to, t);
}

static double sum_abs(struct nst_backend *be, size_t n, const float *x)
{
    struct cuda *cu = cuda_of(be);

    cuda_pass(cu, sum_abs_kernel, n, TOLD_MOST, n, x, cuda_teller(cu, OF_SUM));
    return cuda_told(cu, OF_SUM).a;
}

static __device__ __forceinline__ float4 minus(float4 a, float4 b)
{
    return make_float4(a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w);
}

static __global__ void accept_kernel(size_t n, float *x, float *s, float *y,
                                     const float *g_new, const float *g,
                                     struct teller to)
{
    struct told t = {0, 0, 0};

    ptx::begin();
    for (size_t i = 4 * cuda_first(); i < n; i += 4 * cuda_step()) {
        float4 point = load4(s, i, n), step = minus(point, load4(x, i, n));
        float4 change = minus(load4(g_new, i, n), load4(g, i, n));

        store4(x, i, n, point);
        store4(s, i, n, step);
        store4(y, i, n, change);
        join(&t, 0, product(step, change), product(change, change));
    }
    tell(to, t);
}

static void accept(struct nst_backend *be, size_t n, float *x, float *s, float *y,
                   const float *g_new, const float *g)
{
    struct cuda *cu = cuda_of(be);

    cuda_pass(cu, accept_kernel, n, TOLD_MOST, n, x, s, y, g_new, g,
              cuda_teller(cu, OF_ACCEPT));
}

static void products(struct nst_backend *be, double *sy, double *yy)
{
    struct told t = cuda_told(cuda_of(be), OF_ACCEPT);

    *sy = t.a;
    *yy = t.b;
}

/* ---- elements by themselves ---- */

/* As cuda_launch_over(), of a kernel that begins with ptx::begin(). */
template <class... P, class... A>
static void launch_over(struct cuda *cu, void (*kernel)(P...), size_t n, A... args)
{
    size_t blocks = (n + CUDA_BLOCK - 1) / CUDA_BLOCK;

    if (n > 0)
        cuda_launch_early(cu, kernel, dim3((unsigned)(blocks < 65536 ? blocks : 65536)),
                          CUDA_BLOCK, 0, args...);
}

static __global__ void move_kernel(size_t n, float *to, const float *x, float t,
                                   const float *d, struct nst_box box)
{
    ptx::begin();
    for (size_t i = cuda_first(); i < n; i += cuda_step())
        to[i] = into(x[i] + t * d[i], box);
}

static void move(struct nst_backend *be, size_t n, float *to, const float *x, double t,
                 const float *d, struct nst_box box)
{
    launch_over(cuda_of(be), move_kernel, n, n, to, x, (float)t, d, box);
}

static __global__ void add_kernel(size_t n, float *y, float alpha, const float *x)
{
    ptx::begin();
    for (size_t i = cuda_first(); i < n; i += cuda_step())
        y[i] += alpha * x[i];
}

static void add(struct nst_backend *be, size_t n, float *y, double alpha,
                const float *x)
{
    launch_over(cuda_of(be), add_kernel, n, n, y, (float)alpha, x);
}

static __global__ void scale_kernel(size_t n, float *x, float alpha)
{
    ptx::begin();
    for (size_t i = cuda_first(); i < n; i += cuda_step())
        x[i] *= alpha;
}

static void scale(struct nst_backend *be, size_t n, float *x, double alpha)
{
    launch_over(cuda_of(be), scale_kernel, n, n, x, (float)alpha);
}

static __global__ void clamp_kernel(size_t n, float *x, struct nst_box box)
{
    ptx::begin();
    for (size_t i = cuda_first(); i < n; i += cuda_step())
        x[i] = x[i] < box.lower ? box.lower : x[i] > box.upper ? box.upper : x[i];
}

static void clamp(struct nst_backend *be, size_t n, float *x, struct nst_box box)
{
    launch_over(cuda_of(be), clamp_kernel, n, n, x, box);
}

static void clear(struct nst_backend *be, size_t n, float *x)
{
    struct cuda *cu = cuda_of(be);

    cuda_ok(cu, cudaMemsetAsync(x, 0, n * sizeof *x, cu->line.stream));
}

static void copy(struct nst_backend *be, size_t n, float *to, const float *from)
{
    cuda_send(cuda_of(be), to, from, n * sizeof *to);
}

static __global__ void blend_kernel(size_t n, float *to, const float *x,
                                    const float *content, const float *keep)
{
    ptx::begin();
    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        float free_part = 1 - keep[i % (n / 3)];

        to[i] = x ? content[i] + free_part * (x[i] - content[i]) : to[i] * free_part;
    }
}

static void blend(struct nst_backend *be, size_t n, float *to, const float *x,
                  const float *content, const float *keep)
{
    launch_over(cuda_of(be), blend_kernel, n, n, to, x, content, keep);
}

static __global__ void adam_kernel(size_t n, struct nst_moments m, const float *g,
                                   struct nst_box box, float *x)
{
    ptx::begin();
    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        float a = m.of_first.old * m.first[i] + m.of_first.fresh * g[i];
        float b = m.of_second.old * m.second[i] + m.of_second.fresh * g[i] * g[i];
        float to = into(x[i] - m.rate * a / (sqrtf(b) * m.scale + m.epsilon), box);

        m.first[i] = a;
        m.second[i] = b;
        x[i] = to;
        m.sum[i] = m.of_sum.old * m.sum[i] + m.of_sum.fresh * to;
    }
}

static void adam(struct nst_backend *be, size_t n, const struct nst_moments *m,
                 const float *g, struct nst_box box, float *x)
{
    launch_over(cuda_of(be), adam_kernel, n, n, *m, g, box, x);
}

const struct nst_vector_ops cuda_vectors = {
    .work_bytes = cuda_direction_bytes,
    .direction = cuda_direction,
    .move = move,
    .measure = measure,
    .accept = accept,
    .products = products,
    .sum_abs = sum_abs,
    .clear = clear,
    .copy = copy,
    .add = add,
    .scale = scale,
    .clamp = clamp,
    .blend = blend,
    .adam = adam,
};
