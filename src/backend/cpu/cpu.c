/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#if HAVE_OPENBLAS
#include <cblas.h>
#endif

#include "backend/planar.h"
#include "base/mem.h"
#include "kernels/kernels.h"

/* Elements of one piece of an element-wise pass; sums are kept piece by piece. */
#define PIECE ((size_t)16384)

static size_t piece_length(size_t n, size_t at)
{
    return n - at < PIECE ? n - at : PIECE;
}

static void cpu_close(struct nst_backend *be)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;

    for (int i = 0; i < be->threads; i++)
        free(cpu->scratch[i]);
    free(cpu->scratch);
    free(cpu->gram_parts);
    free(cpu);
}

static enum nst_status cpu_open(struct nst_backend **out, int threads,
                                struct nst_err *err)
{
    struct nst_cpu *cpu = nst_xcalloc(1, sizeof *cpu);
    enum nst_status st = NST_OK;

    *out = NULL;
    cpu->base.ops = &nst_backend_cpu;
    cpu->base.threads = threads;
    cpu->scratch = nst_xcalloc((size_t)threads, sizeof *cpu->scratch);
    for (int i = 0; i < threads && st == NST_OK; i++)
        st = nst_floats_new(&cpu->scratch[i], NST_CPU_SCRATCH, 1, 1, err);
    if (st != NST_OK) {
        cpu_close(&cpu->base);
        return st;
    }
#if HAVE_OPENBLAS
    openblas_set_num_threads(1);
#endif
    *out = &cpu->base;
    return NST_OK;
}

static enum nst_status tensor_new(struct nst_backend *be, struct nst_tensor **out,
                                  struct nst_shape shape, struct nst_err *err)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    size_t side = (size_t)shape.c;

    *out = NULL;
    if (side > cpu->gram_side) {
        free(cpu->gram_parts);
        cpu->gram_side = 0;
        if (nst_floats_new(&cpu->gram_parts, side, side, NST_CPU_GRAM_GROUPS, err))
            return NST_ERR_MEM;
        cpu->gram_side = side;
    }
    return nst_planar_new(be, out, shape, err);
}

static void tensor_zero(struct nst_backend *be, struct nst_tensor *t)
{
    size_t n = nst_shape_count(t->shape);

#pragma omp parallel for num_threads(be->threads)
    for (size_t i = 0; i < n; i += PIECE)
        memset(t->data + i, 0, piece_length(n, i) * sizeof *t->data);
}

static void tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                        bool relu, struct nst_tensor *to)
{
    size_t n = nst_shape_count(from->shape);

#pragma omp parallel for num_threads(be->threads)
    for (size_t i = 0; i < n; i++)
        to->data[i] = relu && !(from->data[i] > 0) ? 0 : from->data[i];
}

/* Pooling works channel by channel. */
static void pool(struct nst_backend *be, enum nst_pooling kind,
                 const struct nst_tensor *x, bool relu, struct nst_tensor *y)
{
    struct nst_shape s = x->shape;

#pragma omp parallel for num_threads(be->threads)
    for (int c = 0; c < s.c; c++) {
        const float *from = x->data + c * nst_shape_area(s);
        float *to = y->data + c * nst_shape_area(y->shape);

        if (kind == NST_POOLING_MAX)
            nst_maxpool_c(from, relu, to, 1, s.h, s.w);
        else
            nst_avgpool_c(from, relu, to, 1, s.h, s.w);
    }
}

static void pool_grad(struct nst_backend *be, enum nst_pooling kind,
                      const struct nst_tensor *x, bool relu,
                      const struct nst_tensor *gy, struct nst_tensor *gx)
{
    struct nst_shape s = x->shape;

#pragma omp parallel for num_threads(be->threads)
    for (int c = 0; c < s.c; c++) {
        const float *from = gy->data + c * nst_shape_area(gy->shape);
        float *to = gx->data + c * nst_shape_area(s);

        if (kind == NST_POOLING_MAX)
            nst_maxpool_grad_c(x->data + c * nst_shape_area(s), relu, from, to, 1, s.h,
                               s.w);
        else
            nst_avgpool_grad_c(from, to, 1, s.h, s.w);
    }
}

static void relu_grad(struct nst_backend *be, const struct nst_tensor *y,
                      struct nst_tensor *g)
{
    size_t n = nst_shape_count(y->shape);

#pragma omp parallel for num_threads(be->threads)
    for (size_t i = 0; i < n; i += PIECE)
        nst_relu_grad_c(y->data + i, g->data + i, piece_length(n, i));
}

static double squared_error(struct nst_backend *be, const struct nst_tensor *f,
                            bool relu, const struct nst_tensor *t)
{
    size_t n = nst_shape_count(f->shape), pieces = (n + PIECE - 1) / PIECE;
    double *part = nst_xcalloc(pieces, sizeof *part), sum = 0;

#pragma omp parallel for num_threads(be->threads)
    for (size_t p = 0; p < pieces; p++)
        part[p] = nst_squared_error_c(f->data + p * PIECE, relu, t->data + p * PIECE,
                                      piece_length(n, p * PIECE));
    for (size_t p = 0; p < pieces; p++)
        sum += part[p];
    free(part);
    return sum;
}

static void squared_error_grad(struct nst_backend *be, const struct nst_tensor *f,
                               bool relu, const struct nst_tensor *t, float scale,
                               struct nst_tensor *g)
{
    size_t n = nst_shape_count(f->shape);

#pragma omp parallel for num_threads(be->threads)
    for (size_t i = 0; i < n; i += PIECE)
        nst_squared_error_grad_c(f->data + i, relu, t->data + i, scale, g->data + i,
                                 piece_length(n, i));
}

const struct nst_backend_ops nst_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .tensor_new = tensor_new,
    .tensor_free = nst_planar_free,
    .tensor_floats = nst_planar_floats,
    .tensor_reshape = nst_planar_reshape,
    .tensor_zero = tensor_zero,
    .tensor_copy = tensor_copy,
    .upload = nst_planar_upload,
    .download = nst_planar_download,
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
