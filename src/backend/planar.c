/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/planar.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

size_t nst_planar_floats(struct nst_backend *be, struct nst_shape shape)
{
    (void)be;
    return nst_shape_count(shape);
}

enum nst_status nst_planar_new(struct nst_backend *be, struct nst_tensor **out,
                               struct nst_shape shape, struct nst_err *err)
{
    struct nst_tensor *t = nst_xcalloc(1, sizeof *t);
    enum nst_status st;

    (void)be;
    *out = NULL;
    st = nst_floats_new(&t->data, shape.c, shape.h, shape.w, err);
    if (st != NST_OK) {
        free(t);
        return st;
    }
    t->shape = shape;
    t->capacity = nst_shape_count(shape);
    *out = t;
    return NST_OK;
}

void nst_planar_free(struct nst_backend *be, struct nst_tensor *t)
{
    (void)be;
    if (!t)
        return;
    free(t->data);
    free(t);
}

void nst_planar_reshape(struct nst_backend *be, struct nst_tensor *t,
                        struct nst_shape shape)
{
    (void)be;
    assert(nst_shape_count(shape) <= t->capacity);
    t->shape = shape;
}

void nst_planar_upload(struct nst_backend *be, const float *planar,
                       struct nst_tensor *t)
{
    (void)be;
    memcpy(t->data, planar, nst_shape_count(t->shape) * sizeof *planar);
}

void nst_planar_download(struct nst_backend *be, const struct nst_tensor *t,
                         float *planar)
{
    (void)be;
    memcpy(planar, t->data, nst_shape_count(t->shape) * sizeof *planar);
}
