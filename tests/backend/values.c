/* SPDX-License-Identifier: MIT */
/* values.c - tensors, buffers and regions: to a backend and back. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "operators.h"

struct nst_tensor *tensor(struct nst_backend *be, struct nst_shape s,
                          const float *values)
{
    struct nst_tensor *t;
    size_t n = nst_shape_count(s);
    float *nan = NULL;

    if (be->ops->tensor_new(be, &t, s, NULL) != NST_OK)
        abort();
    if (!values) {
        values = nan = malloc(n * sizeof *nan);
        for (size_t i = 0; i < n; i++)
            nan[i] = NAN;
    }
    be->ops->tensor_upload(be, values, t);
    free(nan);
    return t;
}

struct output take(struct nst_backend *be, struct nst_tensor *t)
{
    struct output o = {nst_shape_count(t->shape), NULL};

    o.v = malloc(o.n * sizeof *o.v);
    be->ops->tensor_download(be, t, o.v);
    be->ops->tensor_free(be, t);
    return o;
}

struct output both(struct output a, struct output b)
{
    a.v = realloc(a.v, (a.n + b.n) * sizeof *a.v);
    memcpy(a.v + a.n, b.v, b.n * sizeof *b.v);
    a.n += b.n;
    free(b.v);
    return a;
}

struct nst_buffer *buffer(struct nst_backend *be, const void *host, size_t bytes)
{
    struct nst_buffer *there;

    if (be->ops->buffer_alloc(be, &there, bytes, NULL) != NST_OK)
        abort();
    be->ops->buffer_upload(be, there, host, bytes);
    return there;
}

struct nst_buffer *poisoned(struct nst_backend *be, size_t bytes)
{
    char *nan = malloc(bytes);
    struct nst_buffer *there;

    memset(nan, 0xff, bytes);
    there = buffer(be, nan, bytes);
    free(nan);
    return there;
}

float *read_floats(struct nst_backend *be, struct nst_buffer *there, size_t n)
{
    float *v = malloc(n * sizeof *v);

    be->ops->buffer_download(be, v, there, n * sizeof *v);
    be->ops->buffer_free(be, there);
    return v;
}

/* A region's packed matrix on the backend. */
static struct nst_buffer *show_matrix(struct nst_backend *be, const struct input *in,
                                      const float *values)
{
    size_t bytes = be->ops->matrix_bytes(be, in->s.c);
    struct nst_buffer *matrix = poisoned(be, bytes);

    be->ops->buffer_upload(be, matrix, values,
                           (size_t)in->s.c * in->s.c * sizeof *values);
    be->ops->matrix_pack(be, in->s.c, matrix);
    return matrix;
}

void regions_to_device(struct nst_backend *be, const struct input *in,
                       struct nst_region_grad there[REGIONS])
{
    size_t c = (size_t)in->s.c;

    for (int i = 0; i < REGIONS; i++) {
        const struct region_values *t = &in->regions[i];

        there[i] = (struct nst_region_grad){
            show_matrix(be, in, t->matrix),
            t->offset ? buffer(be, t->offset, c * sizeof(float)) : NULL,
            t->mask ? buffer(be, t->mask, guide_area(in) * sizeof(float)) : NULL};
    }
}

void free_regions(struct nst_backend *be, struct nst_region_grad there[REGIONS])
{
    for (int i = 0; i < REGIONS; i++) {
        be->ops->buffer_free(be, (struct nst_buffer *)there[i].matrix);
        be->ops->buffer_free(be, (struct nst_buffer *)there[i].offset);
        be->ops->buffer_free(be, (struct nst_buffer *)there[i].mask);
    }
}
