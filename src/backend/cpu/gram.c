/* SPDX-License-Identifier: MIT */
/*
 * gram.c - Gram matrices. Each group of rows is summed in a fixed order, whatever the
 * number of threads. Single precision covers a few thousand pixels; these partial sums
 * are added in double.
 */
#include "config.h"

#include "backend/cpu/layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define BLOCK_AREA (NST_BLOCK * NST_BLOCK)
/* Pixels summed in single precision. */
#define FLOAT_RUN 4096
/* Pixels per kernel call for a pair of blocks; they stay in the cache. */
#define KC 256
#define MAX_GROUPS 16

/* Pairs (a, b) of blocks, a <= b, are numbered row by row. The number before row a. */
static size_t pairs_before(int a, int blocks)
{
    return (size_t)a * (2 * (size_t)blocks - (size_t)a + 1) / 2;
}

/* Groups of rows; depends on the window alone, so that the result is reproducible. */
static int row_groups(int height, int width)
{
    long runs = ((long)height * width + FLOAT_RUN - 1) / FLOAT_RUN;
    int max = height < MAX_GROUPS ? height : MAX_GROUPS;

    return runs < max ? (int)runs : max;
}

struct nst_cpu_scratch nst_cpu_gram_scratch(struct nst_shape s)
{
    int blocks = nst_cpu_blocks(s.c);
    size_t floats = pairs_before(blocks, blocks) * BLOCK_AREA;

    return (struct nst_cpu_scratch){.partial = floats,
                                    .rows = KC * NST_BLOCK, /* a masked segment */
                                    .sums = floats * (size_t)row_groups(s.h, s.w)};
}

struct gram_args {
    const struct nst_cpu *cpu;
    const struct nst_tensor *f;
    struct nst_window window;
    const float *mask;
    bool relu;
    int blocks, groups;
    int rows, chunks; /* block rows of the matrix per item; items per group */
    size_t pairs;
    double *sums; /* result */
};

/* scaled = mask F for n pixels of a block */
static void scale_by_mask(const float *f, const float *mask, int n, float *scaled)
{
    for (int i = 0; i < n; i++, f += NST_BLOCK, scaled += NST_BLOCK)
        for (int k = 0; k < NST_BLOCK; k++)
            scaled[k] = mask[i] * f[k];
}

/* Block rows [from, to) of the matrix, over a row segment of pixels weighted by the
 * mask. The mask is applied before the ReLU, which is valid as it is not negative. */
static void sum_masked_segment(const struct gram_args *c, int from, int to, int row,
                               int left, int width, float *scaled, float *partial)
{
    const float *mask = c->mask + (size_t)row * c->f->shape.w + left;
    size_t at = (size_t)left * NST_BLOCK;
    int n = 0;

    while (n < width && mask[n] == 0)
        n++;
    if (n == width)
        return;
    for (int a = from; a < to; a++) {
        scale_by_mask(nst_cpu_row(c->f, a, row) + at, mask, width, scaled);
        for (int b = a; b < c->blocks; b++, partial += BLOCK_AREA)
            c->cpu->kernels->gram(1, width, scaled, nst_cpu_row(c->f, b, row) + at,
                                  nst_cpu_pitch(c->f->shape), c->relu, partial);
    }
}

/* Block rows [from, to) of the matrix, over some rows of pixels. */
static void sum_rows(const struct gram_args *c, int from, int to, int row, int rows,
                     float *scaled, float *partial)
{
    const struct nst_window *w = &c->window;
    size_t at = (size_t)w->left * NST_BLOCK;

    for (int r = row; c->mask && r < row + rows; r++)
        for (int left = 0; left < w->width; left += KC)
            sum_masked_segment(c, from, to, r, w->left + left,
                               w->width - left < KC ? w->width - left : KC, scaled,
                               partial);
    for (int a = from; !c->mask && a < to; a++)
        for (int b = a; b < c->blocks; b++, partial += BLOCK_AREA)
            c->cpu->kernels->gram(rows, w->width, nst_cpu_row(c->f, a, row) + at,
                                  nst_cpu_row(c->f, b, row) + at,
                                  nst_cpu_pitch(c->f->shape), c->relu, partial);
}

/* Item: one group of rows of pixels, some block rows of the matrix. */
static void sum_group(void *ctx, int item, int thread)
{
    const struct gram_args *c = ctx;
    const struct nst_window *w = &c->window;
    int group = item / c->chunks, from = item % c->chunks * c->rows;
    int to = from + c->rows < c->blocks ? from + c->rows : c->blocks;
    int r = w->top + (int)((long)w->height * group / c->groups);
    int last = w->top + (int)((long)w->height * (group + 1) / c->groups);
    int run_rows = w->width < FLOAT_RUN ? FLOAT_RUN / w->width : 1;
    int kc_rows = w->width < KC ? KC / w->width : 1;
    size_t first = pairs_before(from, c->blocks);
    size_t n = (pairs_before(to, c->blocks) - first) * BLOCK_AREA;
    double *sums = c->cpu->sums + (group * c->pairs + first) * BLOCK_AREA;
    float *partial = c->cpu->partial[thread];

    memset(sums, 0, n * sizeof *sums);
    while (r < last) {
        memset(partial, 0, n * sizeof *partial);
        for (int end = last - r < run_rows ? last : r + run_rows; r < end; r += kc_rows)
            sum_rows(c, from, to, r, end - r < kc_rows ? end - r : kc_rows,
                     c->cpu->rows[thread], partial);
        for (size_t i = 0; i < n; i++)
            sums[i] += partial[i];
    }
}

/* Sum of one pair of blocks over the groups. */
static void sum_groups(const struct gram_args *c, int a, int b,
                       double block[BLOCK_AREA])
{
    const double *from =
        c->cpu->sums + (pairs_before(a, c->blocks) + (size_t)(b - a)) * BLOCK_AREA;

    memcpy(block, from, BLOCK_AREA * sizeof *block);
    for (int g = 1; g < c->groups; g++) {
        from += c->pairs * BLOCK_AREA;
        for (int i = 0; i < BLOCK_AREA; i++)
            block[i] += from[i];
    }
}

/* Add the groups of block row a of the matrix, and of block column a by symmetry. */
static void reduce_groups(void *ctx, int a, int thread)
{
    const struct gram_args *c = ctx;
    int n = c->f->shape.c, top = a * NST_BLOCK;
    double block[BLOCK_AREA];

    (void)thread;
    for (int b = a; b < c->blocks; b++) {
        int left = b * NST_BLOCK;

        sum_groups(c, a, b, block);
        for (int i = 0; i < NST_BLOCK && top + i < n; i++)
            for (int j = 0; j < NST_BLOCK && left + j < n; j++)
                c->sums[(size_t)(top + i) * n + left + j] += block[i * NST_BLOCK + j];
        for (int j = 0; b > a && j < NST_BLOCK && left + j < n; j++)
            for (int i = 0; i < NST_BLOCK && top + i < n; i++)
                c->sums[(size_t)(left + j) * n + top + i] += block[i * NST_BLOCK + j];
    }
}

static void gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                 struct nst_window window, const struct nst_buffer *mask, bool add,
                 struct nst_buffer *sums)
{
    size_t entries = (size_t)f->shape.c * (size_t)f->shape.c;
    int blocks = nst_cpu_blocks(f->shape.c);
    struct gram_args c = {.cpu = (const struct nst_cpu *)be,
                          .f = f,
                          .window = window,
                          .mask = nst_const_floats(mask),
                          .relu = relu,
                          .blocks = blocks,
                          .groups = row_groups(window.height, window.width),
                          .pairs = pairs_before(blocks, blocks),
                          .sums = nst_doubles(sums)};

    /* The first block rows have the most pairs, so few groups need small items. */
    c.rows = c.groups > 4 ? c.groups / 2 : 2;
    c.chunks = (blocks + c.rows - 1) / c.rows;
    if (!add)
        memset(c.sums, 0, entries * sizeof *c.sums);
    nst_threads_run(be->threads, c.groups * c.chunks, sum_group, &c);
    nst_threads_run(be->threads, blocks, reduce_groups, &c);
}

struct sum_args {
    const struct nst_tensor *from;
    bool relu;
    struct nst_window window;
    const float *mask;
    double *sums;
};

/* sums: 16 per row of a block */
static void channel_sums_row(void *ctx, int item, int thread)
{
    const struct sum_args *p = ctx;
    int b = item / p->window.height, r = p->window.top + item % p->window.height;
    const float *x = nst_cpu_row(p->from, b, r) + (size_t)p->window.left * NST_BLOCK;
    const float *mask =
        p->mask ? p->mask + (size_t)r * p->from->shape.w + p->window.left : NULL;
    double *sums = p->sums + (size_t)item * NST_BLOCK;

    (void)thread;
    for (int j = 0; j < p->window.width; j++, x += NST_BLOCK)
        for (int k = 0; k < NST_BLOCK; k++) {
            double v = p->relu && !(x[k] > 0) ? 0 : x[k];

            sums[k] += mask ? mask[j] * v : v;
        }
}

static void channel_sums(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                         struct nst_window window, const struct nst_buffer *mask,
                         bool add, struct nst_buffer *sums)
{
    double *to = nst_doubles(sums);
    int items = nst_cpu_blocks(f->shape.c) * window.height;
    struct sum_args p = {.from = f,
                         .relu = relu,
                         .window = window,
                         .mask = nst_const_floats(mask),
                         .sums =
                             nst_xcalloc((size_t)items * NST_BLOCK, sizeof(double))};

    nst_threads_run(be->threads, items, channel_sums_row, &p);
    for (int c = 0; c < f->shape.c; c++) {
        to[c] = add ? to[c] : 0;
        for (int r = 0; r < window.height; r++)
            to[c] += p.sums[((size_t)(c / NST_BLOCK) * window.height + r) * NST_BLOCK +
                            c % NST_BLOCK];
    }
    free(p.sums);
}

void nst_cpu_layer_sums(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                        struct nst_window window, const struct nst_buffer *mask,
                        bool add, struct nst_layer_sums sums)
{
    gram(be, f, relu, window, mask, add, sums.products);
    if (sums.sums)
        channel_sums(be, f, relu, window, mask, add, sums.sums);
}
