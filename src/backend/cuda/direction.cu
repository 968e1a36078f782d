/* SPDX-License-Identifier: MIT */
/*
 * direction.cu - the direction of L-BFGS on the device.
 *
 * The two-loop recursion reads a vector after the other and asks for a product each
 * time. But all it asks for follows from the products of the pairs among each other and
 * with g (Byrd, Nocedal and Schnabel 1994). So one pass makes all of these, one block
 * works out what g, each s and each y have for a share in the direction, and a second
 * pass makes it.
 *
 * Sums are made in float over short runs and in double beyond, in an order that n and
 * the number of pairs decide.
 */
#include "config.h"

#include "backend/cuda/vectors.cuh"

#include <string.h>

#define PAIRS NST_PAIRS_MOST
#define LEAST_CURVATURE 1e-10 /* below this share of y.y it is noise */

/* x sits on a bound, and -g pushes it outwards. */
static __device__ __forceinline__ bool is_fixed(float x, float g, struct nst_box box)
{
    return (x <= box.lower && g > 0) || (x >= box.upper && g < 0);
}

/*
 * Products are made tile by tile, each by one warp: of GROUP older pairs, of which it
 * takes both s and y, with the y of GROUP pairs as late or later. A block has the tiles
 * of BLOCK_GROUPS x BLOCK_GROUPS groups. Lanes take the elements, which lie in shared
 * memory a chunk at a time; while one is multiplied, the next comes.
 */
enum {
    GROUP = 5,
    BLOCK_GROUPS = 4,
    BLOCK_PAIRS = GROUP * BLOCK_GROUPS,
    STEP = 128, /* elements that stretches are multiples of */
    RUN = 1536, /* elements whose products are added up as floats */
    ACROSS = GROUP * GROUP,
    TRIANGLE = GROUP * (GROUP + 1) / 2,
    SUMS = 2 * ACROSS /* of a tile, at most */
};
static_assert(2 * TRIANGLE + 2 * GROUP + 1 <= SUMS, "room for those with g");
static_assert(SUMS <= 64 && SUMS % 2 == 0, "two for each lane");

/* The pairs, the latest first. */
struct pairs {
    const float *s[PAIRS], *y[PAIRS];
    double yy[PAIRS]; /* y.y over all variables */
    int count;
    size_t n;
    const float *x, *g; /* x: NULL without a box */
    struct nst_box box;
};

/* Where a product is among those of count pairs, whichever of them are made. */
struct places {
    int count;
    __host__ __device__ int sy(int i, int j) const
    {
        return i * count + j; /* s_i . y_j, j <= i */
    }
    __host__ __device__ int yy(int i, int j) const
    {
        return count * count + i * count + j;
    }
    __host__ __device__ int sg(int i) const
    {
        return 2 * count * count + i;
    }
    __host__ __device__ int yg(int i) const
    {
        return 2 * count * count + count + i;
    }
    __host__ __device__ int gg() const
    {
        return 2 * count * count + 2 * count;
    }
    __host__ __device__ int all() const
    {
        return gg() + 1;
    }
};

static __device__ __forceinline__ float4 where_free(float4 v, unsigned free_ones)
{
    return make_float4(free_ones & 1 ? v.x : 0, free_ones & 2 ? v.y : 0,
                       free_ones & 4 ? v.z : 0, free_ones & 8 ? v.w : 0);
}

/* A bit for each of four variables that is not held. */
static __device__ __forceinline__ unsigned which_are_free(const struct pairs &p,
                                                          size_t i, float4 g)
{
    float4 x;

    if (!p.x)
        return 15;
    x = load4(p.x, i, p.n);
    return (is_fixed(x.x, g.x, p.box) ? 0 : 1) | (is_fixed(x.y, g.y, p.box) ? 0 : 2) |
           (is_fixed(x.z, g.z, p.box) ? 0 : 4) | (is_fixed(x.w, g.w, p.box) ? 0 : 8);
}

/* The rows of shared memory: s of the older pairs, their y, and y of the later ones or,
 * where these are the same, g. All but s are 0 where variables are held. */
template <bool SAME> struct shape {
    enum {
        CHUNK = SAME ? 128 : 64,
        WARPS =
            SAME ? BLOCK_GROUPS * (BLOCK_GROUPS + 1) / 2 : BLOCK_GROUPS * BLOCK_GROUPS,
        ROWS = SAME ? 2 * BLOCK_PAIRS + 1 : 3 * BLOCK_PAIRS,
        LANES = CHUNK / 4,                     /* that bring a row */
        AT_ONCE = WARPS * 32 / LANES,          /* rows */
        EACH = (ROWS + AT_ONCE - 1) / AT_ONCE, /* that a lane has a part of */
        QUARTERS = CHUNK / 32,
        PER_QUARTER = (EACH + QUARTERS - 1) / QUARTERS
    };
    typedef float rows[ROWS][CHUNK];
};

/* What a block works on. */
struct task {
    int older, later; /* the first of its blocks of pairs */
    int group, other; /* of this warp's tile in these */
    bool diagonal;
};

/* Four elements at i of a row. */
template <bool SAME>
static __device__ __forceinline__ float4 bring(const struct pairs &p,
                                               const struct task &task, size_t i,
                                               unsigned free_ones, int row)
{
    int pair = (row < 2 * BLOCK_PAIRS ? task.older : task.later) + row % BLOCK_PAIRS;

    if (SAME && row >= 2 * BLOCK_PAIRS)
        return where_free(load4(p.g, i, p.n), free_ones);
    if (pair >= p.count)
        return make_float4(0, 0, 0, 0);
    if (row < BLOCK_PAIRS)
        return load4(p.s[pair], i, p.n);
    return where_free(load4(p.y[pair], i, p.n), free_ones);
}

/* The first chunk of a stretch, at i: all of it is on its way at once. */
template <bool SAME>
static __device__ __forceinline__ void bring_first(const struct pairs &p,
                                                   const struct task &task, size_t i,
                                                   typename shape<SAME>::rows &rows)
{
    using S = shape<SAME>;
    int first = (int)threadIdx.x / S::LANES, column = 4 * ((int)threadIdx.x % S::LANES);
    unsigned free_ones = which_are_free(p, i + column, load4(p.g, i + column, p.n));
    float4 v[S::EACH];

#pragma unroll
    for (int k = 0; k < S::EACH; k++)
        if (first + k * S::AT_ONCE < S::ROWS)
            v[k] = bring<SAME>(p, task, i + column, free_ones, first + k * S::AT_ONCE);
#pragma unroll
    for (int k = 0; k < S::EACH; k++)
        if (first + k * S::AT_ONCE < S::ROWS)
            *reinterpret_cast<float4 *>(&rows[first + k * S::AT_ONCE][column]) = v[k];
}

/* A tile's products of one element of each lane. On the diagonal only those of pairs
 * with later ones, those with g, and g.g. Rows are pitch apart. */
template <bool DIAGONAL, int PITCH>
static __device__ __forceinline__ void multiply(const float *s, const float *y,
                                                const float *later, float g,
                                                float (&sums)[SUMS])
{
    float right[GROUP];

#pragma unroll
    for (int j = 0; j < GROUP; j++)
        right[j] = later[j * PITCH];
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        float a = s[i * PITCH], b = DIAGONAL ? right[i] : y[i * PITCH];

#pragma unroll
        for (int j = 0; j < GROUP; j++) {
            if (DIAGONAL && j <= i) {
                sums[i * (i + 1) / 2 + j] += a * right[j];
                sums[TRIANGLE + i * (i + 1) / 2 + j] += b * right[j];
            } else if (!DIAGONAL) {
                sums[i * GROUP + j] += a * right[j];
                sums[ACROSS + i * GROUP + j] += b * right[j];
            }
        }
        if (DIAGONAL) {
            sums[2 * TRIANGLE + i] += a * g;
            sums[2 * TRIANGLE + GROUP + i] += b * g;
        }
    }
    if (DIAGONAL)
        sums[2 * TRIANGLE + 2 * GROUP] += g * g;
}

/* The products of a chunk; meanwhile the next one, at i, comes, if it is before end. */
template <bool SAME>
static __device__ __forceinline__ void multiply_chunk(
    const struct pairs &p, const struct task &task,
    const typename shape<SAME>::rows &now, typename shape<SAME>::rows &next, size_t i,
    size_t end, float (&sums)[SUMS])
{
    using S = shape<SAME>;
    int first = (int)threadIdx.x / S::LANES, column = 4 * ((int)threadIdx.x % S::LANES);
    int lane = (int)threadIdx.x % 32;
    const float *s = now[task.group * GROUP] + lane,
                *y = s + BLOCK_PAIRS * (int)S::CHUNK;
    const float *later = now[(SAME ? 1 : 2) * BLOCK_PAIRS + task.other * GROUP] + lane;
    unsigned free_ones =
        i < end ? which_are_free(p, i + column, load4(p.g, i + column, p.n)) : 0;

#pragma unroll 1
    for (int q = 0; q < S::QUARTERS; q++) {
        float4 v[S::PER_QUARTER];

#pragma unroll
        for (int k = 0; k < S::PER_QUARTER; k++) {
            int row = first + (q + k * S::QUARTERS) * S::AT_ONCE;

            if (i < end && row < S::ROWS)
                v[k] = bring<SAME>(p, task, i + column, free_ones, row);
        }
        if (task.diagonal)
            multiply<true, S::CHUNK>(s + 32 * q, y + 32 * q, later + 32 * q,
                                     now[S::ROWS - 1][lane + 32 * q], sums);
        else
            multiply<false, S::CHUNK>(s + 32 * q, y + 32 * q, later + 32 * q, 0, sums);
#pragma unroll
        for (int k = 0; k < S::PER_QUARTER; k++) {
            int row = first + (q + k * S::QUARTERS) * S::AT_ONCE;

            if (i < end && row < S::ROWS)
                *reinterpret_cast<float4 *>(&next[row][column]) = v[k];
        }
    }
}

/* Halves of the lanes give each other halves of 2 HALF sums, until lane l has all of
 * those numbered 2 l and 2 l + 1. */
template <int HALF, int N>
static __device__ __forceinline__ void halve(float (&v)[N], int lane)
{
    bool upper = lane & HALF / 2;

#pragma unroll
    for (int k = 0; k < HALF; k++) {
        float mine = upper ? v[k + HALF] : v[k], others = upper ? v[k] : v[k + HALF];

        v[k] = mine + __shfl_xor_sync(0xffffffff, others, HALF / 2);
    }
    if constexpr (HALF > 2)
        halve<HALF / 2>(v, lane);
}

/* Add the lanes' sums to the warp's totals, and begin again. */
static __device__ __forceinline__ void settle(float (&sums)[SUMS], double *totals)
{
    int lane = (int)threadIdx.x % 32;
    float v[64];

#pragma unroll
    for (int k = 0; k < 64; k++)
        v[k] = k < SUMS ? sums[k] : 0;
    halve<32>(v, lane);
    if (2 * lane < SUMS) {
        totals[2 * lane] += (double)v[0];
        totals[2 * lane + 1] += (double)v[1];
    }
#pragma unroll
    for (int k = 0; k < SUMS; k++)
        sums[k] = 0;
}

/* What the block and the warp do; the blocks of pairs are numbered row by row. */
template <bool SAME> static __device__ __forceinline__ struct task my_task()
{
    int warp = (int)threadIdx.x / 32, row = SAME ? (int)blockIdx.y : 1;
    int column = (int)blockIdx.y;
    struct task t = {0, 0, 0, warp, false};

    if (SAME)
        for (; t.other > t.group; t.group++)
            t.other -= t.group + 1;
    else {
        for (; column >= row; row++)
            column -= row;
        t.group = warp / BLOCK_GROUPS;
        t.other = warp % BLOCK_GROUPS;
    }
    t.older = row * BLOCK_PAIRS;
    t.later = column * BLOCK_PAIRS;
    t.diagonal = SAME && t.group == t.other;
    return t;
}

/* Where the k-th sum of the tile of these groups goes; -1 for none. */
static __device__ int place_of(struct places to, bool diagonal, int older, int later,
                               int k)
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

/*
 * blockIdx.x: a stretch of the vectors. blockIdx.y: which blocks of pairs.
 * parts[place * gridDim.x + blockIdx.x] becomes the stretch's part of a product.
 */
template <bool SAME>
static __global__ void __launch_bounds__(32 * shape<SAME>::WARPS, SAME ? 2 : 1)
    products_kernel(struct pairs p, size_t stretch, double *parts)
{
    using S = shape<SAME>;
    __shared__ __align__(16) typename S::rows rows[2];
    __shared__ double totals[S::WARPS][SUMS];
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, now = 0;
    struct task task = my_task<SAME>();
    float sums[SUMS] = {};
    size_t begin = blockIdx.x * stretch;
    size_t end = begin + stretch < p.n ? begin + stretch : p.n;

    for (int k = lane; k < SUMS; k += 32)
        totals[warp][k] = 0;
    bring_first<SAME>(p, task, begin, rows[0]);
    for (size_t at = begin; at < end; at += S::CHUNK, now = 1 - now) {
        __syncthreads();
        multiply_chunk<SAME>(p, task, rows[now], rows[1 - now], at + S::CHUNK, end,
                             sums);
        if ((at - begin + S::CHUNK) % RUN == 0 || at + S::CHUNK >= end)
            settle(sums, totals[warp]);
    }
    __syncwarp();
    for (int k = lane; k < SUMS; k += 32) {
        int place = place_of({p.count}, task.diagonal, task.older + task.group * GROUP,
                             task.later + task.other * GROUP, k);

        if (place >= 0)
            parts[(size_t)place * gridDim.x + blockIdx.x] = totals[warp][k];
    }
}

/* ---- from the products to each vector's share ---- */

#define SOLVE_BLOCK 256
#define NEAR 32 /* the products of so many pairs fit into shared memory */

struct solving {
    int count, stretches;
    const double *parts;
    double *products; /* the sums of parts */
    float *shares;    /* of g, of each s, of each y */
    unsigned *done;
    double first; /* as in struct nst_descent */
    size_t n;
    double yy[PAIRS];
};

/* A product's matrix, in shared memory or not. */
struct matrix {
    const double *v;
    int pitch;
    __device__ double at(int i, int j) const
    {
        return v[i * pitch + j];
    }
};

/* The value of pair i, of which lane i % 32 has it. */
template <int EACH>
static __device__ __forceinline__ double value_of(const double (&v)[EACH], int i)
{
    double mine = v[0];

#pragma unroll
    for (int k = 1; k < EACH; k++)
        mine = i / 32 == k ? v[k] : mine;
    return __shfl_sync(0xffffffff, mine, i % 32);
}

/*
 * One warp; lane l has the EACH pairs l, l + 32 ... On the first way q = g - sum
 * alpha_i y_i, of which along holds s_j . q; on the way back d = gamma q + sum c_i s_i,
 * of which it holds y_j . d. The direction is -d.
 */
template <int EACH>
static __device__ void solve(const struct solving &a, struct matrix sy,
                             struct matrix yy, const double *sg, const double *yg)
{
    int lane = (int)threadIdx.x % 32, count = a.count;
    double along[EACH], inverse[EACH], alpha[EACH], gamma = 0;

#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int i = lane + 32 * k;
        double own = i < count ? sy.at(i, i) : 0;

        inverse[k] = i < count && own > LEAST_CURVATURE * a.yy[i] ? 1 / own : 0;
        along[k] = i < count ? sg[i] : 0;
        alpha[k] = 0;
    }
    for (int i = 0; i < count; i++) {
        double usable = value_of(inverse, i), now = value_of(along, i) * usable;

        if (gamma == 0 && usable != 0)
            gamma = sy.at(i, i) / yy.at(i, i);
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            int j = lane + 32 * k;

            if (j == i)
                alpha[k] = now;
            if (j > i && j < count)
                along[k] -= now * sy.at(j, i);
        }
    }
    gamma = gamma > 0 ? gamma : 1;
#pragma unroll
    for (int k = 0; k < EACH; k++)
        along[k] = lane + 32 * k < count ? yg[lane + 32 * k] : 0;
    for (int i = 0; i < count; i++) {
        double now = value_of(alpha, i);

#pragma unroll
        for (int k = 0; k < EACH; k++) {
            int j = lane + 32 * k;

            if (j < count)
                along[k] -= now * (j > i ? yy.at(j, i) : yy.at(i, j));
        }
    }
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        along[k] *= gamma;
        if (lane + 32 * k < count)
            a.shares[1 + count + lane + 32 * k] = (float)(gamma * alpha[k]);
    }
    for (int i = count - 1; i >= 0; i--) {
        double usable = value_of(inverse, i);
        double share = value_of(alpha, i) - value_of(along, i) * usable;

        share = usable != 0 ? share : 0;
#pragma unroll
        for (int k = 0; k < EACH; k++)
            if (lane + 32 * k < i)
                along[k] += share * sy.at(i, lane + 32 * k);
        if (lane == 0)
            a.shares[1 + i] = (float)-share;
    }
    if (lane == 0)
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

/* A warp makes each product, and the last block the shares. */
static __global__ void solve_kernel(struct solving a)
{
    __shared__ double near_sy[NEAR][NEAR + 1], near_yy[NEAR][NEAR + 1];
    struct places at = {a.count};
    int count = a.count;
    double *products = a.products;
    int place = (int)(blockIdx.x * blockDim.x + threadIdx.x) / 32;
    int square = place % (count * count + (count == 0));

    if (place < at.all() &&
        (place >= at.sg(0) || square / (count + !count) >= square % (count + !count))) {
        double sum = 0;

        for (int i = (int)threadIdx.x % 32; i < a.stretches; i += 32)
            sum += a.parts[(size_t)place * a.stretches + i];
        for (int by = 16; by > 0; by /= 2)
            sum += __shfl_xor_sync(0xffffffff, sum, by);
        if (threadIdx.x % 32 == 0)
            products[place] = sum;
    }
    if (!is_last(a.done))
        return;
    for (int i = (int)threadIdx.x; i < count * count && count <= NEAR;
         i += SOLVE_BLOCK) {
        if (i / count < i % count)
            continue;
        near_sy[i / count][i % count] = products[i];
        near_yy[i / count][i % count] = products[at.yy(0, 0) + i];
    }
    __syncthreads();
    if (threadIdx.x >= 32)
        return;
    if (count == 0) {
        if (threadIdx.x == 0)
            a.shares[0] = plain_share(a, products[at.gg()]);
    } else if (count <= NEAR)
        solve<1>(a, {near_sy[0], NEAR + 1}, {near_yy[0], NEAR + 1}, products + at.sg(0),
                 products + at.yg(0));
    else
        solve<(PAIRS + 31) / 32>(a, {products, count}, {products + at.yy(0, 0), count},
                                 products + at.sg(0), products + at.yg(0));
}

/* ---- the direction itself ---- */

static __device__ __forceinline__ void add4(float4 *to, float share, float4 v)
{
    to->x += share * v.x;
    to->y += share * v.y;
    to->z += share * v.z;
    to->w += share * v.w;
}

/* One variable: d within the box, and how far it goes. */
static __device__ __forceinline__ float cut(float x, float d, struct nst_box box,
                                            float *trial, float *longest)
{
    float room;

    d = into(x + d, box) - x;
    *trial = into(x + d, box);
    room = d > 0 ? box.upper - x : x - box.lower;
    if (d != 0)
        *longest = fminf(*longest, room / fabsf(d));
    return d;
}

/* The trial may be a vector that is read: an element of all is, before it is written.
 */
static __global__ void __launch_bounds__(TOLD_BLOCK)
    direction_kernel(struct pairs p, const float *shares, float *to, float *trial,
                     struct teller teller)
{
    __shared__ float share[2 * PAIRS + 1];
    struct told t = {-1e10, 0, 0};

    for (int i = (int)threadIdx.x; i < 2 * p.count + 1; i += TOLD_BLOCK)
        share[i] = shares[i];
    __syncthreads();
    for (size_t i = 4 * cuda_first(); i < p.n; i += 4 * cuda_step()) {
        float4 g = load4(p.g, i, p.n), d = make_float4(0, 0, 0, 0), x, at;
        float longest = 1e10f;

        add4(&d, share[0], g);
#pragma unroll 5
        for (int k = 0; k < p.count; k++) {
            float4 s = load4(p.s[k], i, p.n), y = load4(p.y[k], i, p.n);

            add4(&d, share[1 + k], s);
            add4(&d, share[1 + p.count + k], y);
        }
        d = where_free(d, which_are_free(p, i, g));
        if (p.x) {
            x = load4(p.x, i, p.n, p.box.lower); /* where d is 0 */
            d.x = cut(x.x, d.x, p.box, &at.x, &longest);
            d.y = cut(x.y, d.y, p.box, &at.y, &longest);
            d.z = cut(x.z, d.z, p.box, &at.z, &longest);
            d.w = cut(x.w, d.w, p.box, &at.w, &longest);
            store4(trial, i, p.n, at);
        }
        store4(to, i, p.n, d);
        join(&t, -(double)longest, product(d, g), 0);
    }
    tell(teller, t);
}

/* How many stretches there are at most, all blocks of pairs together: an H100 has two
 * blocks on each of its 132 processors. The tests have fewer. */
#ifndef STRETCHES_MOST
#define STRETCHES_MOST 264
#endif

/* Blocks of pairs, and how many stretches the vectors are cut into for them. */
static int blocks_of(int count)
{
    return count > 0 ? (count + BLOCK_PAIRS - 1) / BLOCK_PAIRS : 1;
}

static int stretches_of(size_t n, int count, size_t *stretch)
{
    int blocks = blocks_of(count), most = STRETCHES_MOST / (blocks * (blocks + 1) / 2);
    size_t steps = (n + STEP - 1) / STEP;

    most = most > 1 ? most : 1;
    *stretch = (steps + most - 1) / most * STEP;
    return (int)((n + *stretch - 1) / *stretch);
}

/* Parts, their sums, and shares, one after the other. */
size_t cuda_direction_bytes(size_t n, int pairs)
{
    size_t most = 0;

    for (int count = 0; count <= pairs; count++) {
        struct places places = {count};
        size_t stretch, stretches = stretches_of(n, count, &stretch);
        size_t numbers = places.all() * (stretches + 1);

        if (numbers > most)
            most = numbers;
    }
    return most * sizeof(double) + (2 * (size_t)pairs + 1) * sizeof(float);
}

static struct pairs pairs_of(size_t n, const struct nst_descent *c)
{
    struct pairs p = {};

    p.count = c->pairs.count;
    for (int i = 0; i < p.count; i++) {
        int slot = nst_ring_slot(&c->pairs, i);

        p.s[i] = c->pairs.s[slot];
        p.y[i] = c->pairs.y[slot];
        p.yy[i] = c->pairs.yy[slot];
    }
    p.n = n;
    p.x = c->x;
    p.g = c->g;
    p.box = c->box;
    return p;
}

struct nst_downhill cuda_direction(struct nst_backend *be, size_t n,
                                   const struct nst_descent *c)
{
    struct cuda *cu = cuda_of(be);
    struct pairs p = pairs_of(n, c);
    struct places places = {p.count};
    struct teller to = cuda_teller(cu, OF_DIRECTION);
    size_t stretch;
    int stretches = stretches_of(n, p.count, &stretch);
    int blocks = blocks_of(p.count), others = blocks * (blocks - 1) / 2;
    double *parts = static_cast<double *>(c->work);
    double *sums = parts + (size_t)places.all() * stretches;
    struct solving a = {p.count, stretches, parts, sums, (float *)(sums + places.all()),
                        to.done, c->first,  n,     {}};
    struct told t;

    memcpy(a.yy, p.yy, sizeof a.yy);
    cuda_launch(cu, products_kernel<true>, dim3((unsigned)stretches, (unsigned)blocks),
                32 * shape<true>::WARPS, 0, p, stretch, parts);
    if (others > 0)
        cuda_launch(cu, products_kernel<false>,
                    dim3((unsigned)stretches, (unsigned)others),
                    32 * shape<false>::WARPS, 0, p, stretch, parts);
    cuda_launch(cu, solve_kernel,
                dim3((unsigned)((32 * places.all() + SOLVE_BLOCK - 1) / SOLVE_BLOCK)),
                SOLVE_BLOCK, 0, a);
    cuda_pass(cu, direction_kernel, n, p, a.shares, c->d, c->trial, to);
    t = cuda_told(cu, OF_DIRECTION);
    return {t.a, -t.most};
}
