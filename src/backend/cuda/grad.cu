/* SPDX-License-Identifier: MIT */
/*
 * grad.cu - the way back: a convolution of the gradients by what it put out, and the
 * join with what lies between it and the map that it read of (join.cu). What several
 * regions, or one that join.cu cannot multiply, have as terms is made a map of floats
 * before.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/joint.cuh"
#include "backend/cuda/operators.cuh"

#include <float.h>
#include <math.h>

/*
 * Rows of a symmetric c x c matrix as halves, a warp each: times the power of two that
 * brings the row's largest magnitude near 2^10, so that products have room on either
 * side; scales: what they are times then.
 */
__global__ static void matrix_kernel(const float *matrix, int c, __half *to,
                                     float *scales)
{
    int row = (int)(cuda_first() / 32), lane = (int)(threadIdx.x % 32), exponent = 10;
    float most = 0;

    if (row >= c)
        return;
    matrix += (size_t)row * c;
    for (int i = lane; i < c; i += 32)
        most = fmaxf(most, fabsf(matrix[i]));
    for (int other = 16; other > 0; other /= 2)
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, other));
    if (most > 0 && most <= FLT_MAX)
        frexpf(most, &exponent);
    for (int i = lane; i < c; i += 32)
        put(&to[(size_t)row * c + i], ldexpf(matrix[i], 10 - exponent));
    if (lane == 0)
        scales[row] = ldexpf(1, exponent - 10);
}

/* A matrix as it is multiplied: see struct region. Halves and their scales lie behind
 * the floats that they are made of. */
template <class T> struct multiplier {
    const T *matrix;
    const float *scales;
    size_t bytes; /* of all of it */
};

static struct multiplier<float> multiplier_of(const float *matrix, size_t c, float) {
    return {matrix, NULL, c *c * sizeof *matrix};
}

static struct multiplier<__half>
multiplier_of(const float *matrix, size_t c, __half) {
    const __half *halves = reinterpret_cast<const __half *>(matrix + c * c);
    /* an even number of halves, for scales are aligned */
    const float *scales = matrix + c * c + (c * c + 1) / 2;

    return {halves, scales, (c * c + (c * c + 1) / 2 + c) * sizeof *matrix};
}

template <class T>
size_t cuda_matrix_bytes(const struct nst_backend *, int channels)
{
    return multiplier_of(NULL, (size_t)channels, T()).bytes;
}

template <class T>
void cuda_ready_matrix(struct nst_backend *be, int channels, float *derivative)
{
    struct cuda *cu = cuda_of(be);
    struct multiplier<T> m = multiplier_of(derivative, (size_t)channels, T());

    if constexpr (sizeof(T) == 2) {
        cuda_go_aside(cu, NULL);
        cuda_launch(cu, matrix_kernel, dim3((unsigned)(channels + 3) / 4), 128, 0,
                    derivative, channels, const_cast<__half *>(m.matrix),
                    const_cast<float *>(m.scales));
        cuda_come_back(cu);
    }
}

/* sum (+)= guide[pixel] (scales product + scale offset) of pixels from first on */
template <class T>
__global__ void region_kernel(const float *product, struct region<T> r, bool more,
                              float *sum, int c, size_t first, size_t pixels)
{
    for (size_t i = cuda_first(); i < pixels * c; i += cuda_step()) {
        size_t k = i % c;
        float v = (r.scales ? r.scale * r.scales[k] : 1) * product[i];

        v += r.offset ? r.scale * r.offset[k] : 0;
        v *= r.guide ? r.guide[first + i / c] : 1;
        sum[i] = more ? sum[i] + v : v;
    }
}

/* Where losses are worked out. */
template <class T> struct loss_room {
    T *clipped; /* of a band: the map after its ReLU */
    float *product, *after, *before;
};

/* As kernels take it: terms before the ReLU or after it. */
template <class T>
static struct region<T> region_of(const struct cuda *cu,
                                  const struct nst_region_terms *r,
                                  const struct nst_joint *joint, bool before) {
    struct multiplier<T> m = multiplier_of(r->matrix, (size_t)joint->y->shape.c, T());

    return {m.matrix,
            m.scales,
            r->offset,
            cu->base.gradient_scale,
            r->guide,
            before,
            joint->before_relu && !before};
}

/*
 * What the regions' losses before the ReLU or after it add to the gradient by pixels of
 * the map from first on, to sum, in float: see struct nst_region_terms. Returns sum;
 * NULL if there are none.
 */
template <class T>
static const float *add_regions(struct cuda *cu, const struct nst_joint *joint,
                                bool before, size_t first, size_t pixels,
                                const struct loss_room<T> &l, float *sum)
{
    const struct nst_terms *t = before ? &joint->before : &joint->after;
    int c = joint->y->shape.c;
    const T *f = values<T>(joint->y) + first * c;

    for (int i = 0; i < t->regions; i++) {
        struct region<T> r = region_of<T>(cu, &t->region[i], joint, before);

        if (r.clip && i == 0) {
            cuda_copy(cu, f, true, l.clipped, pixels * c);
            f = l.clipped;
        }
        cuda_product<T>(cu, pixels, c, c, 1, f, r.matrix, 0, l.product);
        cuda_launch_over(cu, region_kernel<T>, pixels * c, l.product, r, i > 0, sum, c,
                         first, pixels);
    }
    return t->regions > 0 ? sum : NULL;
}

template <class T>
static struct addition<T> addition_of(const struct cuda *cu,
                                      const struct nst_terms *t) {
    return {NULL, t->target ? values<T>(t->target) : NULL,
            t->scale * cu->base.gradient_scale};
}

/* A gradient on its way through a joint, so many rows of windows at a time. */
template <class T>
struct passage {
    const struct nst_joint *given;
    const struct nst_conv *k; /* or NULL: none follows */
    struct patches<T> of;     /* of the gradients by what it put out */
    struct joint<T> j;        /* all of it */
    bool multiplies;          /* the join does, the only region */
    bool splits;              /* or what makes its terms before, of all its channels */
    struct loss_room<T> losses;
    struct region<T> region;
    T *gx;
    float *terms;          /* where it splits */
    struct cuda_room room; /* what is left of it */
};

template <class T>
static struct passage<T> enter(const struct cuda *cu, const struct nst_conv *k,
                               const struct nst_tensor *gy,
                               const struct nst_joint *joint) {
    struct nst_shape s = joint->y->shape;
    struct passage<T> p = {
    };

    p.given = joint;
    p.k = k;
    if (k)
        p.of = {values<T>(gy), static_cast<const T *>(k->back),
                k->cout,       k->cin,
                gy->shape.h,   gy->shape.w,
                false};
    p.j.y = values<T>(joint->y);
    p.j.c = s.c;
    p.j.h = s.h;
    p.j.w = s.w;
    p.j.pooled = joint->pooled;
    p.j.average = joint->pooling == NST_POOLING_AVG;
    p.j.after = addition_of<T>(cu, &joint->after);
    p.j.before = addition_of<T>(cu, &joint->before);
    p.j.peak = cu->peak;
    p.multiplies = joint->after.regions + joint->before.regions == 1 &&
                   cuda_joins_region<T>(cu, s.c);
    p.splits = p.multiplies && cuda_splits_region<T>(cu, s.c, s.h, s.w);
    return p;
}

/* Take room for the losses on so many rows of windows. */
template <class T>
static void furnish_losses(struct passage<T> *p, struct cuda_room *room, size_t n)
{
    p->losses.clipped = cuda_take<T>(room, n);
    p->losses.product = cuda_take<float>(room, n);
    p->losses.after = cuda_take<float>(room, n);
    p->losses.before = cuda_take<float>(room, n);
}

/* Take room: returns for how many rows of windows. */
template <class T> static int furnish(struct cuda *cu, struct passage<T> *p)
{
    size_t c = (size_t)p->j.c, row = 2 * c * p->j.w;
    size_t step = p->j.pooled ? 1 : 2, gx = p->k ? step * p->of.w * c : 0;
    bool some = p->given->after.regions + p->given->before.regions > 0;
    size_t sums = some && !p->multiplies ? row : 0, terms = p->splits ? row : 0;
    int rows;

    p->room = cuda_room(cu);
    rows = cuda_rows(&p->room,
                     gx * sizeof(T) + sums * (sizeof(T) + 3 * sizeof(float)) +
                         terms * sizeof(float) +
                         (p->k ? step * cuda_laid_row(cu, p->of) : 0) + 1,
                     (p->j.h + 1) / 2);
    p->gx = cuda_take<T>(&p->room, rows * gx);
    p->terms = cuda_take<float>(&p->room, rows * terms);
    furnish_losses(p, &p->room, rows * sums);
    return rows;
}

/* The gradients by what the convolution read of some rows of windows. */
template <class T>
static void go_back(struct cuda *cu, const struct passage<T> *p, int top, int rows)
{
    int step = p->j.pooled ? 1 : 2, first = step * top, end = step * (top + rows);
    struct outcome<T> o = {
        NULL, p->gx, NULL, false, false, first, 0
    };

    o.rows = (end < p->of.h ? end : p->of.h) - first;
    if (o.rows > 0) /* not so where all that is left is a row that was not pooled */
        cuda_convolve(cu, p->of, o, p->room);
}

/* They become gradients by y. */
template <class T>
static void join_rows(struct cuda *cu, const struct passage<T> *p, int top, int rows)
{
    size_t pixels = (size_t)2 * top * p->j.w, first = pixels * p->j.c;
    int left = p->j.h - 2 * top;
    struct joint<T> j = p->j;
    struct region<T> r = p->region;

    j.h = 2 * rows < left ? 2 * rows : left;
    j.y += first;
    j.gx = p->k ? p->gx : NULL;
    j.after.target += j.after.target ? first : 0;
    j.before.target += j.before.target ? first : 0;
    if (p->multiplies) {
        r.guide += r.guide ? pixels : 0;
        if (!p->splits) {
            cuda_join_region(cu, j, r);
            return;
        }
        cuda_region_terms(cu, j, r, p->terms);
        (r.before ? j.before : j.after).sum = p->terms;
        cuda_join(cu, j);
        return;
    }
    j.after.sum = add_regions(cu, p->given, false, pixels, (size_t)j.h * j.w, p->losses,
                              p->losses.after);
    j.before.sum = add_regions(cu, p->given, true, pixels, (size_t)j.h * j.w, p->losses,
                               p->losses.before);
    cuda_join(cu, j);
}

template <class T>
void cuda_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                    const struct nst_tensor *gy, const struct nst_joint *joint)
{
    struct cuda *cu = cuda_of(be);
    struct passage<T> p = enter<T>(cu, k, gy, joint);
    int rows = furnish(cu, &p), all = (p.j.h + 1) / 2;
    bool before = joint->before.regions > 0;

    cuda_wait_aside(cu);
    if (p.multiplies)
        p.region = region_of<T>(cu, before ? joint->before.region : joint->after.region,
                                joint, before);
    for (int top = 0; top < all; top += rows) {
        int here = top + rows < all ? rows : all - top;

        if (k)
            go_back(cu, &p, top, here);
        join_rows(cu, &p, top, here);
    }
}

template <class T>
void cuda_last_grad(struct nst_backend *be, const struct nst_joint *joint)
{
    cuda_conv_grad<T>(be, NULL, NULL, joint);
}

#define OF(T)                                                                          \
    template size_t cuda_matrix_bytes<T>(const struct nst_backend *, int);             \
    template void cuda_ready_matrix<T>(struct nst_backend *, int, float *);            \
    template void cuda_conv_grad<T>(struct nst_backend *, const struct nst_conv *,     \
                                    const struct nst_tensor *,                         \
                                    const struct nst_joint *);                         \
    template void cuda_last_grad<T>(struct nst_backend *, const struct nst_joint *);
OF(float)
OF(__half)
