/* SPDX-License-Identifier: MIT */
/*
 * conv.cu - convolutions and the way back through them. Where there are tensor cores
 * the patches are read as they are multiplied (implicit.cu); elsewhere they are laid
 * out, so many rows at a time, and cuBLAS multiplies them.
 */
#include "config.h"

#include "backend/cuda/conv.cuh"
#include "backend/cuda/operators.cuh"

#include <math.h>
#include <vector>
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

template <class T>
static void laid_out_conv(struct cuda *cu, const struct patches<T> &p,
                          const struct outcome<T> &o)
{
    struct cuda_room room = cuda_room(cu);
    size_t row = (size_t)p.w * 9 * p.cin;
    int rows = cuda_rows(&room, row * sizeof(T), p.h);
    T *laid = cuda_take<T>(&room, row * rows);
    size_t n = (size_t)p.h * p.w * p.cout;

    for (int top = 0; top < p.h; top += rows) {
        int here = top + rows < p.h ? rows : p.h - top;
        size_t pixels = (size_t)here * p.w;
        T *y = o.y + (size_t)top * p.w * p.cout;

        cuda_launch_over(cu, patches_kernel<T>, here * row, p, top, here, laid);
        cuda_launch_over(cu, bias_kernel<T>, pixels * p.cout, o.bias, y, p.cout,
                         pixels);
        cuda_product<T>(cu, pixels, p.cout, 9 * p.cin, 1, laid, p.weight, 1, y);
    }
    if (o.relu)
        cuda_launch_over(cu, relu_kernel<T>, n, o.y, n);
    if (o.pooled)
        cuda_launch_over(cu, pool_kernel<T>, n / 4, o.y, p.cout, p.h, p.w, o.average,
                         o.pooled);
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

    if (cuda_implicit(cu, k->cin) && cuda_implicit(cu, k->cout))
        cuda_implicit_conv(cu, p, o);
    else
        laid_out_conv(cu, p, o);
    cuda_made(cu, y);
}

/* gx: rows x w x c, gradients by what was read; NULL: 0. */
template <class T>
__global__ void join_kernel(const T *gx, int top, int rows, int w, struct joint<T> j)
{
    size_t n = (size_t)rows * w * j.c;
    float peak = 0;

    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        int k = (int)(i % j.c), column = (int)(i / j.c % w);
        int row = top + (int)(i / j.c / w);

        peak = fmaxf(peak, join_pixel(j, row, column, k, gx ? value(gx[i]) : 0));
    }
    note_peak(j, peak);
}

/* s (c x c) times scale, as T. */
template <class T>
__global__ void matrix_kernel(const float *s, float scale, T *to, size_t n)
{
    for (size_t i = cuda_first(); i < n; i += cuda_step())
        put(&to[i], scale * s[i]);
}

/* sum (+)= guide[pixel] (g + scale offset) */
__global__ static void region_kernel(const float *g, const float *guide,
                                     const float *offset, float scale, bool add,
                                     float *sum, int c, size_t pixels)
{
    for (size_t i = cuda_first(); i < pixels * c; i += cuda_step()) {
        float v = g[i] + (offset ? scale * offset[i % c] : 0);

        v *= guide ? guide[i / c] : 1;
        sum[i] = add ? sum[i] + v : v;
    }
}

/* The power of two that brings the largest of n values near 2^10: products of fp16 have
 * room on either side then. */
static float scale_for(const float *v, size_t n)
{
    float most = 0;
    int exponent;

    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(v[i]));
    if (!(most > 0) || !isfinite(most))
        return 1;
    frexpf(most, &exponent);
    return ldexpf(1, 10 - exponent);
}

/* Where losses are worked out, for so many rows of a map of c channels at once. */
template <class T> struct loss_room {
    float *raw, *guide; /* as they come from the host */
    T *matrix;
    T *clipped;                      /* the map after its ReLU */
    float *product, *after, *before; /* maps */
};

/*
 * What the regions' losses on pixels of y from first on add to the gradient by them, to
 * sum, in float: see struct nst_region_terms. clip: they look at what its ReLU leaves.
 * Returns sum; NULL if there are none.
 */
template <class T>
static const float *add_regions(struct cuda *cu, const struct nst_terms *t,
                                const struct nst_tensor *y, bool clip, size_t first,
                                size_t pixels, const struct loss_room<T> &l, float *sum)
{
    int c = y->shape.c;
    size_t square = (size_t)c * c;
    const T *f = values<T>(y) + first * c;

    if (t->regions == 0)
        return NULL;
    if (clip) {
        cuda_copy(cu, f, true, l.clipped, pixels * c);
        f = l.clipped;
    }
    for (int i = 0; i < t->regions; i++) {
        const struct nst_region_terms *r = &t->region[i];
        std::vector<float> here(square);
        float by = 1;

        if (sizeof(T) == 2) {
            cuda_receive(cu, here.data(), r->matrix, square * sizeof(float));
            by = scale_for(here.data(), square);
        }
        bool plain = t->regions == 1 && !r->guide && !r->offset;

        cuda_launch_over(cu, matrix_kernel<T>, square, r->matrix, by, l.matrix, square);
        cuda_product<T>(cu, pixels, c, c, cu->gradient_scale / by, f, l.matrix, 0,
                        plain ? sum : l.product);
        if (plain)
            break;
        cuda_launch_over(cu, region_kernel, pixels * c, l.product,
                         r->guide ? r->guide + first : NULL, r->offset,
                         cu->gradient_scale, i > 0, sum, c, pixels);
    }
    return sum;
}

template <class T> static const T *target_of(const struct nst_terms *t)
{
    return t->target ? values<T>(t->target) : NULL;
}

/* A gradient on its way through a joint. */
template <class T> struct passage {
    struct joint<T> j;
    struct loss_room<T> losses;
    struct cuda_room room; /* what is left of it */
    int step, most;        /* rows of y that one of gx stands for, and all of gx */
    int w;                 /* of gx */
    size_t row_bytes;      /* that the joint takes for each row of gx */
};

template <class T>
static struct passage<T> enter(struct cuda *cu, const struct nst_joint *joint) {
    struct nst_shape s = joint->y->shape;
    size_t square = (size_t)s.c * s.c, row = (size_t)s.c * s.w;
    struct passage<T> p = {
    };

    p.step = joint->pooled ? 2 : 1;
    p.most = s.h / p.step;
    p.w = s.w / p.step;
    p.j.y = values<T>(joint->y);
    p.j.c = s.c;
    p.j.h = s.h;
    p.j.w = s.w;
    p.j.pooled = joint->pooled;
    p.j.average = joint->pooling == NST_POOLING_AVG;
    p.j.after_target = target_of<T>(&joint->after);
    p.j.before_target = target_of<T>(&joint->before);
    p.j.after_scale = joint->after.scale * cu->gradient_scale;
    p.j.before_scale = joint->before.scale * cu->gradient_scale;
    p.j.peak = cu->peak;
    p.room = cuda_room(cu);
    p.losses.raw = cuda_take<float>(&p.room, square);
    p.losses.matrix = cuda_take<T>(&p.room, square);
    p.losses.guide = cuda_take<float>(&p.room, nst_shape_area(s));
    p.row_bytes = (size_t)p.step * row * 5 * sizeof(float);
    /* what is odd at the bottom comes with the last row */
    p.room.end -= row * 5 * sizeof(float);
    return p;
}

/* Room for so many rows of gx. */
template <class T>
static void furnish(struct passage<T> *p, int rows)
{
    size_t n = (size_t)(p->step * rows + p->step - 1) * p->j.w * p->j.c;

    p->losses.clipped = cuda_take<T>(&p->room, n);
    p->losses.product = cuda_take<float>(&p->room, n);
    p->losses.after = cuda_take<float>(&p->room, n);
    p->losses.before = cuda_take<float>(&p->room, n);
}

/* What the losses add at the rows of y that belong to these of gx. */
template <class T>
static void add_losses(struct cuda *cu, struct passage<T> *p,
                       const struct nst_joint *joint, int top, int rows)
{
    int first = p->step * top;
    int end = top + rows == p->most ? p->j.h : first + p->step * rows;
    size_t from = (size_t)first * p->j.w, pixels = (size_t)(end - first) * p->j.w;

    p->j.top = first;
    p->j.after = add_regions(cu, &joint->after, joint->y, joint->before_relu, from,
                             pixels, p->losses, p->losses.after);
    p->j.before = add_regions(cu, &joint->before, joint->y, false, from, pixels,
                              p->losses, p->losses.before);
}

template <class T>
void cuda_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                    const struct nst_tensor *gy, const struct nst_joint *joint)
{
    struct cuda *cu = cuda_of(be);
    struct passage<T> p = enter<T>(cu, joint);
    bool implicit = cuda_implicit(cu, k->cout) && k->cin % 2 == 0;
    size_t laid_row = implicit ? 0 : (size_t)p.w * 9 * k->cout,
           gx_row = (size_t)p.w * k->cin;
    int rows = cuda_rows(&p.room, p.row_bytes + laid_row * sizeof(T), p.most);
    struct patches<T> of = {
        values<T>(gy), static_cast<const T *>(k->back), k->cout, k->cin, p.most, p.w,
            false
    };
    T *laid, *gx;

    cuda_wait_aside(cu);
    furnish(&p, rows);
    laid = cuda_take<T>(&p.room, laid_row * rows);
    gx = cuda_take<T>(&p.room, gx_row * rows);
    for (int top = 0; top < p.most; top += rows) {
        int here = top + rows < p.most ? rows : p.most - top;

        add_losses(cu, &p, joint, top, here);
        if (implicit) {
            cuda_implicit_grad(cu, of, top, here, p.j);
            continue;
        }
        cuda_launch_over(cu, patches_kernel<T>, here * laid_row, of, top, here, laid);
        cuda_product<T>(cu, (size_t)here * p.w, k->cin, 9 * k->cout, 1, laid, of.weight,
                        0, gx);
        cuda_launch_over(cu, join_kernel<T>, here * gx_row, gx, top, here, p.w, p.j);
    }
}

template <class T>
void cuda_last_grad(struct nst_backend *be, const struct nst_joint *joint)
{
    struct cuda *cu = cuda_of(be);
    struct passage<T> p = enter<T>(cu, joint);
    int rows = cuda_rows(&p.room, p.row_bytes, p.most);

    cuda_wait_aside(cu);
    furnish(&p, rows);
    for (int top = 0; top < p.most; top += rows) {
        int here = top + rows < p.most ? rows : p.most - top;

        add_losses(cu, &p, joint, top, here);
        cuda_launch_over(cu, join_kernel<T>, (size_t)here * p.w * p.j.c,
                         static_cast<const T *>(NULL), top, here, p.w, p.j);
    }
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
