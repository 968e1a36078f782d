/* SPDX-License-Identifier: MIT */
/*
 * shares.cu - from the products of L-BFGS's pairs to each vector's share in the
 * direction.
 */
#include "config.h"

#include "backend/cuda/direction.cuh"

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

#define LEAST_CURVATURE 1e-10 /* below this share of y.y it is noise */

enum { BLOCK = 512, WARPS = BLOCK / 32 };

/* What lane l knows of the EACH pairs l, l + 32 ... */
template <int EACH> struct recursion {
    double inverse[EACH]; /* 1 / s.y; 0 of a pair that is not used */
    double ratio[EACH];   /* s.y / y.y */
    double alpha[EACH];
    double turned[EACH]; /* y . q */
};

template <int EACH>
static __device__ __forceinline__ void begin(const struct solving &a, struct places at,
                                             const double *v, struct recursion<EACH> &r)
{
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int i = (int)threadIdx.x + 32 * k;
        double own = i < at.count ? v[at.sy(i, i)] : 0;
        bool usable = i < at.count && own > LEAST_CURVATURE * a.yy[i];

        r.inverse[k] = usable ? 1 / own : 0;
        r.ratio[k] = usable ? own / v[at.yy(i, i)] : 0;
        r.alpha[k] = i < at.count ? v[at.sg(i)] * r.inverse[k] : 0;
        r.turned[k] = i < at.count ? v[at.yg(i)] : 0;
    }
}

/* The first way, from the latest pair on: q = g - sum alpha_i y_i, of which alpha_i is
 * s_i . q / s_i . y_i when i's turn comes. Lanes without a pair do what the last pair's
 * does, and no branch waits. */
template <int EACH>
static __device__ __forceinline__ void go(struct places at, const double *v,
                                          struct recursion<EACH> &r)
{
#pragma unroll
    for (int of = 0; of < EACH; of++)
#pragma unroll(EACH > 1 ? 1 : 4)
        for (int i = 32 * of; i < min(at.count, 32 * of + 32); i++) {
            double alpha = __shfl_sync(0xffffffff, r.alpha[of], i % 32);

#pragma unroll
            for (int k = 0; k < EACH; k++) {
                int j = min((int)threadIdx.x + 32 * k, at.count - 1);
                double sy = v[at.sy(j, i)] * r.inverse[k];

                r.alpha[k] -= alpha * (j > i ? sy : 0);
                r.turned[k] -= alpha * v[j > i ? at.yy(j, i) : at.yy(i, j)];
            }
        }
}

/* The way back: d = gamma q + sum c_i s_i, where c_i = alpha_i - y_i . d / s_i . y_i
 * when i's turn comes. alpha becomes c. */
template <int EACH>
static __device__ __forceinline__ void come_back(struct places at, const double *v,
                                                 double gamma,
                                                 struct recursion<EACH> &r)
{
#pragma unroll
    for (int k = 0; k < EACH; k++)
        r.alpha[k] -= gamma * r.turned[k] * r.inverse[k];
#pragma unroll
    for (int of = EACH - 1; of >= 0; of--)
#pragma unroll(EACH > 1 ? 1 : 4)
        for (int i = min(at.count, 32 * of + 32) - 1; i >= 32 * of; i--) {
            double c = __shfl_sync(0xffffffff, r.alpha[of], i % 32);

#pragma unroll
            for (int k = 0; k <= of; k++) {
                int j = min((int)threadIdx.x + 32 * k, at.count - 1);
                double sy = v[at.sy(i, j)] * r.inverse[k];

                r.alpha[k] -= c * (j < i ? sy : 0);
            }
        }
}

/* s.y / y.y of the latest pair that is used. */
template <int EACH>
static __device__ __forceinline__ double gamma_of(const struct recursion<EACH> &r)
{
    double gamma = 0;

#pragma unroll
    for (int k = 0; k < EACH; k++) {
        unsigned usable = __ballot_sync(0xffffffff, r.inverse[k] != 0);
        double first =
            __shfl_sync(0xffffffff, r.ratio[k], usable ? __ffs((int)usable) - 1 : 0);

        gamma = gamma == 0 && usable ? first : gamma;
    }
    return gamma > 0 ? gamma : 1;
}

/* One warp, from all products. The direction is -d. */
template <int EACH>
static __device__ void solve(const struct solving &a, const double *v)
{
    struct recursion<EACH> r;
    struct places at = {a.count};
    double gamma;

    begin(a, at, v, r);
    gamma = gamma_of(r);
    go(at, v, r);
#pragma unroll
    for (int k = 0; k < EACH; k++)
        if ((int)threadIdx.x + 32 * k < at.count)
            a.shares[1 + at.count + threadIdx.x + 32 * k] = (float)(gamma * r.alpha[k]);
    come_back(at, v, gamma, r);
#pragma unroll
    for (int k = 0; k < EACH; k++)
        if ((int)threadIdx.x + 32 * k < at.count)
            a.shares[1 + threadIdx.x + 32 * k] = (float)-r.alpha[k];
    if (threadIdx.x == 0)
        a.shares[0] = (float)-gamma;
}

/* Without pairs. */
static __device__ float plain_share(const struct solving &a, double gg)
{
    double length = sqrt(gg / (double)a.n);

    if (!(a.first > 0))
        return -1;
    return length > 0 ? (float)(-a.first / length) : 0;
}

/* The sums of 32 products' parts: each warp adds up some of the stretches. */
static __device__ __forceinline__ void add_up(const struct solving &a, int all)
{
    __shared__ double sums[WARPS][32];
    int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    int place = (int)blockIdx.x * 32 + lane;
    double sum = 0;

    if (place < all)
#pragma unroll 16
        for (int i = warp; i < a.stretches; i += WARPS)
            sum += a.parts[(size_t)i * all + place];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || place >= all)
        return;
#pragma unroll
    for (int i = 1; i < WARPS; i++)
        sum += sums[i][lane];
    a.products[place] = sum;
}

/* The last block makes the shares. Meanwhile direction_kernel() reads the vectors,
 * which products_kernel() has read, so that they are what they will be. */
static __global__ void __launch_bounds__(BLOCK) solve_kernel(struct solving a)
{
    double *near = reinterpret_cast<double *>(nst_dynamic_shared);
    const volatile double *products = a.products;
    struct places at = {a.count};

    ptx::begin_alone();
    add_up(a, at.all());
    if (!is_last(a.done))
        return;
    for (int i = (int)threadIdx.x; i < at.all() && a.near; i += BLOCK)
        near[i] = products[i];
    __syncthreads();
    if (threadIdx.x >= 32)
        return;
    if (a.count == 0) {
        if (threadIdx.x == 0)
            a.shares[0] = plain_share(a, products[at.gg()]);
    } else if (a.count <= 32)
        solve<1>(a, a.near ? near : a.products);
    else
        solve<(PAIRS + 31) / 32>(a, a.near ? near : a.products);
}

/* What a block has of shared memory beside the products, rounded up. */
#define OWN_SHARED 8192

void cuda_shares(struct cuda *cu, struct solving *a)
{
    struct places at = {a->count};
    size_t bytes = at.all() * sizeof(double);

    a->near = bytes + OWN_SHARED <= cu->shared;
    cuda_launch_early(cu, solve_kernel, dim3((unsigned)((at.all() + 31) / 32)), BLOCK,
                      a->near ? bytes : 0, *a);
}

void cuda_shares_allow(struct cuda *cu)
{
    cuda_ok(cu, cudaFuncSetAttribute(solve_kernel,
                                     cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     (int)(cu->shared - OWN_SHARED)));
}
