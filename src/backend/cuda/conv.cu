/* SPDX-License-Identifier: MIT */
/*
 * conv.cu - convolutions and the way back through them. Where there are tensor cores
 * the patches are read as they are multiplied (implicit.cu); elsewhere they are laid
 * out, so many rows at a time, and cuBLAS multiplies them.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"

#include <float.h>
#include <math.h>
#include <stdlib.h>

extern "C" {
#include "base/mem.h"
}

void cuda_conv_free(struct nst_backend *be, struct nst_conv *k)
{
    struct cuda *cu = cuda_of(be);

    if (!k)
        return;
    cuda_ok(cu, cudaFree(k->ahead));
    cuda_ok(cu, cudaFree(k->back));
    cuda_ok(cu, cudaFree(k->bias));
    free(k);
}

/* A weight as tensor cores are to read it: floats are cut off to TF32 there. */
static __device__ __forceinline__ void put_weight(float *to, float v, bool tf32)
{
    *to = tf32 ? __uint_as_float(ptx::to_tf32(v)) : v;
}
static __device__ __forceinline__ void put_weight(__half *to, float v, bool)
{
    put(to, v);
}

/* w (cout x cin x 9) to ahead and back. */
template <class T>
__global__ void weights_kernel(const float *w, int cin, int cout, T *ahead, T *back,
                               bool tf32)
{
    for (size_t i = cuda_first(); i < (size_t)9 * cin * cout; i += cuda_step()) {
        size_t tap = i % 9, ci = i / 9 % cin, co = i / 9 / cin;

        put_weight(&ahead[(co * 9 + tap) * cin + ci], w[i], tf32);
        put_weight(&back[(ci * 9 + 8 - tap) * cout + co], w[i], tf32);
    }
}

/* The same of a picture's convolution. */
template <class T>
__global__ void picture_weights_kernel(const float *w, int cout, float *ahead, T *back)
{
    for (size_t i = cuda_first(); i < (size_t)PICTURE_ROWS * cout; i += cuda_step()) {
        size_t row = i / cout, co = i % cout;
        float v = row < 27 ? w[(co * 3 + row % 3) * 9 + row / 3] : 0;

        put(&back[i], v);
        if (row < 27)
            ahead[co * 27 + row] = v;
    }
}

template <class T>
enum nst_status cuda_conv_new(struct nst_backend *be, struct nst_conv **out,
                              const float *weight, const float *bias, int cin, int cout,
                              const struct nst_normalisation *picture,
                              struct nst_err *err)
{
    struct cuda *cu = cuda_of(be);
    struct nst_conv *k = static_cast<struct nst_conv *>(nst_xcalloc(1, sizeof *k));
    size_t n = (size_t)9 * cin * cout, back = picture ? (size_t)PICTURE_ROWS * cout : n;
    enum nst_status st;

    *out = NULL;
    k->cin = cin;
    k->cout = cout;
    k->picture = picture;
    st = cuda_alloc(cu, &k->ahead, n * (picture ? sizeof(float) : sizeof(T)), err);
    if (st == NST_OK)
        st = cuda_alloc(cu, &k->back, back * sizeof(T), err);
    if (st == NST_OK)
        st = cuda_alloc(cu, reinterpret_cast<void **>(&k->bias),
                        (size_t)cout * sizeof(float), err);
    if (st == NST_OK)
        st = cuda_want_scratch(cu, n * sizeof(float), err);
    if (st != NST_OK) {
        cuda_conv_free(be, k);
        return st;
    }
    cuda_send(cu, cu->line.scratch, weight, n * sizeof(float));
    cuda_send(cu, k->bias, bias, (size_t)cout * sizeof(float));
    if (picture)
        cuda_launch_over(cu, picture_weights_kernel<T>, back,
                         reinterpret_cast<const float *>(cu->line.scratch), cout,
                         static_cast<float *>(k->ahead), static_cast<T *>(k->back));
    else
        cuda_launch_over(cu, weights_kernel<T>, n,
                         reinterpret_cast<const float *>(cu->line.scratch), cin, cout,
                         static_cast<T *>(k->ahead), static_cast<T *>(k->back),
                         cu->precision == NST_PRECISION_TF32);
    /* Others that share it have streams of their own; and a device that there is no
     * code for says so now, not with the first picture. */
    st = cuda_finish(cu, err);
    if (st != NST_OK) {
        cuda_conv_free(be, k);
        return st;
    }
    cuda_look_around(cu);
    *out = k;
    return NST_OK;
}

/* Patches of rows from top on: each pixel's 9 x cin values. */
template <class T>
__global__ void patches_kernel(struct patches<T> p, int top, int rows, T *out)
{
    size_t n = (size_t)rows * p.w * 9 * p.cin;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        int ci = (int)(i % p.cin), tap = (int)(i / p.cin % 9);
        size_t pixel = i / p.cin / 9;
        int row = top + (int)(pixel / p.w) + tap / 3 - 1;
        int column = (int)(pixel % p.w) + tap % 3 - 1;
        float v = 0;

        if (row >= 0 && row < p.h && column >= 0 && column < p.w)
            v = value(p.x[((size_t)row * p.w + column) * p.cin + ci]);
        put(&out[i], p.relu ? relu(v) : v);
    }
}

template <class T>
__global__ void bias_kernel(const float *bias, T *y, int c, size_t pixels)
{
    for (size_t i = cuda_first(); i < pixels * c; i += cuda_step())
        put(&y[i], bias[i % c]);
}

/* What comes after a product with patches: the ReLU, and pooled, two by two. */
template <class T> __global__ void relu_kernel(T *y, size_t n)
{
    for (size_t i = cuda_first(); i < n; i += cuda_step())
        put(&y[i], relu(value(y[i])));
}

template <class T>
__global__ void pool_kernel(const T *y, int c, int h, int w, bool average, T *pooled)
{
    size_t n = (size_t)(h / 2) * (w / 2) * c;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        size_t k = i % c, column = i / c % (w / 2), row = i / c / (w / 2);
        const T *from = y + (2 * row * w + 2 * column) * c + k;
        float a = relu(value(from[0])), b = relu(value(from[c]));
        float d = relu(value(from[(size_t)w * c])),
              e = relu(value(from[(size_t)w * c + c]));

        put(&pooled[i],
            average ? 0.25f * (a + b + d + e) : fmaxf(fmaxf(a, b), fmaxf(d, e)));
    }
}

/* The same, on any device; room is for patches. */
template <class T>
static void laid_out_conv(struct cuda *cu, const struct patches<T> &p,
                          const struct outcome<T> &o, struct cuda_room room)
{
    size_t row = (size_t)p.w * 9 * p.cin;
    int rows = cuda_rows(&room, row * sizeof(T), o.rows);
    T *laid = cuda_take<T>(&room, row * rows);
    size_t n = (size_t)o.rows * p.w * p.cout;

    for (int done = 0; done < o.rows; done += rows) {
        int here = done + rows < o.rows ? rows : o.rows - done;
        size_t pixels = (size_t)here * p.w;
        T *y = o.y + (size_t)done * p.w * p.cout;

        cuda_launch_over(cu, patches_kernel<T>, here * row, p, o.top + done, here,
                         laid);
        if (o.bias)
            cuda_launch_over(cu, bias_kernel<T>, pixels * p.cout, o.bias, y, p.cout,
                             pixels);
        cuda_product<T>(cu, pixels, p.cout, 9 * p.cin, 1, laid, p.weight,
                        o.bias ? 1 : 0, y);
    }
    if (o.relu)
        cuda_launch_over(cu, relu_kernel<T>, n, o.y, n);
    if (o.pooled)
        cuda_launch_over(cu, pool_kernel<T>, n / 4, o.y, p.cout, p.h, p.w, o.average,
                         o.pooled);
}

static bool on_tensor_cores(const struct cuda *cu, const struct nst_conv *k)
{
    return cuda_implicit(cu, k->cin) && cuda_implicit(cu, k->cout);
}

template <class T>
void cuda_conv(struct nst_backend *be, const struct nst_conv *k,
               const struct nst_tensor *x, bool clip, struct nst_tensor *y,
               bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = y->shape;
    struct patches<T> p = {
        values<T>(x), static_cast<const T *>(k->ahead), k->cin, k->cout, s.h, s.w, clip
    };
    struct outcome<T> o = {
        k->bias, values<T>(y), pooled ? values<T>(pooled) : NULL, out_relu,
            pooling == NST_POOLING_AVG, 0, s.h
    };

    if (on_tensor_cores(cu, k))
        cuda_implicit_conv(cu, p, o);
    else
        laid_out_conv(cu, p, o, cuda_room(cu));
    cuda_made(cu, y);
}

/*
 * Rows of a symmetric c x c matrix as halves, a warp each: times the power of two that
 * brings the row's largest magnitude near 2^10, so that products have room on either
 * side; scales: what they are times then, if they are to be times scale.
 */
__global__ static void matrix_kernel(const float *matrix, int c, float scale,
                                     __half *to, float *scales)
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
        scales[row] = ldexpf(scale, exponent - 10);
}

/* sum (+)= guide[pixel] (scales product + scale offset) of pixels from first on */
template <class T>
__global__ void region_kernel(const float *product, struct region<T> r, bool more,
                              float *sum, int c, size_t first, size_t pixels)
{
    for (size_t i = cuda_first(); i < pixels * c; i += cuda_step()) {
        size_t k = i % c;
        float v = (r.scales ? r.scales[k] : 1) * product[i];

        v += r.offset ? r.scale * r.offset[k] : 0;
        v *= r.guide ? r.guide[first + i / c] : 1;
        sum[i] = more ? sum[i] + v : v;
    }
}

/* Where losses are worked out. */
template <class T> struct loss_room {
    T *halves; /* fp16: the matrix, and its rows' scales */
    float *scales;
    T *clipped; /* of a band: the map after its ReLU */
    float *product, *after, *before;
};

static const __half *matrix_for(struct cuda *cu, const float *matrix, int c,
                                const struct loss_room<__half> &l)
{
    cuda_launch(cu, matrix_kernel, dim3((unsigned)(c + 3) / 4), 128, 0, matrix, c,
                cu->gradient_scale, l.halves, l.scales);
    return l.halves;
}

static const float *matrix_for(struct cuda *, const float *matrix, int,
                               const struct loss_room<float> &)
{
    return matrix;
}

/* As kernels take it: terms before the ReLU or after it. */
template <class T>
static struct region<T> region_of(struct cuda *cu, const struct nst_region_terms *r,
                                  const struct nst_joint *joint, bool before,
                                  const struct loss_room<T> &l) {

    return {matrix_for(cu, r->matrix, joint->y->shape.c, l),
            sizeof(T) == 2 ? l.scales : NULL,
            r->offset,
            cu->gradient_scale,
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
        struct region<T> r = region_of(cu, &t->region[i], joint, before, l);

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
            t->scale * cu->gradient_scale};
}

/* A gradient on its way through a joint, a band of windows at a time. */
template <class T>
struct passage {
    struct joint<T> j;
    struct loss_room<T> losses;
    struct region<T> region; /* that the join itself multiplies, if it does */
    bool multiplies;
    struct cuda_room room; /* what is left of it */
    int step, h, w;        /* rows of gx to one of windows; of all gx */
    T *gx;
};

template <class T>
static struct passage<T> enter(struct cuda *cu, const struct nst_joint *joint) {
    struct nst_shape s = joint->y->shape;
    size_t square = (size_t)s.c * s.c;
    struct passage<T> p = {
    };

    p.j.y = values<T>(joint->y);
    p.j.c = s.c;
    p.j.h = s.h;
    p.j.w = s.w;
    p.j.pooled = joint->pooled;
    p.j.average = joint->pooling == NST_POOLING_AVG;
    p.j.after = addition_of<T>(cu, &joint->after);
    p.j.before = addition_of<T>(cu, &joint->before);
    p.j.peak = cu->peak;
    p.step = joint->pooled ? 1 : 2;
    p.h = joint->pooled ? s.h / 2 : s.h;
    p.w = joint->pooled ? s.w / 2 : s.w;
    p.room = cuda_room(cu);
    p.losses.halves = cuda_take<T>(&p.room, square);
    p.losses.scales = cuda_take<float>(&p.room, (size_t)s.c);
    return p;
}

/* Take room for a band, and for laid bytes of each row of gx that are not taken.
 * Returns how many rows of windows it has. */
template <class T>
static int furnish(struct cuda *cu, struct passage<T> *p, const struct nst_joint *joint,
                   size_t laid)
{
    int regions = joint->after.regions + joint->before.regions;
    size_t gx_row = (size_t)p->step * p->w * p->j.c, row = (size_t)2 * p->j.w * p->j.c;
    bool sums;
    int rows;

    p->multiplies = regions == 1 && cuda_joins_region<T>(cu, p->j.c);
    sums = regions > 0 && !p->multiplies;
    rows = cuda_rows(&p->room,
                     gx_row * sizeof(T) + p->step * laid +
                         (sums ? row * (sizeof(T) + 3 * sizeof(float)) : 0),
                     (p->j.h + 1) / 2);
    p->gx = cuda_take<T>(&p->room, rows * gx_row);
    if (sums) {
        p->losses.clipped = cuda_take<T>(&p->room, rows * row);
        p->losses.product = cuda_take<float>(&p->room, rows * row);
        p->losses.after = cuda_take<float>(&p->room, rows * row);
        p->losses.before = cuda_take<float>(&p->room, rows * row);
    }
    return rows;
}

/* The gradients by what a convolution read of a band, given those by what it put out.
 */
template <class T>
static void go_back(struct cuda *cu, const struct nst_conv *k, const T *gy,
                    const struct passage<T> *p)
{
    int top = p->step * p->j.top, end = top + p->step * p->j.rows;
    struct patches<T> of = {
        gy, static_cast<const T *>(k->back), k->cout, k->cin, p->h, p->w, false
    };
    struct outcome<T> o = {
        NULL, p->gx, NULL, false, false, top, (end < p->h ? end : p->h) - top
    };

    if (o.rows <= 0) /* a row of y's that was not pooled */
        return;
    if (on_tensor_cores(cu, k))
        cuda_implicit_conv(cu, of, o);
    else
        laid_out_conv(cu, of, o, p->room);
}

/* Make gradients of a band of y. */
template <class T>
static void join_band(struct cuda *cu, struct passage<T> *p,
                      const struct nst_joint *joint)
{
    size_t first = (size_t)2 * p->j.top * p->j.w;
    int end = 2 * (p->j.top + p->j.rows);
    size_t pixels = (size_t)(end < p->j.h ? end : p->j.h) * p->j.w - first;

    if (p->multiplies) {
        cuda_join_region(cu, p->j, p->region);
        return;
    }
    p->j.after.sum =
        add_regions(cu, joint, false, first, pixels, p->losses, p->losses.after);
    p->j.before.sum =
        add_regions(cu, joint, true, first, pixels, p->losses, p->losses.before);
    cuda_join(cu, p->j);
}

/* k: or NULL, no convolution follows. */
template <class T>
static void pass(struct cuda *cu, const struct nst_conv *k, const T *gy,
                 const struct nst_joint *joint)
{
    struct passage<T> p = enter<T>(cu, joint);
    bool laid = k && !on_tensor_cores(cu, k);
    int all = (p.j.h + 1) / 2;
    int rows = furnish(cu, &p, joint, laid ? 9 * sizeof(T) * p.w * k->cout : 0);

    cuda_wait_aside(cu);
    if (p.multiplies && joint->before.regions > 0)
        p.region = region_of(cu, joint->before.region, joint, true, p.losses);
    else if (p.multiplies)
        p.region = region_of(cu, joint->after.region, joint, false, p.losses);
    p.j.gx = k ? p.gx : NULL;
    for (p.j.top = 0; p.j.top < all; p.j.top += rows) {
        p.j.rows = p.j.top + rows < all ? rows : all - p.j.top;
        if (k)
            go_back(cu, k, gy, &p);
        join_band(cu, &p, joint);
    }
}

template <class T>
void cuda_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                    const struct nst_tensor *gy, const struct nst_joint *joint)
{
    pass<T>(cuda_of(be), k, values<T>(gy), joint);
}

template <class T>
void cuda_last_grad(struct nst_backend *be, const struct nst_joint *joint)
{
    pass<T>(cuda_of(be), NULL, NULL, joint);
}

#define OF(T)                                                                          \
    template enum nst_status cuda_conv_new<T>(                                         \
        struct nst_backend *, struct nst_conv **, const float *, const float *, int,   \
        int, const struct nst_normalisation *, struct nst_err *);                      \
    template void cuda_conv<T>(struct nst_backend *, const struct nst_conv *,          \
                               const struct nst_tensor *, bool, struct nst_tensor *,   \
                               bool, enum nst_pooling, struct nst_tensor *);           \
    template void cuda_conv_grad<T>(struct nst_backend *, const struct nst_conv *,     \
                                    const struct nst_tensor *,                         \
                                    const struct nst_joint *);                         \
    template void cuda_last_grad<T>(struct nst_backend *, const struct nst_joint *);
OF(float)
OF(__half)
