/* SPDX-License-Identifier: MIT */
/* dtype.h - element types of the arrays in weight files, and their conversion. */
#ifndef NST_MODEL_DTYPE_H
#define NST_MODEL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum nst_dtype { NST_F64, NST_F32, NST_F16, NST_BF16, NST_I64, NST_U8 };

/* Bytes of one element, and its name in safetensors ("F32"). */
size_t nst_dtype_size(enum nst_dtype type);
const char *nst_dtype_name(enum nst_dtype type);

/* The nearest F16 to v, ties to even; infinity beyond its range. */
uint16_t nst_float_to_half(float v);

struct nst_array {
    enum nst_dtype type;
    int rank;
    uint64_t shape[4], count; /* count: all elements */
    const void *bytes;        /* little-endian, perhaps unaligned */
};

/* Convert an array to floats. *out belongs to the caller: free(). NST_ERR_FORMAT (I64
 * or U8, or a value is not finite), NST_ERR_MEM. */
enum nst_status nst_array_to_floats(const struct nst_array *a, float **out,
                                    struct nst_err *err);

#endif
