/* SPDX-License-Identifier: MIT */
/*
 * tensor.cu - buffers and tensors on the device: allocation, upload, download, copies.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "base/alloc.h"
}

enum nst_status cuda_buffer_alloc(struct nst_backend *be, struct nst_buffer **out,
                                  size_t bytes, struct nst_err *err)
{
    void *memory;
    enum nst_status st = cuda_alloc(cuda_of(be), &memory, bytes, err);

    *out = static_cast<struct nst_buffer *>(memory);
    return st;
}

void cuda_buffer_free(struct nst_backend *be, struct nst_buffer *buffer)
{
    struct cuda *cu = cuda_of(be);

    cuda_ok(cu, cudaFree(buffer));
}

void cuda_buffer_upload(struct nst_backend *be, struct nst_buffer *to, const void *from,
                        size_t bytes)
{
    struct cuda *cu = cuda_of(be);

    cuda_main_wait_side(cu);
    cuda_copy_async(cu, to, from, bytes);
    /* the side stream must see the data, too */
    cuda_ok(cu, cudaStreamSynchronize(cu->current.stream));
}

/* Keep the largest gradient of fp16 near 2^11, far from both ends of the range. A
 * peak far from it changes the loss scale from now on. If values may have been cut
 * off at either end, grad_overflow asks for another evaluation. Convolutions
 * saturate at 65504, of which average pooling leaves a quarter; losses then add to
 * it or reduce it. */
static void update_loss_scale(struct cuda *cu)
{
    const float limit = 65504 / 4, target = 2048;
    float peak;
    int exponent;

    memcpy(&peak, cu->peak_host, sizeof peak);
    cuda_ok(cu, cudaMemsetAsync(cu->peak, 0, sizeof *cu->peak, cu->current.stream));
    cu->grad_pending = false;
    cu->base.grad_overflow = !(peak < limit) || (peak > 0 && peak < target / 65536);
    if (peak > target * 4 || (peak > 0 && peak < target / 16)) {
        frexpf(peak / target, &exponent);
        if (!isfinite(peak))
            exponent = 24;
        cu->base.loss_scale = ldexpf(cu->base.loss_scale, -exponent);
    }
    /* no loss scale helps a gradient that is not finite */
    if (!(cu->base.loss_scale > ldexpf(1, -100)) ||
        cu->base.loss_scale > ldexpf(1, 100)) {
        cu->base.loss_scale = 1;
        cu->base.grad_overflow = false;
    }
}

void cuda_buffer_download(struct nst_backend *be, void *to,
                          const struct nst_buffer *from, size_t bytes)
{
    struct cuda *cu = cuda_of(be);

    cuda_copy_to_host(cu, to, from, bytes);
    if (cu->grad_pending)
        update_loss_scale(cu);
}

void cuda_buffer_copy(struct nst_backend *be, struct nst_buffer *to,
                      const struct nst_buffer *from, size_t bytes)
{
    struct cuda *cu = cuda_of(be);

    cuda_ok(cu, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                                cu->current.stream));
}

void cuda_copy_window(struct nst_backend *be, const struct nst_buffer *from,
                      struct nst_image_size size, struct nst_window window,
                      struct nst_buffer *to, struct nst_image_size to_size, int to_top,
                      int to_left)
{
    struct cuda *cu = cuda_of(be);
    const float *planes = buffer_data<float>(from);
    float *to_planes = buffer_data<float>(to);
    size_t width = (size_t)window.width * sizeof(float);

    for (size_t k = 0; k < 3; k++)
        cuda_ok(cu,
                cudaMemcpy2DAsync(
                    to_planes + (k * to_size.height + to_top) * to_size.width + to_left,
                    (size_t)to_size.width * sizeof(float),
                    planes + (k * size.height + window.top) * size.width + window.left,
                    (size_t)size.width * sizeof(float), width, (size_t)window.height,
                    cudaMemcpyDeviceToDevice, cu->current.stream));
}

void cuda_tensor_free(struct nst_backend *be, struct nst_tensor *t)
{
    struct cuda *cu = cuda_of(be);

    if (!t)
        return;
    cuda_ok(cu, cudaFree(t->data));
    if (reinterpret_cast<struct cuda_tensor *>(t)->ready)
        cuda_ok(cu, cudaEventDestroy(reinterpret_cast<struct cuda_tensor *>(t)->ready));
    free(t);
}

template <class T>
size_t cuda_tensor_bytes(const struct nst_backend *be, struct nst_shape shape,
                         size_t *scratch)
{
    const struct cuda *cu = reinterpret_cast<const struct cuda *>(be);
    size_t needed = cuda_scratch_bytes(cu, shape);

    if (needed > *scratch)
        *scratch = needed;
    return nst_shape_count(shape) * sizeof(T);
}

template <class T>
enum nst_status cuda_tensor_new(struct nst_backend *be, struct nst_tensor **out,
                                struct nst_shape shape, struct nst_err *err)
{
    struct cuda *cu = cuda_of(be);
    enum nst_status st =
        cuda_reserve_scratch(cu, &cu->current, cuda_scratch_bytes(cu, shape), err);
    void *data = NULL;
    struct cuda_tensor *t;

    *out = NULL;
    if (st == NST_OK)
        st = cuda_alloc(cu, &data, nst_shape_count(shape) * sizeof(T), err);
    if (st != NST_OK)
        return st;
    t = static_cast<struct cuda_tensor *>(nst_xcalloc(1, sizeof *t));
    t->base.shape = shape;
    t->base.data = static_cast<struct nst_buffer *>(data);
    if (!cuda_ok(cu, cudaEventCreateWithFlags(&t->ready, cudaEventDisableTiming))) {
        cuda_tensor_free(be, &t->base);
        return cuda_synchronize(cu, err);
    }
    *out = &t->base;
    return NST_OK;
}

template <class T>
__global__ void copy_kernel(const T *from, bool apply_relu, T *to, size_t n)
{
    for (size_t i = cuda_grid_index(); i < n; i += cuda_grid_stride()) {
        float v = to_float(from[i]);

        store(&to[i], apply_relu ? relu(v) : v);
    }
}

template <class T>
void cuda_copy_map(struct cuda *cu, const T *from, bool apply_relu, T *to, size_t n)
{
    cuda_launch_1d(cu, copy_kernel<T>, n, from, apply_relu, to, n);
}

template <class T>
void cuda_tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                      bool apply_relu, struct nst_tensor *to)
{
    struct cuda *cu = cuda_of(be);

    cuda_main_wait_side(cu);
    cuda_copy_map<T>(cu, tensor_data<T>(from), apply_relu, tensor_data<T>(to),
                     nst_shape_count(from->shape));
    cuda_record_ready(cu, to);
    cuda_side_wait_main(cu); /* side work on another map may read it, too */
}

/* planes (c x area) to pixels (area x c), and back */
template <class T>
__global__ void planar_to_nhwc_kernel(const float *planes, T *pixels, int c,
                                      size_t area)
{
    for (size_t i = cuda_grid_index(); i < area * c; i += cuda_grid_stride())
        store(&pixels[i], planes[i % c * area + i / c]);
}

template <class T>
__global__ void nhwc_to_planar_kernel(const T *pixels, float *planes, int c,
                                      size_t area)
{
    for (size_t i = cuda_grid_index(); i < area * c; i += cuda_grid_stride())
        planes[i % c * area + i / c] = to_float(pixels[i]);
}

/* Call band(planes, top, rows) for bands of rows, with scratch for all their planes. */
template <class T, class F>
static void for_row_bands(struct cuda *cu, struct nst_shape s, F band)
{
    struct cuda_arena arena = cuda_arena(cu);
    int rows = cuda_arena_rows(&arena, (size_t)s.c * s.w * sizeof(float), s.h);
    float *planes = cuda_arena_alloc<float>(&arena, (size_t)s.c * s.w * rows);

    for (int top = 0; top < s.h; top += rows)
        band(planes, top, top + rows < s.h ? rows : s.h - top);
}

template <class T>
void cuda_tensor_upload(struct nst_backend *be, const float *planar,
                        struct nst_tensor *t)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = t->shape;
    size_t pitch = nst_shape_area(s) * sizeof(float);

    for_row_bands<T>(cu, s, [=](float *planes, int top, int rows) {
        size_t area = (size_t)rows * s.w, width = area * sizeof(float);

        cuda_ok(cu, cudaMemcpy2DAsync(planes, width, planar + (size_t)top * s.w, pitch,
                                      width, (size_t)s.c, cudaMemcpyDefault,
                                      cu->current.stream));
        cuda_launch_1d(cu, planar_to_nhwc_kernel<T>, area * s.c, planes,
                       tensor_data<T>(t) + (size_t)top * s.w * s.c, s.c, area);
    });
    cuda_record_ready(cu, t);
    cuda_side_wait_main(cu);
}

template <class T>
void cuda_tensor_download(struct nst_backend *be, const struct nst_tensor *t,
                          float *planar)
{
    struct cuda *cu = cuda_of(be);
    struct nst_shape s = t->shape;
    size_t pitch = nst_shape_area(s) * sizeof(float);

    for_row_bands<T>(cu, s, [=](float *planes, int top, int rows) {
        size_t area = (size_t)rows * s.w, width = area * sizeof(float);

        cuda_launch_1d(cu, nhwc_to_planar_kernel<T>, area * s.c,
                       tensor_data<T>(t) + (size_t)top * s.w * s.c, planes, s.c, area);
        cuda_ok(cu, cudaMemcpy2DAsync(planar + (size_t)top * s.w, pitch, planes, width,
                                      width, (size_t)s.c, cudaMemcpyDefault,
                                      cu->current.stream));
    });
    cuda_ok(cu, cudaStreamSynchronize(cu->current.stream));
}

#define INSTANTIATE(T)                                                                 \
    template size_t cuda_tensor_bytes<T>(const struct nst_backend *, struct nst_shape, \
                                         size_t *);                                    \
    template enum nst_status cuda_tensor_new<T>(struct nst_backend *,                  \
                                                struct nst_tensor **,                  \
                                                struct nst_shape, struct nst_err *);   \
    template void cuda_copy_map<T>(struct cuda *, const T *, bool, T *, size_t);       \
    template void cuda_tensor_copy<T>(struct nst_backend *, const struct nst_tensor *, \
                                      bool, struct nst_tensor *);                      \
    template void cuda_tensor_upload<T>(struct nst_backend *, const float *,           \
                                        struct nst_tensor *);                          \
    template void cuda_tensor_download<T>(struct nst_backend *,                        \
                                          const struct nst_tensor *, float *);
INSTANTIATE(float)
INSTANTIATE(__half)
