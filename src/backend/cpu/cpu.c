/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/conv.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static void nst_cpu_close(struct nst_backend *be)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;

    for (int i = 0; i < nst_threads_count(be->threads); i++) {
        free(cpu->tiles[i]);
        free(cpu->rows[i]);
        free(cpu->partial[i]);
    }
    free(cpu->tiles);
    free(cpu->rows);
    free(cpu->partial);
    free(cpu->shared);
    free(cpu->borders);
    free(cpu->packed[0]);
    free(cpu->packed[1]);
    free(cpu->sums);
    nst_threads_free(be->threads);
    free(cpu);
}

static enum nst_status nst_cpu_open(struct nst_backend **out,
                                    const struct nst_backend_config *config,
                                    struct nst_err *err)
{
    const struct nst_nchw16c_kernels *kernels = nst_nchw16c_choose();
    size_t threads = (size_t)config->threads;
    struct nst_threads *t;
    struct nst_cpu *cpu;
    enum nst_status st = nst_backend_require_fp32(config, err);

    *out = NULL;
    if (st != NST_OK)
        return st;
    if (!kernels)
        return nst_nchw16c_unknown_isa(err);
    st = nst_threads_new(&t, config->threads, err);
    if (st != NST_OK)
        return st;
    cpu = nst_xcalloc(1, sizeof *cpu);
    cpu->base.ops = &nst_backend_cpu;
    cpu->base.config = *config;
    cpu->base.threads = t;
    cpu->base.max_regions = 1;
    cpu->base.isa = kernels->name;
    cpu->kernels = kernels;
    cpu->tiles = nst_xcalloc(threads, sizeof *cpu->tiles);
    cpu->rows = nst_xcalloc(threads, sizeof *cpu->rows);
    cpu->partial = nst_xcalloc(threads, sizeof *cpu->partial);
    *out = &cpu->base;
    return NST_OK;
}

static enum nst_status nst_cpu_clone(struct nst_backend **out,
                                     const struct nst_backend *be, struct nst_err *err)
{
    const struct nst_cpu *cpu = (const struct nst_cpu *)be;
    struct nst_cpu *other;
    enum nst_status st = nst_cpu_open(out, &be->config, err);

    if (st != NST_OK)
        return st;
    other = (struct nst_cpu *)*out;
    st = nst_cpu_scratch_reserve(other, cpu->conv_reserved, err);
    other->conv_reserved = other->reserved;
    if (st != NST_OK) {
        nst_cpu_close(*out);
        *out = NULL;
    }
    return st;
}

static enum nst_status nst_cpu_tensor_new(struct nst_backend *be,
                                          struct nst_tensor **out,
                                          struct nst_shape shape, struct nst_err *err)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    enum nst_status st = nst_cpu_scratch_reserve(cpu, nst_cpu_gram_scratch(shape), err);

    *out = NULL;
    if (st == NST_OK)
        st = nst_cpu_scratch_reserve(
            cpu, nst_cpu_backward_scratch(shape.c, be->max_regions), err);
    if (st != NST_OK)
        return st;
    return nst_host_tensor_new(out, shape, nst_cpu_blocks(shape.c),
                               nst_cpu_stride(shape), err);
}

static size_t nst_cpu_tensor_bytes(const struct nst_backend *be, struct nst_shape shape,
                                   size_t *scratch)
{
    const struct nst_cpu *cpu = (const struct nst_cpu *)be;
    struct nst_cpu_scratch gram = nst_cpu_gram_scratch(shape);
    int blocks = nst_cpu_blocks(shape.c);
    size_t growth = nst_cpu_border_scratch(blocks, blocks, shape.h, shape.w).borders *
                    sizeof(float);

    if (gram.partial > cpu->conv_reserved.partial)
        growth += (size_t)nst_threads_count(be->threads) * gram.partial * sizeof(float);
    if (2 * gram.sums > cpu->conv_reserved.sums)
        growth += gram.sums * sizeof(double);
    if (growth > *scratch)
        *scratch = growth;
    return (size_t)nst_cpu_blocks(shape.c) * nst_cpu_stride(shape) * sizeof(float);
}

/* A pass over a map; an item is one row of one block. */
struct row_pass {
    const struct nst_cpu *cpu;
    struct nst_tensor *to;
    const struct nst_tensor *from;
    bool relu;
    float *planar;
    const float *planar_from;
    struct nst_window window;
    double *sums;
};

static void copy_row(void *ctx, int item, int thread)
{
    const struct row_pass *p = ctx;
    int h = p->to->shape.h, w = p->to->shape.w, b = item / h, r = item % h;
    float *y = nst_cpu_row(p->to, b, r);

    (void)thread;
    memcpy(y, nst_cpu_row(p->from, b, r), (size_t)w * NST_BLOCK * sizeof *y);
    if (p->relu)
        p->cpu->kernels->relu(w, y);
}

static void nst_cpu_tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                                bool relu, struct nst_tensor *to)
{
    struct row_pass p = {(struct nst_cpu *)be, .to = to, .from = from, .relu = relu};

    nst_threads_run(be->threads, nst_cpu_blocks(to->shape.c) * to->shape.h, copy_row,
                    &p);
}

static void tensor_upload_row(void *ctx, int item, int thread)
{
    const struct row_pass *p = ctx;
    struct nst_shape s = p->to->shape;
    int b = item / s.h, r = item % s.h;
    float *y = nst_cpu_row(p->to, b, r);

    (void)thread;
    for (int k = 0; k < NST_BLOCK; k++) {
        int c = b * NST_BLOCK + k;
        const float *x = p->planar_from + ((size_t)c * s.h + (size_t)r) * s.w;

        for (int j = 0; j < s.w; j++)
            y[(size_t)j * NST_BLOCK + k] = c < s.c ? x[j] : 0;
    }
}

static void nst_cpu_tensor_upload(struct nst_backend *be, const float *planar,
                                  struct nst_tensor *t)
{
    struct row_pass p = {(struct nst_cpu *)be, .to = t, .planar_from = planar};

    nst_threads_run(be->threads, nst_cpu_blocks(t->shape.c) * t->shape.h,
                    tensor_upload_row, &p);
}

static void tensor_download_row(void *ctx, int item, int thread)
{
    const struct row_pass *p = ctx;
    struct nst_shape s = p->from->shape;
    int b = item / s.h, r = item % s.h;
    const float *x = nst_cpu_row(p->from, b, r);

    (void)thread;
    for (int k = 0; k < NST_BLOCK && b * NST_BLOCK + k < s.c; k++)
        for (int j = 0; j < s.w; j++)
            p->planar[((size_t)(b * NST_BLOCK + k) * s.h + (size_t)r) * s.w + j] =
                x[(size_t)j * NST_BLOCK + k];
}

static void nst_cpu_tensor_download(struct nst_backend *be, const struct nst_tensor *t,
                                    float *planar)
{
    struct row_pass p = {(struct nst_cpu *)be, .from = t, .planar = planar};

    nst_threads_run(be->threads, nst_cpu_blocks(t->shape.c) * t->shape.h,
                    tensor_download_row, &p);
}

static void squared_error_row(void *ctx, int item, int thread)
{
    const struct row_pass *p = ctx;
    int b = item / p->window.height, r = p->window.top + item % p->window.height;
    size_t at = (size_t)p->window.left * NST_BLOCK;

    (void)thread;
    p->sums[item] =
        p->cpu->kernels->squared_error(p->window.width, nst_cpu_row(p->from, b, r) + at,
                                       p->relu, nst_cpu_row(p->to, b, r) + at);
}

/* Sums each row, then adds the row sums in order. */
static void nst_cpu_squared_error(struct nst_backend *be, const struct nst_tensor *f,
                                  bool relu, const struct nst_tensor *t,
                                  struct nst_window window, bool add,
                                  struct nst_scalar sum)
{
    double *to = nst_scalar_at(sum);
    int items = nst_cpu_blocks(f->shape.c) * window.height;
    struct row_pass p = {(struct nst_cpu *)be,
                         .to = (struct nst_tensor *)t,
                         .from = f,
                         .relu = relu,
                         .window = window,
                         .sums = nst_xcalloc((size_t)items, sizeof(double))};
    double total = 0;

    nst_threads_run(be->threads, items, squared_error_row, &p);
    for (int i = 0; i < items; i++)
        total += p.sums[i];
    free(p.sums);
    *to = add ? *to + total : total;
}

const struct nst_backend_ops nst_backend_cpu = {
    .name = "cpu",
    NST_HOST_OPERATORS(nst_cpu),
    .conv_new = nst_cpu_conv_new,
    .conv_prepare = nst_cpu_conv_prepare,
    .conv_plan = nst_cpu_conv_plan,
    .conv_free = nst_cpu_conv_free,
    .net = &nst_net_ops_cpu,
};
