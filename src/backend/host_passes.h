/* SPDX-License-Identifier: MIT */
/*
 * host_passes.h - passes over long vectors on the CPU, threaded. A vector is cut into
 * blocks by its length alone; sums are made block by block, in double, and the blocks'
 * in order, so that they are the same for any number of threads.
 */
#ifndef NST_BACKEND_HOST_PASSES_H
#define NST_BACKEND_HOST_PASSES_H

#include "backend/host.h"

#include <math.h>

#include "backend/vectors.h"
#include "kernels/vectors.h"

/* host_direction.c */
size_t nst_host_work_bytes(size_t n, int pairs);
struct nst_downhill nst_host_direction(struct nst_backend *be, size_t n,
                                       const struct nst_descent *c);

#define BLOCK ((size_t)2048) /* elements; a dozen vectors' stay in the second cache */
#define RUN 16               /* blocks in a row that one thread does */
#define ROUND 1024           /* blocks at once, whose results are kept on the stack */

/* What the passes over some vectors have in common. */
struct vectors {
    size_t n; /* floats of each */
    struct nst_threads *threads;
    const struct nst_vector_kernels *kernels;
};

static inline struct vectors of(struct nst_backend *be, size_t n)
{
    return (struct vectors){n, be->threads, nst_vectors_choose()};
}

/* Elements first to first + n of a pass: does what it does, and sets its results to
 * this part of the maximum, or of the sums. */
typedef void nst_part(const struct nst_vector_kernels *k, const void *ctx, size_t first,
                      size_t n, double *results);

struct pass {
    const struct vectors *v;
    size_t first;
    int blocks; /* of this round */
    nst_part *part;
    const void *ctx;
    int count; /* results of each block */
    double *results;
};

static inline void do_run(void *ctx, int item, int thread)
{
    const struct pass *p = ctx;

    (void)thread;
    for (int b = item * RUN; b < (item + 1) * RUN && b < p->blocks; b++) {
        size_t first = p->first + (size_t)b * BLOCK, left = p->v->n - first;

        p->part(p->v->kernels, p->ctx, first, left < BLOCK ? left : BLOCK,
                p->results + b * p->count);
    }
}

static inline double larger(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

/* results[] become those of all blocks: the first maxima of them the largest, or NaN if
 * one of them is, the others sums. */
static inline void reduce(const struct vectors *v, nst_part *part, const void *ctx,
                          int maxima, int count, double *results)
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

static inline void sums(const struct vectors *v, nst_part *part, const void *ctx,
                        int count, double *results)
{
    reduce(v, part, ctx, 0, count, results);
}

static inline void pass(const struct vectors *v, nst_part *part, const void *ctx)
{
    reduce(v, part, ctx, 0, 0, NULL);
}

struct operands {
    float *y;
    const float *a, *b;
    float alpha;
    struct nst_box box;
};

#endif
