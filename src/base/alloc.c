/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/oom.h"

/* Large blocks use huge pages where the system provides them. With small pages, a pass
 * over a feature map spends its time on TLB misses. */
#define HUGE_PAGE ((size_t)2 << 20)

enum nst_status nst_floats_new(float **out, size_t a, size_t b, size_t c,
                               struct nst_err *err)
{
    size_t n;
    void *p;

    *out = NULL;
    if (__builtin_mul_overflow(a, b, &n) || __builtin_mul_overflow(n, c, &n) ||
        __builtin_mul_overflow(n, sizeof(float), &n) || n > PTRDIFF_MAX - 64)
        return nst_err_set(err, NST_ERR_MEM, "%zux%zux%zu floats: too large", a, b, c);
    n = n ? (n + 63) / 64 * 64 : 64;
    if (posix_memalign(&p, n < HUGE_PAGE ? 64 : HUGE_PAGE, n) != 0)
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %zu MiB more were needed",
                           (n >> 20) + 1);
    if (n >= HUGE_PAGE)
        madvise(p, n, MADV_HUGEPAGE); /* failure costs only speed */
    memset(p, 0, n);
    *out = p;
    return NST_OK;
}

static void *or_die(void *p)
{
    if (!p)
        nst_out_of_memory();
    return p;
}

void *nst_xcalloc(size_t n, size_t size)
{
    return or_die(calloc(n ? n : 1, size ? size : 1));
}

void *nst_xrealloc(void *p, size_t size)
{
    return or_die(realloc(p, size ? size : 1));
}

char *nst_xstrdup(const char *s)
{
    return or_die(strdup(s));
}

char *nst_xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return or_die(n < 0 ? NULL : s);
}
