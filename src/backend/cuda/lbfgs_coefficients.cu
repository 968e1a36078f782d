/* SPDX-License-Identifier: MIT */
/*
 * lbfgs_coefficients.cu - the coefficient of each vector in the direction of L-BFGS,
 * from the dot products of the pairs.
 */
#include "config.h"

#include "backend/cuda/lbfgs.cuh"

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

#define MIN_CURVATURE 1e-10 /* s.y below this fraction of y.y is noise */

enum { BLOCK = 512, WARPS = BLOCK / 32 };

/* State of lane l, for its PER_LANE pairs l, l + 32 ... */
template <int PER_LANE> struct recursion {
    double rho[PER_LANE];   /* 1 / s.y; 0: the pair is skipped */
    double ratio[PER_LANE]; /* s.y / y.y */
    double alpha[PER_LANE];
    double yq[PER_LANE]; /* y . q */
};

template <int PER_LANE>
static __device__ __forceinline__ void init_recursion(const struct coefficients_args &a,
                                                      struct dot_layout layout,
                                                      const double *v,
                                                      struct recursion<PER_LANE> &r)
{
#pragma unroll
    for (int k = 0; k < PER_LANE; k++) {
        int i = (int)threadIdx.x + 32 * k;
        double sy = i < layout.count ? v[layout.sy(i, i)] : 0;
        bool usable = i < layout.count && sy > MIN_CURVATURE * a.yy[i];

        r.rho[k] = usable ? 1 / sy : 0;
        r.ratio[k] = usable ? sy / v[layout.yy(i, i)] : 0;
        r.alpha[k] = i < layout.count ? v[layout.sg(i)] * r.rho[k] : 0;
        r.yq[k] = i < layout.count ? v[layout.yg(i)] : 0;
    }
}

/* First loop, latest pair first: q = g - sum alpha_i y_i, where alpha_i is (s_i . q)
 * / (s_i . y_i) at step i. Lanes without a pair repeat the last one, to avoid
 * branches. */
template <int PER_LANE>
static __device__ __forceinline__ void first_loop(struct dot_layout layout,
                                                  const double *v,
                                                  struct recursion<PER_LANE> &r)
{
#pragma unroll
    for (int group = 0; group < PER_LANE; group++)
#pragma unroll(PER_LANE > 1 ? 1 : 4)
        for (int i = 32 * group; i < min(layout.count, 32 * group + 32); i++) {
            double alpha = __shfl_sync(0xffffffff, r.alpha[group], i % 32);

#pragma unroll
            for (int k = 0; k < PER_LANE; k++) {
                int j = min((int)threadIdx.x + 32 * k, layout.count - 1);
                double sy = v[layout.sy(j, i)] * r.rho[k];

                r.alpha[k] -= alpha * (j > i ? sy : 0);
                r.yq[k] -= alpha * v[j > i ? layout.yy(j, i) : layout.yy(i, j)];
            }
        }
}

/* Second loop, oldest pair first: d = gamma q + sum c_i s_i, where c_i is alpha_i -
 * (y_i . d) / (s_i . y_i) at step i. alpha becomes c. */
template <int PER_LANE>
static __device__ __forceinline__ void second_loop(struct dot_layout layout,
                                                   const double *v, double gamma,
                                                   struct recursion<PER_LANE> &r)
{
#pragma unroll
    for (int k = 0; k < PER_LANE; k++)
        r.alpha[k] -= gamma * r.yq[k] * r.rho[k];
#pragma unroll
    for (int group = PER_LANE - 1; group >= 0; group--)
#pragma unroll(PER_LANE > 1 ? 1 : 4)
        for (int i = min(layout.count, 32 * group + 32) - 1; i >= 32 * group; i--) {
            double c = __shfl_sync(0xffffffff, r.alpha[group], i % 32);

#pragma unroll
            for (int k = 0; k <= group; k++) {
                int j = min((int)threadIdx.x + 32 * k, layout.count - 1);
                double sy = v[layout.sy(i, j)] * r.rho[k];

                r.alpha[k] -= c * (j < i ? sy : 0);
            }
        }
}

/* s.y / y.y of the latest pair that is not skipped; 1 if there is none. */
template <int PER_LANE>
static __device__ __forceinline__ double gamma_of(const struct recursion<PER_LANE> &r)
{
    double gamma = 0;

#pragma unroll
    for (int k = 0; k < PER_LANE; k++) {
        unsigned usable = __ballot_sync(0xffffffff, r.rho[k] != 0);
        double first =
            __shfl_sync(0xffffffff, r.ratio[k], usable ? __ffs((int)usable) - 1 : 0);

        gamma = gamma == 0 && usable ? first : gamma;
    }
    return gamma > 0 ? gamma : 1;
}

/* Run by one warp; v has all dot products. The direction is -d. */
template <int PER_LANE>
static __device__ void two_loop_recursion(const struct coefficients_args &a,
                                          const double *v)
{
    struct recursion<PER_LANE> r;
    struct dot_layout layout = {a.count};
    double gamma;

    init_recursion(a, layout, v, r);
    gamma = gamma_of(r);
    first_loop(layout, v, r);
#pragma unroll
    for (int k = 0; k < PER_LANE; k++)
        if ((int)threadIdx.x + 32 * k < layout.count)
            a.coefficients[1 + layout.count + threadIdx.x + 32 * k] =
                (float)(gamma * r.alpha[k]);
    second_loop(layout, v, gamma, r);
#pragma unroll
    for (int k = 0; k < PER_LANE; k++)
        if ((int)threadIdx.x + 32 * k < layout.count)
            a.coefficients[1 + threadIdx.x + 32 * k] = (float)-r.alpha[k];
    if (threadIdx.x == 0)
        a.coefficients[0] = (float)-gamma;
}

/* Coefficient of g without pairs. */
static __device__ float steepest_descent_coefficient(const struct coefficients_args &a,
                                                     double gg)
{
    double length = sqrt(gg / (double)a.n);

    if (!(a.initial_rms > 0))
        return -1;
    return length > 0 ? (float)(-a.initial_rms / length) : 0;
}

/* Sum the parts of 32 dot products; each warp adds some of the slices. */
static __device__ __forceinline__ void reduce_slices(const struct coefficients_args &a,
                                                     int size)
{
    __shared__ double sums[WARPS][32];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int index = (int)blockIdx.x * 32 + lane;
    double sum = 0;

    if (index < size)
#pragma unroll 16
        for (int i = warp; i < a.slices; i += WARPS)
            sum += a.parts[(size_t)i * size + index];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || index >= size)
        return;
#pragma unroll
    for (int i = 1; i < WARPS; i++)
        sum += sums[i][lane];
    a.dots[index] = sum;
}

/* The last block computes the coefficients. Meanwhile direction_kernel() may read the
 * vectors: they are final, since dots_kernel(), which reads them, is done. */
static __global__ void __launch_bounds__(BLOCK)
    coefficients_kernel(struct coefficients_args a)
{
    double *shared_dots = reinterpret_cast<double *>(nst_dynamic_shared);
    const volatile double *dots = a.dots;
    struct dot_layout layout = {a.count};

    ptx::griddep_wait_and_launch();
    reduce_slices(a, layout.size());
    if (!is_last_block(a.done))
        return;
    for (int i = (int)threadIdx.x; i < layout.size() && a.in_shared; i += BLOCK)
        shared_dots[i] = dots[i];
    __syncthreads();
    if (threadIdx.x >= 32)
        return;
    if (a.count == 0) {
        if (threadIdx.x == 0)
            a.coefficients[0] = steepest_descent_coefficient(a, dots[layout.gg()]);
    } else if (a.count <= 32)
        two_loop_recursion<1>(a, a.in_shared ? shared_dots : a.dots);
    else
        two_loop_recursion<(MAX_PAIRS + 31) / 32>(a,
                                                  a.in_shared ? shared_dots : a.dots);
}

/* Static shared memory of a block, rounded up. */
#define STATIC_SHARED 8192

void cuda_lbfgs_coefficients(struct cuda *cu, struct coefficients_args *a)
{
    struct dot_layout layout = {a->count};
    size_t bytes = layout.size() * sizeof(double);

    a->in_shared = bytes + STATIC_SHARED <= cu->max_shared;
    cuda_launch_pdl(cu, coefficients_kernel,
                    dim3((unsigned)((layout.size() + 31) / 32)), BLOCK,
                    a->in_shared ? bytes : 0, *a);
}

void cuda_lbfgs_coefficients_init(struct cuda *cu)
{
    cuda_ok(cu, cudaFuncSetAttribute(coefficients_kernel,
                                     cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     (int)(cu->max_shared - STATIC_SHARED)));
}
