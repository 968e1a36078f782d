/* SPDX-License-Identifier: MIT */
/* host_passes.c - passes over long vectors: see host_passes.h. */
#include "config.h"

#include "backend/host_passes.h"

#include <math.h>

#define BLOCK ((size_t)2048) /* elements; a dozen vectors' stay in the second cache */
#define RUN 16               /* blocks in a row that one thread does */
#define ROUND 1024           /* blocks at once, whose results are kept on the stack */

struct vectors nst_passes_of(struct nst_backend *be, size_t n)
{
    return (struct vectors){n, be->threads, nst_vectors_choose()};
}

struct pass {
    const struct vectors *v;
    size_t first;
    int blocks; /* of this round */
    nst_part *part;
    const void *ctx;
    int count; /* results of each block */
    double *results;
};

static void do_run(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;

    (void)thread;
    for (int b = item * RUN; b < (item + 1) * RUN && b < p->blocks; b++) {
        size_t first = p->first + (size_t)b * BLOCK, left = p->v->n - first;

        p->part(p->v->kernels, p->ctx, first, left < BLOCK ? left : BLOCK,
                p->results + b * p->count);
    }
}

static double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

void nst_reduce(const struct vectors *v, nst_part *part, const void *ctx, int maxima,
                int count, double *results)
{
    double of_blocks[ROUND * (count ? count : 1)];
    struct pass p = {v, 0, 0, part, ctx, count, of_blocks};

    for (int i = 0; i < count; i++)
        results[i] = i < maxima ? -INFINITY : 0;
    for (; p.first < v->n; p.first += BLOCK * ROUND) {
        size_t blocks = (v->n - p.first + BLOCK - 1) / BLOCK;

        p.blocks = blocks < ROUND ? (int)blocks : ROUND;
        nst_threads_run(v->threads, (p.blocks + RUN - 1) / RUN, do_run, &p);
        for (int i = 0; i < p.blocks * count; i++)
            if (i % count < maxima)
                results[i % count] = larger(results[i % count], of_blocks[i]);
            else
                results[i % count] += of_blocks[i];
    }
}

void nst_sums(const struct vectors *v, nst_part *part, const void *ctx, int count,
              double *results)
{
    nst_reduce(v, part, ctx, 0, count, results);
}

void nst_pass(const struct vectors *v, nst_part *part, const void *ctx)
{
    nst_reduce(v, part, ctx, 0, 0, NULL);
}
