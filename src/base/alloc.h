/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - memory allocation. Small allocations end the program on failure (oom.h);
 * those sized by a picture return NST_ERR_MEM.
 */
#ifndef NST_BASE_ALLOC_H
#define NST_BASE_ALLOC_H

#include <stddef.h>

#include "base/err.h"

/* Allocate a*b*c floats, zeroed and aligned to 64 bytes. Free *out with free().
 * NST_ERR_MEM (overflow, or out of memory): *out is NULL. */
enum nst_status nst_floats_new(float **out, size_t a, size_t b, size_t c,
                               struct nst_err *err);

/* Small allocations. If memory is exhausted they call nst_out_of_memory(). */
void *nst_xcalloc(size_t n, size_t size);
void *nst_xrealloc(void *p, size_t size);
char *nst_xstrdup(const char *s);
char *nst_xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
