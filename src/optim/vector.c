/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/vector.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"

enum nst_status nst_vector_new(const struct nst_vector_space *v,
                               struct nst_buffer **out, struct nst_err *err)
{
    enum nst_status st;

    *out = NULL;
    if (v->n > PTRDIFF_MAX / sizeof(float))
        return nst_err_set(err, NST_ERR_MEM, "%zu floats: too large", v->n);
    st = v->be->ops->buffer_alloc(v->be, out, v->n * sizeof(float), err);
    if (st == NST_OK)
        v->be->ops->vectors->clear(v->be, v->n, *out);
    return st;
}

void nst_vector_free(const struct nst_vector_space *v, struct nst_buffer *x)
{
    if (x)
        v->be->ops->buffer_free(v->be, x);
}

bool nst_vector_serialise(const struct nst_vector_space *v, const char *name,
                          struct nst_buffer *x, nst_serialise_fn *visit, void *ctx)
{
    size_t bytes = v->n * sizeof(float);
    float *host = nst_backend_unwrap(v->be, x);
    bool ok;

    if (host)
        return visit(ctx, name, NST_F32, host, v->n);
    if (nst_floats_new(&host, v->n, 1, 1, NULL) != NST_OK)
        return false;
    v->be->ops->buffer_download(v->be, host, x, bytes);
    ok = v->be->error.status == NST_OK && visit(ctx, name, NST_F32, host, v->n);
    v->be->ops->buffer_upload(v->be, x, host, bytes);
    free(host);
    return ok;
}
