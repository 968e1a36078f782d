/* SPDX-License-Identifier: MIT */
/* host_reduce.c - passes over long vectors: see host_reduce.h. */
#include "config.h"

#include "backend/host_reduce.h"

#include <stdlib.h>
#include <math.h>

#define BLOCK ((size_t)2048) /* elements; a dozen vectors' blocks fit in L2 */
#define RUN 16               /* consecutive blocks per item */
#define BATCH 1024           /* blocks per round; their results are on the stack */

struct reduction {
    const struct nst_vector_kernels *kernels;
    size_t n, first;
    int blocks; /* in this round */
    nst_range_fn *fn;
    const void *ctx;
    int count; /* results per block */
    double *results;
};

static void reduce_run(void *ctx, int item, int thread)
{
    const struct reduction *p = ctx;

    (void)thread;
    for (int b = item * RUN; b < (item + 1) * RUN && b < p->blocks; b++) {
        size_t first = p->first + (size_t)b * BLOCK, left = p->n - first;

        p->fn(p->kernels, p->ctx, first, left < BLOCK ? left : BLOCK,
              p->results + b * p->count);
    }
}

static double max_or_nan(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

void nst_reduce(struct nst_backend *be, size_t n, nst_range_fn *fn, const void *ctx,
                int maxima, int count, double *results)
{
    double partial[BATCH * NST_REDUCE_MAX];
    struct reduction p = {
        nst_vector_kernels_choose(), n, 0, 0, fn, ctx, count, partial};

    if (count > NST_REDUCE_MAX)
        abort(); /* a bug: callers keep to it */
    for (int i = 0; i < count; i++)
        results[i] = i < maxima ? -INFINITY : 0;
    for (; p.first < n; p.first += BLOCK * BATCH) {
        size_t blocks = (n - p.first + BLOCK - 1) / BLOCK;

        p.blocks = blocks < BATCH ? (int)blocks : BATCH;
        nst_threads_run(be->threads, (p.blocks + RUN - 1) / RUN, reduce_run, &p);
        for (int i = 0; i < p.blocks * count; i++)
            /* cppcheck-suppress zerodiv; the loop is empty if count is 0 */
            if (i % count < maxima)
                results[i % count] = max_or_nan(results[i % count], partial[i]);
            else
                results[i % count] += partial[i];
    }
}

void nst_reduce_sum(struct nst_backend *be, size_t n, nst_range_fn *fn, const void *ctx,
                    int count, double *results)
{
    nst_reduce(be, n, fn, ctx, 0, count, results);
}

void nst_parallel_for(struct nst_backend *be, size_t n, nst_range_fn *fn,
                      const void *ctx)
{
    nst_reduce(be, n, fn, ctx, 0, 0, NULL);
}
