/* SPDX-License-Identifier: MIT */
/*
 * tensor.h - shape and storage of a feature map.
 *
 * A backend creates a tensor and decides the layout of data; others read its shape
 * only. tensor_upload() and tensor_download() exchange planar values (C x H x W).
 */
#ifndef NST_BACKEND_TENSOR_H
#define NST_BACKEND_TENSOR_H

#include "backend/buffer.h"

struct nst_shape {
    int c, h, w; /* channels, rows, columns */
};

struct nst_tensor {
    struct nst_shape shape;
    struct nst_buffer *data;
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
