/* SPDX-License-Identifier: MIT */
/*
 * lbfgs_dots.cu - dot products of the L-BFGS pairs with each other and with g.
 *
 * A warp computes a tile: s and y of GROUP older pairs times y of GROUP pairs that are
 * as late or later. A block has the tiles of BLOCK_GROUPS x BLOCK_GROUPS groups. Lanes
 * read two elements at a time from shared memory, where one chunk of all vectors is
 * multiplied while the next ones are copied. The kernel is bound by memory: 20 pairs
 * are 41 vectors and 461 dot products, so 22 floating-point operations for each float
 * read, and an H100 can do more.
 */
#include "config.h"

#include "backend/cuda/lbfgs.cuh"

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

enum {
    GROUP = 5,
    BLOCK_GROUPS = 4,
    BLOCK_PAIRS = GROUP * BLOCK_GROUPS,
    SLICE_ALIGNMENT = 128, /* elements; slices are multiples of it */
    RUN = 1536,            /* elements whose products are summed in float */
    ACROSS = GROUP * GROUP,
    TRIANGLE = GROUP * (GROUP + 1) / 2,
    SUMS = 2 * ACROSS /* at most, per tile */
};
static_assert(2 * TRIANGLE + 2 * GROUP + 1 <= SUMS, "room for those with g");
static_assert(SUMS <= 64 && SUMS % 2 == 0, "two for each lane");

/* Rows of shared memory: s of the older pairs, their y, y of the later pairs unless
 * these are the same, g and x. STAGES: chunks there, 1 without cp.async. */
template <bool SAME, int STAGES_> struct kernel_shape {
    enum {
        STAGES = STAGES_,
        CHUNK = SAME ? 128 : 64,
        PITCH = CHUNK / 2, /* of float2 */
        WARPS =
            SAME ? BLOCK_GROUPS * (BLOCK_GROUPS + 1) / 2 : BLOCK_GROUPS * BLOCK_GROUPS,
        THREADS = 32 * WARPS,
        S = 0,
        Y = BLOCK_PAIRS,
        LATER = SAME ? Y : 2 * BLOCK_PAIRS,
        G = LATER + BLOCK_PAIRS,
        X = G + 1,
        ROWS = X + 1,
        LANES = CHUNK / 4,         /* that load one row */
        AT_ONCE = THREADS / LANES, /* rows */
        BYTES = STAGES * ROWS * CHUNK * (int)sizeof(float)
    };
    static_assert((int)SLICE_ALIGNMENT % (int)CHUNK == 0 && (int)RUN % (int)CHUNK == 0,
                  "whole chunks");
};

/* A warp's tile. */
struct task {
    int older, later;             /* first pairs of the block */
    int older_group, later_group; /* the warp's groups of these */
    bool diagonal, idle;
};

/* The blocks of pairs are numbered row by row. */
template <class L> static __device__ __forceinline__ struct task warp_task(int count)
{
    constexpr bool same = (int)L::LATER == (int)L::Y;
    int warp = (int)threadIdx.x / 32, row = same ? (int)blockIdx.y : 1;
    int column = (int)blockIdx.y;
    struct task t = {0, 0, 0, warp, false, false};

    if (same)
        for (; t.later_group > t.older_group; t.older_group++)
            t.later_group -= t.older_group + 1;
    else {
        for (; column >= row; row++)
            column -= row;
        t.older_group = warp / BLOCK_GROUPS;
        t.later_group = warp % BLOCK_GROUPS;
    }
    t.older = row * BLOCK_PAIRS;
    t.later = column * BLOCK_PAIRS;
    t.diagonal = same && t.older_group == t.later_group;
    t.idle = t.older + t.older_group * GROUP >= count && (row > 0 || t.older_group > 0);
    return t;
}

/* Vector of a row of shared memory. Unused rows get g, in products that are dropped. */
template <class L>
static __device__ __forceinline__ const float *vector_of(const struct pairs &p,
                                                         const struct task &task,
                                                         int row)
{
    int pair =
        (row >= L::LATER && (int)L::LATER > (int)L::Y ? task.later : task.older) +
        row % BLOCK_PAIRS;

    if (row == L::X && p.x)
        return p.x;
    if (row >= L::G || pair >= p.count)
        return p.g;
    return row < L::Y ? p.s[pair] : p.y[pair];
}

/* Load a chunk of all vectors, from i on. */
template <class L>
static __device__ __forceinline__ void load_chunk(const float *const *vectors,
                                                  float *rows, size_t i, size_t n)
{
    int first = (int)threadIdx.x / L::LANES, column = 4 * ((int)threadIdx.x % L::LANES);

    i += column;
    rows += first * L::CHUNK + column;
    if (L::STAGES > 1 && i + 4 <= n) {
#pragma unroll
        for (int k = 0; k < L::ROWS; k += L::AT_ONCE)
            if (first + k < L::ROWS)
                ptx::cp_async16(rows + k * L::CHUNK, vectors[first + k] + i, true);
    } else {
#pragma unroll(L::STAGES > 1 ? 1 : 4)
        for (int k = 0; first + k < L::ROWS; k += L::AT_ONCE)
            *reinterpret_cast<float4 *>(rows + k * L::CHUNK) =
                load4(vectors[first + k], i, n);
    }
}

/* Two elements; those of fixed variables become 0. */
static __device__ __forceinline__ float2 masked(float2 v, bool x, bool y)
{
    return make_float2(x ? v.x : 0, y ? v.y : 0);
}

static __device__ __forceinline__ void add_dot(float *sum, float2 a, float2 b)
{
    *sum += a.x * b.x;
    *sum += a.y * b.y;
}

/* Add the products of two elements of each lane; free_x and free_y say whether they are
 * free. A diagonal tile has only products with pairs as late or later, those with g,
 * and g.g. */
template <bool DIAGONAL, int PITCH>
static __device__ __forceinline__ void add_tile_dots(const float2 *s, const float2 *y,
                                                     const float2 *later, float2 g,
                                                     bool free_x, bool free_y,
                                                     float (&sums)[SUMS])
{
    float2 right[GROUP];

#pragma unroll
    for (int j = 0; j < GROUP; j++)
        right[j] = masked(later[j * PITCH], free_x, free_y);
    g = masked(g, free_x, free_y);
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        float2 a = s[i * PITCH], b = DIAGONAL ? right[i] : y[i * PITCH];

#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            if (DIAGONAL && j <= i) {
                add_dot(&sums[i * (i + 1) / 2 + j], a, right[j]);
                add_dot(&sums[TRIANGLE + i * (i + 1) / 2 + j], b, right[j]);
            } else if (!DIAGONAL) {
                add_dot(&sums[i * GROUP + j], a, right[j]);
                add_dot(&sums[ACROSS + i * GROUP + j], b, right[j]);
            }
        }
        if (DIAGONAL) {
            add_dot(&sums[2 * TRIANGLE + i], a, g);
            add_dot(&sums[2 * TRIANGLE + GROUP + i], b, g);
        }
    }
    if (DIAGONAL)
        add_dot(&sums[2 * TRIANGLE + 2 * GROUP], g, g);
}

/* Add the tile's products of a chunk. */
template <class L>
static __device__ __forceinline__ void add_chunk_dots(const struct pairs &p,
                                                      const struct task &task,
                                                      const float *rows,
                                                      float (&sums)[SUMS])
{
    const float2 *lane = reinterpret_cast<const float2 *>(rows) + (int)threadIdx.x % 32;
    const float2 *s = lane + (L::S + task.older_group * GROUP) * L::PITCH;
    const float2 *y = lane + (L::Y + task.older_group * GROUP) * L::PITCH;
    const float2 *later = lane + (L::LATER + task.later_group * GROUP) * L::PITCH;

#pragma unroll 1
    for (int k = 0; k < L::PITCH; k += 32) {
        float2 g = lane[L::G * L::PITCH + k];
        bool free_x = true, free_y = true;

        if (p.x) {
            float2 x = lane[L::X * L::PITCH + k];

            free_x = is_free(x.x, g.x, p.box);
            free_y = is_free(x.y, g.y, p.box);
        }
        if (task.diagonal)
            add_tile_dots<true, L::PITCH>(s + k, y + k, later + k, g, free_x, free_y,
                                          sums);
        else
            add_tile_dots<false, L::PITCH>(s + k, y + k, later + k, g, free_x, free_y,
                                           sums);
    }
}

/* Reduce-scatter over the lanes: halves of them exchange halves of 2 HALF sums, until
 * lane l has the totals of sums 2 l and 2 l + 1. */
template <int HALF, int N>
static __device__ __forceinline__ void warp_reduce_scatter(float (&v)[N], int lane)
{
    bool upper = lane & HALF / 2;

#pragma unroll
    for (int k = 0; k < HALF; k++) {
        float mine = upper ? v[k + HALF] : v[k], others = upper ? v[k] : v[k + HALF];

        v[k] = mine + __shfl_xor_sync(0xffffffff, others, HALF / 2);
    }
    if constexpr (HALF > 2)
        warp_reduce_scatter<HALF / 2>(v, lane);
}

/* Add the lanes' sums to the warp's totals, and clear them. */
static __device__ __forceinline__ void flush_sums(float (&sums)[SUMS], double *totals)
{
    int lane = (int)threadIdx.x % 32;
    float v[64];

#pragma unroll
    for (int k = 0; k < 64; k++)
        v[k] = k < SUMS ? sums[k] : 0;
    warp_reduce_scatter<32>(v, lane);
    if (2 * lane < SUMS) {
        totals[2 * lane] += (double)v[0];
        totals[2 * lane + 1] += (double)v[1];
    }
#pragma unroll
    for (int k = 0; k < SUMS; k++)
        sums[k] = 0;
}

/* Index of the k-th sum of the tile of these groups; -1: unused. */
static __device__ int dot_index(struct dot_layout to, bool diagonal, int older,
                                int later, int k)
{
    int i, j = 0, kind = k / ACROSS;

    if (diagonal && k >= 2 * TRIANGLE) {
        k -= 2 * TRIANGLE;
        if (k == 2 * GROUP)
            return older == 0 ? to.gg() : -1;
        i = older + k % GROUP;
        if (k > 2 * GROUP || i >= to.count)
            return -1;
        return k < GROUP ? to.sg(i) : to.yg(i);
    }
    if (diagonal) {
        kind = k / TRIANGLE;
        k %= TRIANGLE;
        for (i = 0; k > i; i++)
            k -= i + 1;
        j = k;
    } else {
        i = k % ACROSS / GROUP;
        j = k % GROUP;
    }
    i += older;
    j += later;
    if (i >= to.count || j >= to.count)
        return -1;
    return kind == 0 ? to.sy(i, j) : to.yy(i, j);
}

/* Store the slice's part of each of the warp's dot products. */
static __device__ __forceinline__ void store_totals(const struct task &task, int count,
                                                    const double *totals, double *parts)
{
    struct dot_layout to = {count};

    parts += (size_t)blockIdx.x * to.size();
    for (int k = (int)threadIdx.x % 32; k < SUMS; k += 32) {
        int index = dot_index(to, task.diagonal, task.older + task.older_group * GROUP,
                              task.later + task.later_group * GROUP, k);

        if (index >= 0)
            parts[index] = totals[k];
    }
}

/* blockIdx.x: slice of the vectors. blockIdx.y: block of pairs. */
template <bool SAME, int STAGES>
static __global__ void __launch_bounds__(kernel_shape<SAME, STAGES>::THREADS,
                                         SAME ? 2 : 1)
    dots_kernel(struct pairs p, size_t slice, double *parts)
{
    using L = kernel_shape<SAME, STAGES>;
    __shared__ double totals[L::WARPS][SUMS];
    __shared__ const float *vectors[L::ROWS];
    float *rows = reinterpret_cast<float *>(nst_dynamic_shared);
    struct task task = warp_task<L>(p.count);
    int warp = (int)threadIdx.x / 32, slot = 0, next = STAGES - 1;
    float sums[SUMS] = {};
    size_t begin = blockIdx.x * slice;
    size_t end = begin + slice < p.n ? begin + slice : p.n;

    for (int k = (int)threadIdx.x % 32; k < SUMS; k += 32)
        totals[warp][k] = 0;
    for (int k = (int)threadIdx.x; k < L::ROWS; k += L::THREADS)
        vectors[k] = vector_of<L>(p, task, k);
    __syncthreads();
    ptx::griddep_wait();
#pragma unroll 1
    for (int k = 0; k < STAGES - 1; k++) {
        if (begin + k * L::CHUNK < end)
            load_chunk<L>(vectors, rows + k * L::ROWS * L::CHUNK, begin + k * L::CHUNK,
                          p.n);
        ptx::cp_async_commit();
    }
    for (size_t at = begin; at < end; at += L::CHUNK) {
        size_t ahead = at + (STAGES - 1) * L::CHUNK;

        if constexpr (STAGES > 1)
            ptx::cp_async_wait<STAGES - 2>();
        __syncthreads();
        if (ahead < end)
            load_chunk<L>(vectors, rows + next * L::ROWS * L::CHUNK, ahead, p.n);
        if constexpr (STAGES > 1)
            ptx::cp_async_commit();
        else
            __syncthreads();
        if (!task.idle)
            add_chunk_dots<L>(p, task, rows + slot * L::ROWS * L::CHUNK, sums);
        if ((at - begin + L::CHUNK) % RUN == 0 || at + L::CHUNK >= end)
            flush_sums(sums, totals[warp]);
        slot = slot + 1 < STAGES ? slot + 1 : 0;
        next = next + 1 < STAGES ? next + 1 : 0;
    }
    __syncwarp();
    store_totals(task, p.count, totals[warp], parts);
}

/* The most blocks: two on each of the 132 SMs of an H100. Tests lower it. */
#ifndef MAX_SLICES
#define MAX_SLICES 264
#endif

/* Number of blocks of pairs, and of combinations of two different ones. */
static int diagonal_blocks(int count)
{
    return count > 0 ? (count + BLOCK_PAIRS - 1) / BLOCK_PAIRS : 1;
}

static int off_diagonal_blocks(int count)
{
    return diagonal_blocks(count) * (diagonal_blocks(count) - 1) / 2;
}

/* Elements of a slice. */
static size_t slice_length(size_t n, int count)
{
    int blocks = diagonal_blocks(count), off_diagonal = off_diagonal_blocks(count);
    int max_slices = MAX_SLICES / (blocks > off_diagonal ? blocks : off_diagonal);
    size_t steps = (n + SLICE_ALIGNMENT - 1) / SLICE_ALIGNMENT;

    max_slices = max_slices > 1 ? max_slices : 1;
    return (steps + max_slices - 1) / max_slices * SLICE_ALIGNMENT;
}

int cuda_slice_count(size_t n, int count)
{
    size_t slice = slice_length(n, count);

    return (int)((n + slice - 1) / slice);
}

template <bool SAME, int STAGES>
static void launch(struct cuda *cu, const struct pairs *p, int blocks, double *parts)
{
    using L = kernel_shape<SAME, STAGES>;

    cuda_launch_pdl(cu, dots_kernel<SAME, STAGES>,
                    dim3((unsigned)cuda_slice_count(p->n, p->count), (unsigned)blocks),
                    L::THREADS, L::BYTES, *p, slice_length(p->n, p->count), parts);
}

#define STAGES 4 /* with cp.async; two blocks then fit on an SM of an H100 */

template <int N>
static void launch_all(struct cuda *cu, const struct pairs *p, double *parts)
{
    launch<true, N>(cu, p, diagonal_blocks(p->count), parts);
    if (off_diagonal_blocks(p->count) > 0)
        launch<false, N>(cu, p, off_diagonal_blocks(p->count), parts);
}

void cuda_lbfgs_dots(struct cuda *cu, const struct pairs *p, double *parts)
{
    if (cu->capability >= 80)
        launch_all<STAGES>(cu, p, parts);
    else
        launch_all<1>(cu, p, parts);
}

template <bool SAME> static void set_max_shared(struct cuda *cu)
{
    using L = kernel_shape<SAME, STAGES>;

    cuda_ok(cu, cudaFuncSetAttribute(dots_kernel<SAME, STAGES>,
                                     cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     L::BYTES));
}

void cuda_lbfgs_dots_init(struct cuda *cu)
{
    if (cu->capability < 80)
        return;
    set_max_shared<true>(cu);
    set_max_shared<false>(cu);
}
