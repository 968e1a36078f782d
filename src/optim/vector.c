/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/vector.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"

enum nst_status nst_vector_new(const struct nst_vector_space *v, float **out,
                               struct nst_err *err)
{
    void *x = NULL;
    enum nst_status st;

    *out = NULL;
    if (v->n > PTRDIFF_MAX / sizeof(float))
        return nst_err_set(err, NST_ERR_MEM, "%zu floats: too large", v->n);
    st = v->be->ops->buffer_alloc(v->be, &x, v->n * sizeof(float), err);
    if (st != NST_OK)
        return st;
    *out = x;
    v->be->ops->vectors->clear(v->be, v->n, *out);
    return NST_OK;
}

void nst_vector_free(const struct nst_vector_space *v, float *x)
{
    if (x)
        v->be->ops->buffer_free(v->be, x);
}

static bool is_host_memory(const struct nst_vector_space *v)
{
    return v->be->device_memory == 0;
}

bool nst_vector_serialise(const struct nst_vector_space *v, const char *name, float *x,
                          nst_serialise_fn *visit, void *ctx)
{
    size_t bytes = v->n * sizeof *x;
    float *host;
    bool ok;

    if (is_host_memory(v))
        return visit(ctx, name, NST_F32, x, v->n);
    if (nst_floats_new(&host, v->n, 1, 1, NULL) != NST_OK)
        return false;
    v->be->ops->buffer_download(v->be, host, x, bytes);
    ok = v->be->error.status == NST_OK && visit(ctx, name, NST_F32, host, v->n);
    v->be->ops->buffer_upload(v->be, x, host, bytes);
    free(host);
    return ok;
}
