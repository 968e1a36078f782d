/* SPDX-License-Identifier: MIT */
/*
 * maps.cu - numbers and tensors on the device, and their way there and back.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "base/mem.h"
}

enum nst_status cuda_numbers_new(struct nst_backend *be, void **out, size_t bytes,
                                 struct nst_err *err)
{
    return cuda_alloc(cuda_of(be), out, bytes, err);
}

void cuda_numbers_free(struct nst_backend *be, void *numbers)
{
    struct cuda *cu = cuda_of(be);

    cuda_ok(cu, cudaFree(numbers));
}

void cuda_put(struct nst_backend *be, void *to, const void *from, size_t bytes)
{
    struct cuda *cu = cuda_of(be);

    cuda_wait_aside(cu);
    cuda_send(cu, to, from, bytes);
    cuda_ok(cu, cudaStreamSynchronize(cu->line.stream)); /* what goes aside sees it */
}

/* Gradients of fp16 are wanted between the smallest numbers and the largest: near 2^11
 * at their largest. Where they were far from it they are scaled anew from now on, and
 * where some may have been cut off they must be worked out again. What comes through a
 * convolution is cut off at 65504, and what is seen of it is a quarter after average
 * pooling, and more or less where losses add to it. */
static void settle(struct cuda *cu)
{
    const float most = 65504 / 4, wanted = 2048;
    float peak;
    int exponent;

    memcpy(&peak, cu->peak_here, sizeof peak);
    cuda_ok(cu, cudaMemsetAsync(cu->peak, 0, sizeof *cu->peak, cu->line.stream));
    cu->unsettled = false;
    cu->base.again = !(peak < most) || (peak > 0 && peak < wanted / 65536);
    if (peak > wanted * 4 || (peak > 0 && peak < wanted / 16)) {
        frexpf(peak / wanted, &exponent);
        if (!isfinite(peak))
            exponent = 24;
        cu->base.gradient_scale = ldexpf(cu->base.gradient_scale, -exponent);
    }
    /* no power of two helps a gradient that is not finite */
    if (!(cu->base.gradient_scale > ldexpf(1, -100)) ||
        cu->base.gradient_scale > ldexpf(1, 100)) {
        cu->base.gradient_scale = 1;
        cu->base.again = false;
    }
}

void cuda_get(struct nst_backend *be, void *to, const void *from, size_t bytes)
{
    struct cuda *cu = cuda_of(be);

    cuda_receive(cu, to, from, bytes);
    if (cu->unsettled)
        settle(cu);
}

void cuda_copy_numbers(struct nst_backend *be, void *to, const void *from, size_t bytes)
{
    struct cuda *cu = cuda_of(be);

    cuda_ok(cu, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                                cu->line.stream));
}

void cuda_copy_window(struct nst_backend *be, const float *from, struct nst_planes of,
                      struct nst_window window, float *to, struct nst_planes to_of,
                      int to_top, int to_left)
{
    struct cuda *cu = cuda_of(be);
    size_t width = (size_t)window.width * sizeof(float);

    for (size_t k = 0; k < 3; k++)
        cuda_ok(cu, cudaMemcpy2DAsync(
                        to + (k * to_of.height + to_top) * to_of.width + to_left,
                        (size_t)to_of.width * sizeof(float),
                        from + (k * of.height + window.top) * of.width + window.left,
                        (size_t)of.width * sizeof(float), width, (size_t)window.height,
                        cudaMemcpyDeviceToDevice, cu->line.stream));
}

void cuda_tensor_free(struct nst_backend *be, struct nst_tensor *t)
{
    struct cuda *cu = cuda_of(be);

    if (!t)
        return;
    cuda_ok(cu, cudaFree(t->data));
    if (reinterpret_cast<struct cuda_tensor *>(t)->made)
        cuda_ok(cu, cudaEventDestroy(reinterpret_cast<struct cuda_tensor *>(t)->made));
    free(t);
}

template <class T>
size_t cuda_tensor_bytes(const struct nst_backend *be, struct nst_shape shape,
                         size_t *scratch)
{
    const struct cuda *cu = reinterpret_cast<const struct cuda *>(be);
    size_t wanted = cuda_scratch_for(cu, shape);

    if (wanted > *scratch)
        *scratch = wanted;
    return nst_shape_count(shape) * sizeof(T);
}

template <class T>
enum nst_status cuda_tensor_new(struct nst_backend *be, struct nst_tensor **out,
                                struct nst_shape shape, struct nst_err *err)
{
    struct cuda *cu = cuda_of(be);
    enum nst_status st =
        cuda_want_scratch(cu, &cu->line, cuda_scratch_for(cu, shape), err);
    void *data = NULL;
    struct cuda_tensor *t;

    *out = NULL;
    if (st == NST_OK)
        st = cuda_alloc(cu, &data, nst_shape_count(shape) * sizeof(T), err);
    if (st != NST_OK)
        return st;
    t = static_cast<struct cuda_tensor *>(nst_xcalloc(1, sizeof *t));
    t->base.shape = shape;
    t->base.data = static_cast<float *>(data);
    if (!cuda_ok(cu, cudaEventCreateWithFlags(&t->made, cudaEventDisableTiming))) {
        cuda_tensor_free(be, &t->base);
        return cuda_finish(cu, err);
    }
    *out = &t->base;
    return NST_OK;
}

template <class T>
__global__ void copy_kernel(const T *from, bool clip, T *to, size_t n)
{
    for (size_t i = cuda_first(); i < n; i += cuda_step()) {
        float v = value(from[i]);

        put(&to[i], clip ? relu(v) : v);
    }
}

template <class T>
void cuda_copy(struct cuda *cu, const T *from, bool clip, T *to, size_t n)
{
    cuda_launch_over(cu, copy_kernel<T>, n, from, clip, to, n);
}

template <class T>
void cuda_tensor_copy(struct nst_backend *be, const struct nst_tensor *from, bool clip,
                      struct nst_tensor *to)
{
    struct cuda *cu = cuda_of(be);

    cuda_wait_aside(cu);
    cuda_copy<T>(cu, values<T>(from), clip, values<T>(to),
                 nst_shape_count(from->shape));
    cuda_made(cu, to);
    cuda_hold_aside(cu); /* what goes aside may read it beside another */
}

/* planes (c x pixels) to pixels of c, or back */
template <class T>
__global__ void pack_kernel(const float *planes, T *pixels, int c, size_t area)
{
    for (size_t i = cuda_first(); i < area * c; i += cuda_step())
        put(&pixels[i], planes[i % c * area + i / c]);
}

template <class T>
__global__ void unpack_kernel(const T *pixels, float *planes, int c, size_t area)
{
    for (size_t i = cuda_first(); i < area * c; i += cuda_step())
        planes[i % c * area + i / c] = value(pixels[i]);
}

/* Rows of all planes at once, between the host and the scratch. */
template <class T, class F>
static void by_rows(struct cuda *cu, struct nst_shape s, F part)
{
    struct cuda_room room = cuda_room(cu);
    int rows = cuda_rows(&room, (size_t)s.c * s.w * sizeof(float), s.h);
    float *planes = cuda_take<float>(&room, (size_t)s.c * s.w * rows);

    for (int top = 0; top < s.h; top += rows)
        part(planes, top, top + rows < s.h ? rows : s.h - top);
}

template <class T>
void cuda_upload(struct nst_backend *be, const float *planar, struct nst_tensor *t)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = t->shape;
    size_t pitch = nst_shape_area(s) * sizeof(float);

    by_rows<T>(cu, s, [=](float *planes, int top, int rows) {
        size_t area = (size_t)rows * s.w, width = area * sizeof(float);

        cuda_ok(cu, cudaMemcpy2DAsync(planes, width, planar + (size_t)top * s.w, pitch,
                                      width, (size_t)s.c, cudaMemcpyDefault,
                                      cu->line.stream));
        cuda_launch_over(cu, pack_kernel<T>, area * s.c, planes,
                         values<T>(t) + (size_t)top * s.w * s.c, s.c, area);
    });
    cuda_made(cu, t);
    cuda_hold_aside(cu);
}

template <class T>
void cuda_download(struct nst_backend *be, const struct nst_tensor *t, float *planar)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = t->shape;
    size_t pitch = nst_shape_area(s) * sizeof(float);

    by_rows<T>(cu, s, [=](float *planes, int top, int rows) {
        size_t area = (size_t)rows * s.w, width = area * sizeof(float);

        cuda_launch_over(cu, unpack_kernel<T>, area * s.c,
                         values<T>(t) + (size_t)top * s.w * s.c, planes, s.c, area);
        cuda_ok(cu, cudaMemcpy2DAsync(planar + (size_t)top * s.w, pitch, planes, width,
                                      width, (size_t)s.c, cudaMemcpyDefault,
                                      cu->line.stream));
    });
    cuda_ok(cu, cudaStreamSynchronize(cu->line.stream));
}

#define OF(T)                                                                          \
    template size_t cuda_tensor_bytes<T>(const struct nst_backend *, struct nst_shape, \
                                         size_t *);                                    \
    template enum nst_status cuda_tensor_new<T>(struct nst_backend *,                  \
                                                struct nst_tensor **,                  \
                                                struct nst_shape, struct nst_err *);   \
    template void cuda_copy<T>(struct cuda *, const T *, bool, T *, size_t);           \
    template void cuda_tensor_copy<T>(struct nst_backend *, const struct nst_tensor *, \
                                      bool, struct nst_tensor *);                      \
    template void cuda_upload<T>(struct nst_backend *, const float *,                  \
                                 struct nst_tensor *);                                 \
    template void cuda_download<T>(struct nst_backend *, const struct nst_tensor *,    \
                                   float *);
OF(float)
OF(__half)
