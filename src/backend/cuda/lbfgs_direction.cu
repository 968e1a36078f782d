/* SPDX-License-Identifier: MIT */
/*
 * lbfgs_direction.cu - the direction of L-BFGS: combines its vectors, projects the
 * result onto the box, and gives the first point to try.
 */
#include "config.h"

#include "backend/cuda/lbfgs.cuh"

/* Pairs loaded at once, and the blocks per SM that this leaves registers for. */
enum { BATCH_PAIRS = 10, BLOCKS_PER_SM = 3, MAX_BLOCKS = 132 * BLOCKS_PER_SM };

static __device__ __forceinline__ void axpy4(float4 *to, float coefficient, float4 v)
{
    to->x += coefficient * v.x;
    to->y += coefficient * v.y;
    to->z += coefficient * v.z;
    to->w += coefficient * v.w;
}

/* Four elements of up to BATCH_PAIRS pairs. */
struct batch {
    float4 s[BATCH_PAIRS], y[BATCH_PAIRS];
};

/* Load the elements from i on of the pairs from first on. */
static __device__ __forceinline__ void load_batch(const struct pairs &p, size_t i,
                                                  size_t n, int first, struct batch *b)
{
#pragma unroll
    for (int k = 0; k < BATCH_PAIRS; k++)
        if (first + k < p.count) {
            b->s[k] = load4(p.s[first + k], i, n);
            b->y[k] = load4(p.y[first + k], i, n);
        }
}

static __device__ __forceinline__ void add_batch(const struct batch &b, int first,
                                                 int count, const float *coefficient,
                                                 float4 *d)
{
#pragma unroll
    for (int k = 0; k < BATCH_PAIRS; k++)
        if (first + k < count) {
            axpy4(d, coefficient[1 + first + k], b.s[k]);
            axpy4(d, coefficient[1 + count + first + k], b.y[k]);
        }
}

/* One variable: returns d clipped to the box, and lowers *max_step to the step that
 * reaches the bound. */
static __device__ __forceinline__ float project(float x, float g, float d,
                                                struct nst_box box, float *trial,
                                                float *max_step)
{
    float to_bound;

    d = is_free(x, g, box) ? clamp_to_box(x + d, box) - x : 0;
    *trial = clamp_to_box(x + d, box);
    to_bound = d > 0 ? box.upper - x : x - box.lower;
    if (d != 0)
        *max_step = fminf(*max_step, to_bound / fabsf(d));
    return d;
}

/* Four variables from i on, before n; b has their first pairs. trial may be one of the
 * inputs: an element is read from all of them before it is written. */
static __device__ __forceinline__ void direction4(const struct pairs &p, size_t i,
                                                  size_t n, const float *coefficient,
                                                  struct batch *b, float *to,
                                                  float *trial, struct reduction *t)
{
    float4 g = load4(p.g, i, n), d = make_float4(0, 0, 0, 0), x = d, at;
    float max_step = 1e10f;

    if (p.x)
        x = load4(p.x, i, n);
    add_batch(*b, 0, p.count, coefficient, &d);
    for (int k = BATCH_PAIRS; k < p.count; k += BATCH_PAIRS) {
        load_batch(p, i, n, k, b);
        add_batch(*b, k, p.count, coefficient, &d);
    }
    axpy4(&d, coefficient[0], g);
    if (p.x) {
        d.x = project(x.x, g.x, d.x, p.box, &at.x, &max_step);
        d.y = project(x.y, g.y, d.y, p.box, &at.y, &max_step);
        d.z = project(x.z, g.z, d.z, p.box, &at.z, &max_step);
        d.w = project(x.w, g.w, d.w, p.box, &at.w, &max_step);
        store4(trial, i, n, at);
    }
    store4(to, i, n, d);
    combine(t, -(double)max_step, dot4(d, g), 0);
}

/* A thread loads its first pairs before the coefficients are complete: see
 * coefficients_kernel(). */
static __global__ void __launch_bounds__(REDUCE_BLOCK, BLOCKS_PER_SM)
    direction_kernel(struct pairs p, const float *coefficients, float *to, float *trial,
                     struct reducer reducer)
{
    __shared__ float coefficient[2 * MAX_PAIRS + 1];
    struct reduction t = {-1e10, 0, 0};
    size_t i = 4 * cuda_grid_index();
    struct batch b;

    if (i + 4 <= p.n)
        load_batch(p, i, i + 4, 0, &b);
    ptx::griddep_wait();
    for (int k = (int)threadIdx.x; k < 2 * p.count + 1; k += REDUCE_BLOCK)
        coefficient[k] = coefficients[k];
    __syncthreads();
    while (i + 4 <= p.n) {
        direction4(p, i, i + 4, coefficient, &b, to, trial, &t);
        i += 4 * cuda_grid_stride();
        if (i + 4 <= p.n)
            load_batch(p, i, i + 4, 0, &b);
    }
    if (i < p.n) {
        load_batch(p, i, p.n, 0, &b);
        direction4(p, i, p.n, coefficient, &b, to, trial, &t);
    }
    reduce_grid(reducer, t);
}

void cuda_direction_init(struct cuda *cu)
{
    cuda_lbfgs_dots_init(cu);
    cuda_lbfgs_coefficients_init(cu);
}

/* Workspace: parts, their sums, and the coefficients. */
size_t cuda_direction_bytes(size_t n, int pairs)
{
    size_t max = 0;

    for (int count = 0; count <= pairs; count++) {
        struct dot_layout layout = {count};
        size_t doubles = layout.size() * ((size_t)cuda_slice_count(n, count) + 1);

        if (doubles > max)
            max = doubles;
    }
    return max * sizeof(double) + (2 * (size_t)pairs + 1) * sizeof(float);
}

static struct pairs pairs_of(size_t n, const struct nst_direction_args *c)
{
    struct pairs p = {};

    p.count = c->pairs.count;
    for (int i = 0; i < p.count; i++) {
        int slot = nst_ring_slot(&c->pairs, i);

        p.s[i] = buffer_data<float>(c->pairs.s[slot]);
        p.y[i] = buffer_data<float>(c->pairs.y[slot]);
    }
    p.n = n;
    p.x = buffer_data<float>(c->x);
    p.g = buffer_data<float>(c->g);
    p.box = c->box;
    return p;
}

static struct coefficients_args coefficients_args_of(size_t n,
                                                     const struct nst_direction_args *c,
                                                     unsigned *done)
{
    struct coefficients_args a = {};
    struct dot_layout layout = {c->pairs.count};
    double *parts = buffer_data<double>(c->workspace);

    a.count = layout.count;
    a.slices = cuda_slice_count(n, layout.count);
    a.parts = parts;
    a.dots = parts + (size_t)layout.size() * a.slices;
    a.coefficients = reinterpret_cast<float *>(a.dots + layout.size());
    a.done = done;
    a.initial_rms = c->initial_rms;
    a.n = n;
    for (int i = 0; i < layout.count; i++)
        a.yy[i] = c->pairs.yy[nst_ring_slot(&c->pairs, i)];
    return a;
}

struct nst_direction cuda_direction(struct nst_backend *be, size_t n,
                                    const struct nst_direction_args *c)
{
    struct cuda *cu = cuda_of(be);
    struct pairs p = pairs_of(n, c);
    struct reducer to = cuda_reducer(cu, RESULT_DIRECTION);
    struct coefficients_args a = coefficients_args_of(n, c, to.done);
    struct reduction t;

    cuda_lbfgs_dots(cu, &p, buffer_data<double>(c->workspace));
    cuda_lbfgs_coefficients(cu, &a);
    cuda_launch_reduction(cu, direction_kernel, n, MAX_BLOCKS, p, a.coefficients,
                          buffer_data<float>(c->d), buffer_data<float>(c->trial), to);
    t = cuda_reduction_result(cu, RESULT_DIRECTION);
    return {t.a, -t.max};
}
