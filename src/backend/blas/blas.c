/* SPDX-License-Identifier: MIT */
/* blas.c - the backend's table, tensors and weights. NST_BACKEND=blas selects it. */
#include "config.h"

#include "backend/blas/blas.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/nchw16c.h"
#include "kernels/vector_kernels.h"

static void nst_blas_close(struct nst_backend *be)
{
    struct nst_blas *blas = (struct nst_blas *)be;

    for (int i = 0; i < nst_threads_count(be->threads); i++)
        free(blas->scratch[i]);
    free(blas->scratch);
    free(blas->sums);
    nst_threads_free(be->threads);
    free(blas);
}

static enum nst_status nst_blas_open(struct nst_backend **out,
                                     const struct nst_backend_config *config,
                                     struct nst_err *err)
{
    struct nst_threads *threads = NULL;
    nst_sgemm_fn *sgemm = NULL;
    struct nst_blas *blas;
    enum nst_status st = nst_backend_require_fp32(config, err);

    *out = NULL;
    if (st == NST_OK && !nst_vector_kernels_choose())
        st = nst_nchw16c_unknown_isa(err);
    if (st == NST_OK)
        st = nst_blas_load(&sgemm, config->threads, err);
    if (st == NST_OK)
        st = nst_threads_new(&threads, config->threads, err);
    if (st != NST_OK)
        return st;
    blas = nst_xcalloc(1, sizeof *blas);
    blas->base.ops = &nst_backend_blas;
    blas->base.config = *config;
    blas->base.threads = threads;
    blas->sgemm = sgemm;
    blas->scratch = nst_xcalloc((size_t)config->threads, sizeof *blas->scratch);
    *out = &blas->base;
    return NST_OK;
}

static enum nst_status nst_blas_clone(struct nst_backend **out,
                                      const struct nst_backend *be, struct nst_err *err)
{
    return nst_blas_open(out, &be->config, err);
}

/* What convolutions and sums of a map need. */
static struct nst_blas_scratch scratch_size(struct nst_shape s)
{
    struct nst_blas_scratch need = nst_blas_gram_scratch(s);
    size_t conv = nst_blas_conv_scratch(s);

    if (need.floats < conv)
        need.floats = conv;
    return need;
}

/* Grow the scratch memory; its contents are lost. */
static enum nst_status scratch_reserve(struct nst_blas *blas,
                                       struct nst_blas_scratch need,
                                       struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (need.floats > blas->reserved.floats) {
        blas->reserved.floats = 0;
        for (int i = 0; st == NST_OK && i < nst_threads_count(blas->base.threads);
             i++) {
            free(blas->scratch[i]);
            st = nst_floats_new(&blas->scratch[i], need.floats, 1, 1, err);
        }
        if (st == NST_OK)
            blas->reserved.floats = need.floats;
    }
    if (st == NST_OK && need.sums > blas->reserved.sums) {
        float *sums;

        blas->reserved.sums = 0;
        free(blas->sums);
        st = nst_floats_new(&sums, 2, need.sums, 1, err);
        blas->sums = (double *)sums;
        if (st == NST_OK)
            blas->reserved.sums = need.sums;
    }
    return st;
}

static enum nst_status nst_blas_tensor_new(struct nst_backend *be,
                                           struct nst_tensor **out,
                                           struct nst_shape shape, struct nst_err *err)
{
    struct nst_blas *blas = (struct nst_blas *)be;
    enum nst_status st = NST_OK;

    *out = NULL;
    if (nst_blas_plane(shape) > INT_MAX) /* of which a BLAS has its sizes */
        st = nst_err_set(err, NST_ERR_MEM,
                         "%dx%d pixels are too many for the backend blas: choose tiles "
                         "with --tile",
                         shape.w, shape.h);
    if (st == NST_OK)
        st = scratch_reserve(blas, scratch_size(shape), err);
    if (st == NST_OK)
        st = nst_host_tensor_new(out, shape, shape.c, nst_blas_plane(shape), err);
    return st;
}

static size_t nst_blas_tensor_bytes(const struct nst_backend *be,
                                    struct nst_shape shape, size_t *scratch)
{
    struct nst_blas_scratch need = scratch_size(shape);
    size_t needed =
        (size_t)nst_threads_count(be->threads) * need.floats * sizeof(float) +
        need.sums * sizeof(double);

    if (needed > *scratch)
        *scratch = needed;
    return (size_t)shape.c * nst_blas_plane(shape) * sizeof(float);
}

static void nst_blas_tensor_copy(struct nst_backend *be, const struct nst_tensor *from,
                                 bool relu, struct nst_tensor *to)
{
    size_t n = (size_t)from->shape.c * nst_blas_plane(from->shape);
    const float *v = nst_const_floats(from->data);
    float *copy = nst_floats(to->data);

    (void)be;
    for (size_t i = 0; i < n; i++)
        copy[i] = relu && !(v[i] > 0) ? 0 : v[i];
}

static void nst_blas_tensor_upload(struct nst_backend *be, const float *planar,
                                   struct nst_tensor *t)
{
    (void)be;
    for (int c = 0; c < t->shape.c; c++)
        for (int r = 0; r < t->shape.h; r++, planar += t->shape.w)
            memcpy(nst_blas_row(t, c, r), planar, (size_t)t->shape.w * sizeof *planar);
}

static void nst_blas_tensor_download(struct nst_backend *be, const struct nst_tensor *t,
                                     float *planar)
{
    (void)be;
    for (int c = 0; c < t->shape.c; c++)
        for (int r = 0; r < t->shape.h; r++, planar += t->shape.w)
            memcpy(planar, nst_blas_row(t, c, r), (size_t)t->shape.w * sizeof *planar);
}

static enum nst_status conv_new(struct nst_backend *be, struct nst_conv **out,
                                const struct nst_filters *f, struct nst_err *err)
{
    size_t pairs = (size_t)f->cin * (size_t)f->cout;
    enum nst_status st = nst_planar_conv_new(be, out, f, err);

    if (st != NST_OK || f->picture)
        return st;
    for (size_t i = 0; i < pairs; i++)
        for (size_t t = 0; t < 9; t++)
            (*out)->weight[t * pairs + i] = f->weight[9 * i + t];
    return NST_OK;
}

const struct nst_backend_ops nst_backend_blas = {
    .name = "blas",
    NST_HOST_OPERATORS(nst_blas),
    .conv_new = conv_new,
    .conv_free = nst_planar_conv_free,
};
