/* SPDX-License-Identifier: MIT */
/*
 * operators.h - checkbackend's table of operators: their inputs, how to run them on a
 * backend, and the length of their sums.
 */
#ifndef NST_TESTS_OPERATORS_H
#define NST_TESTS_OPERATORS_H

#include "backend/backend.h"

#define REGIONS 3

/* A region's losses on the host: see struct nst_region_grad. */
struct region_values {
    const float *matrix, *offset;
    float *mask;
};

struct input {
    struct nst_shape s;
    int cout;
    bool relu, guided;
    struct region_values regions[REGIONS];
    enum nst_pooling pooling;
    enum nst_padding padding;
    float *x, *other, *third, *weight, *bias, *square; /* square is symmetric */
};

/* Result of an operator on a backend: n floats; maps are planar. */
struct output {
    size_t n;
    float *v;
};

struct operation {
    const char *name;
    struct output (*run)(struct nst_backend *be, const struct input *in);
    enum { ONE, NINE_IN, NINE_OUT, PICTURE } terms; /* length of the sums */
    bool pools;                                     /* needs 2 x 2 pixels */
};

/* convolutions.c and sums.c; the last entry has no name. */
extern const struct operation convolution_operators[], sum_operators[];

/* inputs.c: chosen and random inputs; with $NST_TEST_QUICK small ones only. */
struct input *make_inputs(int *count);
void free_inputs(struct input *inputs, int count);
/* Pixels of a mask: for a map of twice the size, plus one. */
size_t guide_area(const struct input *in);

/* values.c. take() and read_floats() free their argument on the backend. */
/* A tensor with these values; NULL: NaN. */
struct nst_tensor *tensor(struct nst_backend *be, struct nst_shape s,
                          const float *values);
struct output take(struct nst_backend *be, struct nst_tensor *t);
/* Both outputs, concatenated. Frees b. */
struct output both(struct output a, struct output b);
/* A buffer with a copy of host memory, or with NaN. */
struct nst_buffer *buffer(struct nst_backend *be, const void *host, size_t bytes);
struct nst_buffer *poisoned(struct nst_backend *be, size_t bytes);
/* Read n floats of a buffer, and free it. */
float *read_floats(struct nst_backend *be, struct nst_buffer *there, size_t n);
/* Copies of the input's regions on the backend. */
void regions_to_device(struct nst_backend *be, const struct input *in,
                       struct nst_region_grad there[REGIONS]);
void free_regions(struct nst_backend *be, struct nst_region_grad there[REGIONS]);

#endif
