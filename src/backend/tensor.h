/* SPDX-License-Identifier: MIT */
/*
 * tensor.h - shape and storage of a feature map; no mathematics.
 *
 * A tensor is made by a backend, and how its values lie in data is that backend's
 * business: others pass it on and read its shape, nothing else. Values come and go
 * planar (C x H x W, row by row) through the backend's upload and download.
 */
#ifndef NST_BACKEND_TENSOR_H
#define NST_BACKEND_TENSOR_H

#include <stddef.h>

struct nst_shape {
    int c, h, w; /* channels, rows, columns */
};

struct nst_tensor {
    struct nst_shape shape;
    float *data;
};

static inline size_t nst_shape_area(struct nst_shape s)
{
    return (size_t)s.h * s.w;
}

static inline size_t nst_shape_count(struct nst_shape s)
{
    return (size_t)s.c * s.h * s.w;
}

#endif
