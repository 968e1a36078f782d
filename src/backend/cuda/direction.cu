/* SPDX-License-Identifier: MIT */
/*
 * direction.cu - the direction of L-BFGS: its vectors' sum, cut off at the box, and the
 * first point to try.
 */
#include "config.h"

#include "backend/cuda/direction.cuh"

/* Pairs whose elements are on their way at once, and the blocks that fit on a
 * processor with registers for these. */
enum { TOGETHER = 10, RESIDENT = 3, BLOCKS_MOST = 132 * RESIDENT };

static __device__ __forceinline__ void add4(float4 *to, float share, float4 v)
{
    to->x += share * v.x;
    to->y += share * v.y;
    to->z += share * v.z;
    to->w += share * v.w;
}

/* Four elements of up to TOGETHER pairs. */
struct batch {
    float4 s[TOGETHER], y[TOGETHER];
};

/* Those of the pairs from first on, at i. */
static __device__ __forceinline__ void bring(const struct pairs &p, size_t i, size_t n,
                                             int first, struct batch *b)
{
#pragma unroll
    for (int k = 0; k < TOGETHER; k++)
        if (first + k < p.count) {
            b->s[k] = load4(p.s[first + k], i, n);
            b->y[k] = load4(p.y[first + k], i, n);
        }
}

static __device__ __forceinline__ void add(const struct batch &b, int first, int count,
                                           const float *share, float4 *d)
{
#pragma unroll
    for (int k = 0; k < TOGETHER; k++)
        if (first + k < count) {
            add4(d, share[1 + first + k], b.s[k]);
            add4(d, share[1 + count + first + k], b.y[k]);
        }
}

/* One variable: d within the box, and how far it goes. */
static __device__ __forceinline__ float cut(float x, float g, float d,
                                            struct nst_box box, float *trial,
                                            float *longest)
{
    float room;

    d = is_free(x, g, box) ? into(x + d, box) - x : 0;
    *trial = into(x + d, box);
    room = d > 0 ? box.upper - x : x - box.lower;
    if (d != 0)
        *longest = fminf(*longest, room / fabsf(d));
    return d;
}

/* Four variables at i, whose first pairs are there; n is past these, or what there is.
 * The trial may be a vector that is read: an element of all is, before it is written.
 */
static __device__ __forceinline__ void make(const struct pairs &p, size_t i, size_t n,
                                            const float *share, struct batch *b,
                                            float *to, float *trial, struct told *t)
{
    float4 g = load4(p.g, i, n), d = make_float4(0, 0, 0, 0), x = d, at;
    float longest = 1e10f;

    if (p.x)
        x = load4(p.x, i, n);
    add(*b, 0, p.count, share, &d);
    for (int k = TOGETHER; k < p.count; k += TOGETHER) {
        bring(p, i, n, k, b);
        add(*b, k, p.count, share, &d);
    }
    add4(&d, share[0], g);
    if (p.x) {
        d.x = cut(x.x, g.x, d.x, p.box, &at.x, &longest);
        d.y = cut(x.y, g.y, d.y, p.box, &at.y, &longest);
        d.z = cut(x.z, g.z, d.z, p.box, &at.z, &longest);
        d.w = cut(x.w, g.w, d.w, p.box, &at.w, &longest);
        store4(trial, i, n, at);
    }
    store4(to, i, n, d);
    join(t, -(double)longest, product(d, g), 0);
}

/* The first pairs of a thread's first variables come before the shares are there: see
 * solve_kernel(). */
static __global__ void __launch_bounds__(TOLD_BLOCK, RESIDENT)
    direction_kernel(struct pairs p, const float *shares, float *to, float *trial,
                     struct teller teller)
{
    __shared__ float share[2 * PAIRS + 1];
    struct told t = {-1e10, 0, 0};
    size_t i = 4 * cuda_first();
    struct batch b;

    if (i + 4 <= p.n)
        bring(p, i, i + 4, 0, &b);
    ptx::begin();
    for (int k = (int)threadIdx.x; k < 2 * p.count + 1; k += TOLD_BLOCK)
        share[k] = shares[k];
    __syncthreads();
    while (i + 4 <= p.n) {
        make(p, i, i + 4, share, &b, to, trial, &t);
        i += 4 * cuda_step();
        if (i + 4 <= p.n)
            bring(p, i, i + 4, 0, &b);
    }
    if (i < p.n) {
        bring(p, i, p.n, 0, &b);
        make(p, i, p.n, share, &b, to, trial, &t);
    }
    tell(teller, t);
}

void cuda_direction_furnish(struct cuda *cu)
{
    cuda_products_allow(cu);
    cuda_shares_allow(cu);
}

/* Parts, their sums, and shares, one after the other. */
size_t cuda_direction_bytes(size_t n, int pairs)
{
    size_t most = 0;

    for (int count = 0; count <= pairs; count++) {
        struct places places = {count};
        size_t numbers = places.all() * ((size_t)cuda_stretches(n, count) + 1);

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
    }
    p.n = n;
    p.x = c->x;
    p.g = c->g;
    p.box = c->box;
    return p;
}

static struct solving solving_of(size_t n, const struct nst_descent *c, unsigned *done)
{
    struct solving a = {};
    struct places places = {c->pairs.count};
    double *parts = static_cast<double *>(c->work);

    a.count = places.count;
    a.stretches = cuda_stretches(n, places.count);
    a.parts = parts;
    a.products = parts + (size_t)places.all() * a.stretches;
    a.shares = reinterpret_cast<float *>(a.products + places.all());
    a.done = done;
    a.first = c->first;
    a.n = n;
    for (int i = 0; i < places.count; i++)
        a.yy[i] = c->pairs.yy[nst_ring_slot(&c->pairs, i)];
    return a;
}

struct nst_downhill cuda_direction(struct nst_backend *be, size_t n,
                                   const struct nst_descent *c)
{
    struct cuda *cu = cuda_of(be);
    struct pairs p = pairs_of(n, c);
    struct teller to = cuda_teller(cu, OF_DIRECTION);
    struct solving a = solving_of(n, c, to.done);
    struct told t;

    cuda_products(cu, &p, static_cast<double *>(c->work));
    cuda_shares(cu, &a);
    cuda_pass(cu, direction_kernel, n, BLOCKS_MOST, p, a.shares, c->d, c->trial, to);
    t = cuda_told(cu, OF_DIRECTION);
    return {t.a, -t.most};
}
