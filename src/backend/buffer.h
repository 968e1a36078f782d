/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - memory of a backend: host memory on a CPU, device memory on a GPU.
 *
 * A buffer has a type of its own, so that the compiler refuses host memory where an
 * operator needs a buffer, and the reverse. Only a backend reads one: host.h and
 * cuda/device.cuh turn it into a pointer. Others copy it (struct nst_backend_ops), or
 * share host memory with a CPU: nst_backend_wrap() and nst_backend_unwrap().
 */
#ifndef NST_BACKEND_BUFFER_H
#define NST_BACKEND_BUFFER_H

#include <stddef.h>

struct nst_buffer; /* never defined */

/* One double of a buffer of doubles: where an operator stores a sum. */
struct nst_scalar {
    struct nst_buffer *buffer;
    size_t index;
};

#endif
