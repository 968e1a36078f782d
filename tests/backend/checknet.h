/* SPDX-License-Identifier: MIT */
/*
 * checknet.h - inputs and outputs of the operators of feed-forward networks, and of
 * their gradients, for the comparison of backends.
 */
#ifndef NST_TESTS_CHECKNET_H
#define NST_TESTS_CHECKNET_H

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "../tap.h"

extern unsigned checknet_state;

static inline float *random_values(size_t n)
{
    float *v = malloc(n * sizeof *v);

    if (!v)
        abort();
    for (size_t i = 0; i < n; i++)
        v[i] = tap_random(&checknet_state);
    return v;
}

/* Input of one operator: maps and pictures of h x w pixels. */
struct input {
    int cin, cout, h, w;
    bool view, relu; /* read through scale and shift; through ReLU */
    int first, last; /* rows that are summed */
    float *x, *y, *rgb, *scale, *shift, *weight, *bias;
};

static inline struct input make_input(int cin, int cout, int h, int w, bool view,
                                      bool relu)
{
    size_t area = (size_t)h * (size_t)w;
    int most = cin > cout ? cin : cout;

    return (struct input){.cin = cin,
                          .cout = cout,
                          .h = h,
                          .w = w,
                          .view = view,
                          .relu = relu,
                          .first = h / 3,
                          .last = h - h / 4,
                          .x = random_values((size_t)cin * area),
                          .y = random_values((size_t)cin * area),
                          .rgb = random_values(3 * area),
                          .scale = random_values((size_t)most),
                          .shift = random_values((size_t)most),
                          .weight = random_values((size_t)most * (size_t)most * 81),
                          .bias = random_values((size_t)most)};
}

static inline void free_input(struct input *in)
{
    free(in->x);
    free(in->y);
    free(in->rgb);
    free(in->scale);
    free(in->shift);
    free(in->weight);
    free(in->bias);
}

struct output {
    size_t n;
    double *v;
};

static inline void append(struct output *o, double value)
{
    o->v = realloc(o->v, (o->n + 1) * sizeof *o->v);
    if (!o->v)
        abort();
    o->v[o->n++] = value;
}

static inline struct nst_tensor *new_map(struct nst_backend *be, int c, int h, int w,
                                         const float *values)
{
    struct nst_shape shape = {c, h, w};
    struct nst_tensor *t;
    size_t n = nst_shape_count(shape);
    float *nans = malloc(n * sizeof *nans);

    if (!nans || be->ops->tensor_new(be, &t, shape, NULL) != NST_OK)
        abort();
    for (size_t i = 0; i < n; i++)
        nans[i] = NAN;
    be->ops->tensor_upload(be, values ? values : nans, t);
    free(nans);
    return t;
}

static inline void append_map(struct output *o, struct nst_backend *be,
                              const struct nst_tensor *t)
{
    size_t n = nst_shape_count(t->shape);
    float *v = malloc(n * sizeof *v);

    if (!v)
        abort();
    be->ops->tensor_download(be, t, v);
    for (size_t i = 0; i < n; i++)
        append(o, v[i]);
    free(v);
}

static inline struct nst_net_view view_of(const struct input *in,
                                          const struct nst_tensor *x)
{
    return (struct nst_net_view){x, in->view ? in->scale : NULL,
                                 in->view ? in->shift : NULL, in->relu};
}

/* terms: of the sum that a value is, per input channel; pixels: whether it is a sum
 * over pixels */
struct operation {
    const char *name;
    struct output (*run)(struct nst_backend *be, const struct input *in);
    int terms;
    bool pixels;
};

#define NET_GRADIENTS 11
extern const struct operation net_gradients[NET_GRADIENTS];

#endif
