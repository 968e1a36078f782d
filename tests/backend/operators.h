/* SPDX-License-Identifier: MIT */
/*
 * operators.h - what checkbackend knows of operators: what they are given, what they
 * make of it on one backend, and how long their sums are.
 */
#ifndef NST_TESTS_OPERATORS_H
#define NST_TESTS_OPERATORS_H

#include "backend/backend.h"

#define REGIONS 3

struct input {
    struct nst_shape s;
    int cout;
    bool relu, guided;
    struct nst_region_grad regions[REGIONS];
    enum nst_pooling pooling;
    float *x, *other, *third, *weight, *bias, *square; /* square is symmetric */
};

/* What one operator made on one backend: planar values, or a number. */
struct output {
    size_t n;
    float *v;
};

/* terms: how long the sums are, as a multiple of one of the shape's numbers */
struct operation {
    const char *name;
    struct output (*run)(struct nst_backend *be, const struct input *in);
    enum { ONE, NINE_IN, NINE_OUT, PICTURE } terms;
    bool pools; /* needs 2 x 2 pixels */
};

/* Until one without a name: of convolutions.c, and of sums.c. */
extern const struct operation convolution_operators[], sum_operators[];

/* inputs.c: chosen and random ones; with $NST_TEST_QUICK only smaller ones. */
struct input *make_inputs(int *count);
void free_inputs(struct input *inputs, int count);
/* Pixels of a map of twice the size and one more. */
size_t guide_area(const struct input *in);

/* values.c: what is there is given to be freed. A tensor with these values, or NaN. */
struct nst_tensor *tensor(struct nst_backend *be, struct nst_shape s,
                          const float *values);
struct output take(struct nst_backend *be, struct nst_tensor *t);
/* Both outputs, one after the other. */
struct output both(struct output a, struct output b);
/* Numbers that hold what is on the host, and some that nobody has set. */
void *buffer(struct nst_backend *be, const void *host, size_t bytes);
void *poisoned(struct nst_backend *be, size_t bytes);
/* Read n floats of them, and free them. */
float *read_floats(struct nst_backend *be, void *there, size_t n);
/* The regions' terms, there. */
void regions_to_device(struct nst_backend *be, const struct input *in,
                       struct nst_region_grad there[REGIONS]);
void free_regions(struct nst_backend *be, struct nst_region_grad there[REGIONS]);

#endif
