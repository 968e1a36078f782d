/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "optim/vector.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

enum nst_status nst_vector_new(const struct nst_vectors *v, float **out,
                               struct nst_err *err)
{
    void *x = NULL;
    enum nst_status st;

    *out = NULL;
    if (v->n > PTRDIFF_MAX / sizeof(float))
        return nst_err_set(err, NST_ERR_MEM, "%zu floats: too large", v->n);
    st = v->be->ops->numbers_new(v->be, &x, v->n * sizeof(float), err);
    if (st != NST_OK)
        return st;
    *out = x;
    v->be->ops->vectors->clear(v->be, v->n, *out);
    return NST_OK;
}

void nst_vector_free(const struct nst_vectors *v, float *x)
{
    if (x)
        v->be->ops->numbers_free(v->be, x);
}

static bool is_the_hosts(const struct nst_vectors *v)
{
    return v->be->memory == 0;
}

bool nst_vector_visit(const struct nst_vectors *v, const char *name, float *x,
                      nst_state_visit *visit, void *ctx)
{
    size_t bytes = v->n * sizeof *x;
    float *shown;
    bool ok;

    if (is_the_hosts(v))
        return visit(ctx, name, NST_F32, x, v->n);
    if (nst_floats_new(&shown, v->n, 1, 1, NULL) != NST_OK)
        return false;
    v->be->ops->get(v->be, shown, x, bytes);
    ok = v->be->fault.status == NST_OK && visit(ctx, name, NST_F32, shown, v->n);
    v->be->ops->put(v->be, x, shown, bytes);
    free(shown);
    return ok;
}
