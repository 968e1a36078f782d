/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/layout.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Grow each of the count buffers at p to at least size floats; contents are lost. */
static enum nst_status grow(float **p, int count, size_t *reserved, size_t size,
                            struct nst_err *err)
{
    if (size <= *reserved)
        return NST_OK;
    *reserved = 0;
    for (int i = 0; i < count; i++) {
        enum nst_status st;

        free(p[i]);
        st = nst_floats_new(&p[i], size, 1, 1, err);
        if (st != NST_OK)
            return st;
    }
    *reserved = size;
    return NST_OK;
}

enum nst_status nst_cpu_scratch_reserve(struct nst_cpu *cpu,
                                        struct nst_cpu_scratch sizes,
                                        struct nst_err *err)
{
    int threads = nst_threads_count(cpu->base.threads);
    struct nst_cpu_scratch *reserved = &cpu->reserved;
    enum nst_status st = grow(cpu->tiles, threads, &reserved->tiles, sizes.tiles, err);
    float *sums = (float *)cpu->sums;

    if (st == NST_OK)
        st = grow(cpu->rows, threads, &reserved->rows, sizes.rows, err);
    if (st == NST_OK)
        st = grow(cpu->partial, threads, &reserved->partial, sizes.partial, err);
    if (st == NST_OK)
        st = grow(&cpu->shared, 1, &reserved->shared, sizes.shared, err);
    if (st == NST_OK)
        st = grow(&cpu->borders, 1, &reserved->borders, sizes.borders, err);
    if (st == NST_OK)
        st = grow(cpu->packed, 2, &reserved->packed, sizes.packed, err);
    if (st == NST_OK)
        st = grow(&sums, 1, &reserved->sums, 2 * sizes.sums, err); /* doubles */
    cpu->sums = (double *)sums;
    return st;
}
