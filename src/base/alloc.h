/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - memory: small things die on failure, pictures report it.
 */
#ifndef NST_BASE_ALLOC_H
#define NST_BASE_ALLOC_H

#include <stddef.h>

#include "base/err.h"

/* a*b*c*sizeof(float) aligned to 64 bytes and zeroed; *out is freed with free().
 * NST_ERR_MEM when it overflows or does not fit, and *out is NULL. */
enum nst_status nst_floats_new(float **out, size_t a, size_t b, size_t c,
                               struct nst_err *err);

/* Small allocations: when memory is exhausted they abort() the program, after a call of
 * the handler. */
void nst_set_oom_handler(void (*handler)(void));
void *nst_xcalloc(size_t n, size_t size);
void *nst_xrealloc(void *p, size_t size);
char *nst_xstrdup(const char *s);
char *nst_xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
