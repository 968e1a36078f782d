/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/cpu.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void cpu_close(struct nst_backend *be)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;

    for (int i = 0; i < be->threads; i++)
        free(cpu->scratch[i]);
    free(cpu->scratch);
    free(cpu->shared);
    free(cpu->gram_parts);
    free(cpu);
}

static enum nst_status cpu_open(struct nst_backend **out, int threads,
                                struct nst_err *err)
{
    const struct nst_blocked_kernels *kernels = nst_blocked_choose();
    struct nst_cpu *cpu;

    *out = NULL;
    if (!kernels)
        return nst_err_set(err, NST_ERR_ARG,
                           "NST_CPU='%s' is not an instruction set of this machine",
                           getenv("NST_CPU"));
    cpu = nst_xcalloc(1, sizeof *cpu);
    cpu->base.ops = &nst_backend_cpu;
    cpu->base.threads = threads;
    cpu->kernels = kernels;
    cpu->scratch = nst_xcalloc((size_t)threads, sizeof *cpu->scratch);
    *out = &cpu->base;
    return NST_OK;
}

/* *p of at least floats; what it held is lost. */
static enum nst_status grow(float **p, size_t floats, struct nst_err *err)
{
    free(*p);
    return nst_floats_new(p, floats, 1, 1, err);
}

enum nst_status nst_cpu_want_shared(struct nst_cpu *cpu, size_t floats,
                                    struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (floats > cpu->shared_floats) {
        cpu->shared_floats = 0;
        st = grow(&cpu->shared, floats, err);
    }
    if (st == NST_OK && floats > cpu->shared_floats)
        cpu->shared_floats = floats;
    return st;
}

enum nst_status nst_cpu_want_scratch(struct nst_cpu *cpu, size_t floats,
                                     struct nst_err *err)
{
    if (floats <= cpu->scratch_floats)
        return NST_OK;
    cpu->scratch_floats = 0;
    for (int i = 0; i < cpu->base.threads; i++) {
        enum nst_status st = grow(&cpu->scratch[i], floats, err);

        if (st != NST_OK)
            return st;
    }
    cpu->scratch_floats = floats;
    return NST_OK;
}

static size_t tensor_floats(struct nst_backend *be, struct nst_shape shape)
{
    (void)be;
    return (size_t)nst_cpu_blocks(shape.c) * nst_cpu_stride(shape);
}

static enum nst_status want_gram_parts(struct nst_cpu *cpu, int channels,
                                       struct nst_err *err)
{
    size_t side = (size_t)nst_cpu_blocks(channels) * NST_BLOCK;
    enum nst_status st;

    if (side <= cpu->gram_side)
        return NST_OK;
    free(cpu->gram_parts);
    cpu->gram_side = 0;
    st = nst_floats_new(&cpu->gram_parts, side, side, NST_CPU_GRAM_GROUPS, err);
    if (st == NST_OK)
        cpu->gram_side = side;
    return st;
}

static enum nst_status tensor_new(struct nst_backend *be, struct nst_tensor **out,
                                  struct nst_shape shape, struct nst_err *err)
{
    struct nst_tensor *t;
    enum nst_status st = want_gram_parts((struct nst_cpu *)be, shape.c, err);

    *out = NULL;
    if (st != NST_OK)
        return st;
    t = nst_xcalloc(1, sizeof *t);
    t->shape = shape;
    t->capacity = tensor_floats(be, shape);
    st = nst_floats_new(&t->data, (size_t)nst_cpu_blocks(shape.c),
                        nst_cpu_stride(shape), 1, err);
    if (st != NST_OK) {
        free(t);
        return st;
    }
    *out = t;
    return NST_OK;
}

static void tensor_free(struct nst_backend *be, struct nst_tensor *t)
{
    (void)be;
    if (!t)
        return;
    free(t->data);
    free(t);
}

/* clang-format off */
#define PRAGMA(text) _Pragma(#text)
/* Every row r of every block b of a shape, threaded. */
#define FOR_ROWS(be, shape, b, r)                                                      \
    PRAGMA(omp parallel for collapse(2) schedule(static)                               \
           num_threads(nst_cpu_threads(be, shape)))                                    \
    for (int b = 0; b < nst_cpu_blocks((shape).c); b++)                                \
        for (int r = 0; r < (shape).h; r++)
/* clang-format on */

static void tensor_zero(struct nst_backend *be, struct nst_tensor *t)
{
    size_t row = (size_t)t->shape.w * NST_BLOCK * sizeof(float);

    FOR_ROWS(be, t->shape, b, r)
    {
        memset(nst_cpu_row(t, b, r), 0, row);
    }
}

/* The frame is where another shape had pixels. */
static void tensor_reshape(struct nst_backend *be, struct nst_tensor *t,
                           struct nst_shape shape)
{
    size_t floats = tensor_floats(be, shape), pitch = nst_cpu_pitch(shape);
    size_t row = (size_t)shape.w * NST_BLOCK;

    assert(floats <= t->capacity);
    t->shape = shape;
#pragma omp parallel for num_threads(nst_cpu_threads(be, shape)) schedule(static)
    for (int b = 0; b < nst_cpu_blocks(shape.c); b++) {
        float *p = t->data + (size_t)b * nst_cpu_stride(shape);
        float *end = p + nst_cpu_stride(shape), *next = nst_cpu_row(t, b, 0);

        for (int r = 0; r < shape.h; r++, next += pitch) {
            memset(p, 0, (size_t)(next - p) * sizeof *p);
            p = next + row;
        }
        memset(p, 0, (size_t)(end - p) * sizeof *p);
    }
}

static void tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                        bool relu, struct nst_tensor *to)
{
    size_t n = (size_t)from->shape.w * NST_BLOCK;

    FOR_ROWS(be, from->shape, b, r)
    {
        const float *x = nst_cpu_row(from, b, r);
        float *y = nst_cpu_row(to, b, r);

#pragma omp simd
        for (size_t i = 0; i < n; i++)
            y[i] = relu && !(x[i] > 0) ? 0 : x[i];
    }
}

static void upload(struct nst_backend *be, const float *planar, struct nst_tensor *t)
{
    struct nst_shape s = t->shape;

    FOR_ROWS(be, s, b, r)
    {
        float *y = nst_cpu_row(t, b, r);

        for (int k = 0; k < NST_BLOCK; k++) {
            int c = b * NST_BLOCK + k;
            const float *x = planar + ((size_t)c * s.h + (size_t)r) * s.w;

            for (int j = 0; j < s.w; j++)
                y[(size_t)j * NST_BLOCK + k] = c < s.c ? x[j] : 0;
        }
    }
}

static void download(struct nst_backend *be, const struct nst_tensor *t, float *planar)
{
    struct nst_shape s = t->shape;

    FOR_ROWS(be, s, b, r)
    {
        const float *x = nst_cpu_row(t, b, r);

        for (int k = 0; k < NST_BLOCK && b * NST_BLOCK + k < s.c; k++)
            for (int j = 0; j < s.w; j++)
                planar[((size_t)(b * NST_BLOCK + k) * s.h + (size_t)r) * s.w + j] =
                    x[(size_t)j * NST_BLOCK + k];
    }
}

static inline float see(float x, bool relu)
{
    return relu && !(x > 0) ? 0 : x;
}

static void avg_row(const float *x0, const float *x1, bool relu, float *y, int n)
{
    for (int i = 0; i < n * NST_BLOCK; i++) {
        int at = 2 * (i - i % NST_BLOCK) + i % NST_BLOCK;

        y[i] = (see(x0[at], relu) + see(x0[at + NST_BLOCK], relu) + see(x1[at], relu) +
                see(x1[at + NST_BLOCK], relu)) /
               4;
    }
}

static void avg_grad_row(const float *gy, float *g0, float *g1, int n)
{
    for (int i = 0; i < n * NST_BLOCK; i++) {
        int at = 2 * (i - i % NST_BLOCK) + i % NST_BLOCK;

        g0[at] = g0[at + NST_BLOCK] = g1[at] = g1[at + NST_BLOCK] = gy[i] / 4;
    }
}

static void pool(struct nst_backend *be, enum nst_pooling kind,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y)
{
    const struct nst_blocked_kernels *k = ((struct nst_cpu *)be)->kernels;
    int n = y->shape.w;

    FOR_ROWS(be, y->shape, b, r)
    {
        const float *x0 = nst_cpu_row(x, b, 2 * r), *x1 = nst_cpu_row(x, b, 2 * r + 1);

        if (kind == NST_POOLING_MAX)
            k->maxpool(n, x0, x1, relu, nst_cpu_row(y, b, r));
        else
            avg_row(x0, x1, relu, nst_cpu_row(y, b, r), n);
    }
}

static void pool_grad(struct nst_backend *be, enum nst_pooling kind,
                      const struct nst_tensor *x, bool relu,
                      const struct nst_tensor *gy, struct nst_tensor *gx)
{
    const struct nst_blocked_kernels *k = ((struct nst_cpu *)be)->kernels;
    struct nst_shape s = gy->shape;
    bool odd_row = gx->shape.h % 2, odd_column = gx->shape.w % 2;
    size_t row = (size_t)gx->shape.w * NST_BLOCK;

    FOR_ROWS(be, s, b, r)
    {
        const float *x0 = nst_cpu_row(x, b, 2 * r), *x1 = nst_cpu_row(x, b, 2 * r + 1);
        const float *g = nst_cpu_row(gy, b, r);
        float *g0 = nst_cpu_row(gx, b, 2 * r), *g1 = nst_cpu_row(gx, b, 2 * r + 1);

        if (kind == NST_POOLING_MAX)
            k->maxpool_grad(s.w, x0, x1, relu, g, g0, g1);
        else
            avg_grad_row(g, g0, g1, s.w);
        if (odd_column) {
            memset(g0 + row - NST_BLOCK, 0, NST_BLOCK * sizeof *g0);
            memset(g1 + row - NST_BLOCK, 0, NST_BLOCK * sizeof *g1);
        }
        if (odd_row && r == s.h - 1)
            memset(nst_cpu_row(gx, b, 2 * s.h), 0, row * sizeof *g0);
    }
}

static void relu_grad(struct nst_backend *be, const struct nst_tensor *y,
                      struct nst_tensor *g)
{
    FOR_ROWS(be, y->shape, b, r)
    {
        ((struct nst_cpu *)be)
            ->kernels->relu_grad(y->shape.w, nst_cpu_row(y, b, r),
                                 nst_cpu_row(g, b, r));
    }
}

static double row_squared_error(const float *x, const float *t, bool relu, size_t n)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        double d = (double)see(x[i], relu) - t[i];

        sum += d * d;
    }
    return sum;
}

/* Row by row, then the rows in order. */
static double squared_error(struct nst_backend *be, const struct nst_tensor *f,
                            bool relu, const struct nst_tensor *t)
{
    size_t n = (size_t)f->shape.w * NST_BLOCK;
    int blocks = nst_cpu_blocks(f->shape.c), h = f->shape.h;
    double *part = nst_xcalloc((size_t)blocks * (size_t)h, sizeof *part), sum = 0;

    FOR_ROWS(be, f->shape, b, r)
    {
        part[(size_t)b * (size_t)h + (size_t)r] =
            row_squared_error(nst_cpu_row(f, b, r), nst_cpu_row(t, b, r), relu, n);
    }
    for (size_t i = 0; i < (size_t)blocks * (size_t)h; i++)
        sum += part[i];
    free(part);
    return sum;
}

static void squared_error_grad(struct nst_backend *be, const struct nst_tensor *f,
                               bool relu, const struct nst_tensor *t, float scale,
                               struct nst_tensor *g)
{
    size_t n = (size_t)f->shape.w * NST_BLOCK;

    FOR_ROWS(be, f->shape, b, r)
    {
        const float *x = nst_cpu_row(f, b, r), *y = nst_cpu_row(t, b, r);
        float *q = nst_cpu_row(g, b, r);

#pragma omp simd
        for (size_t i = 0; i < n; i++)
            q[i] += scale * (see(x[i], relu) - y[i]);
    }
}

const struct nst_backend_ops nst_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .tensor_new = tensor_new,
    .tensor_free = tensor_free,
    .tensor_floats = tensor_floats,
    .tensor_reshape = tensor_reshape,
    .tensor_zero = tensor_zero,
    .tensor_copy = tensor_copy,
    .upload = upload,
    .download = download,
    .conv_new = nst_cpu_conv_new,
    .conv_free = nst_cpu_conv_free,
    .conv = nst_cpu_conv,
    .conv_grad = nst_cpu_conv_grad,
    .pool = pool,
    .pool_grad = pool_grad,
    .relu_grad = relu_grad,
    .gram = nst_cpu_gram,
    .gram_grad = nst_cpu_gram_grad,
    .squared_error = squared_error,
    .squared_error_grad = squared_error_grad,
};
