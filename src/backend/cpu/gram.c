/* SPDX-License-Identifier: MIT */
/*
 * gram.c - sums over pixels: Gram matrices and channels. Each group of rows is summed
 * in a fixed order, whatever the number of threads. Single precision covers a few
 * thousand pixels; these partial sums are added in double.
 */
#include "config.h"

#include "backend/cpu/layout.h"

#include <string.h>

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

/* Values of a group: its matrix, then its channels. */
static size_t group_values(int blocks)
{
    return pairs_before(blocks, blocks) * BLOCK_AREA + (size_t)blocks * NST_BLOCK;
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
    size_t floats = group_values(nst_cpu_blocks(s.c));

    return (struct nst_cpu_scratch){.partial = floats,
                                    .rows = KC * NST_BLOCK, /* a masked segment */
                                    .sums = floats * (size_t)row_groups(s.h, s.w)};
}

struct gram_args {
    const struct nst_cpu *cpu;
    const struct nst_tensor *f;
    struct nst_window window;
    const float *mask;
    bool relu, add;
    int blocks, groups;
    int rows, chunks; /* block rows of the matrix per item; items per group */
    struct nst_layer_sums result;
};

/* The sums of an item: pairs of blocks in order, and channels, or NULL. */
struct partial {
    float *products, *sums;
};

/* scaled = mask F for n pixels of a block */
static void scale_by_mask(const float *f, const float *mask, int n, float *scaled)
{
    for (int i = 0; i < n; i++, f += NST_BLOCK, scaled += NST_BLOCK)
        for (int k = 0; k < NST_BLOCK; k++)
            scaled[k] = mask[i] * f[k];
}

/* Add block row a of the matrix, and the sums of block a, over rows x n pixels. x is
 * block a, and x + left the same pixels of the map. */
static void sum_block_row(const struct gram_args *c, int a, int rows, int n,
                          const float *x, const float *left, struct partial *p)
{
    size_t pitch = nst_cpu_pitch(c->f->shape), stride = nst_cpu_stride(c->f->shape);

    for (int b = a; b < c->blocks; b++, left += stride, p->products += BLOCK_AREA)
        c->cpu->kernels->gram(rows, n, x, left, pitch, c->relu, p->products,
                              b == a ? p->sums : NULL);
    if (p->sums)
        p->sums += NST_BLOCK;
}

/* Block rows [from, to) of the matrix, over a row segment of pixels weighted by the
 * mask. The mask is applied before the ReLU, which is valid as it is not negative. */
static void sum_masked_segment(const struct gram_args *c, int from, int to, int row,
                               int left, int width, float *scaled, struct partial p)
{
    const float *mask = c->mask + (size_t)row * c->f->shape.w + left;
    int n = 0;

    while (n < width && mask[n] == 0)
        n++;
    if (n == width)
        return;
    for (int a = from; a < to; a++) {
        const float *f = nst_cpu_row(c->f, a, row) + (size_t)left * NST_BLOCK;

        scale_by_mask(f, mask, width, scaled);
        sum_block_row(c, a, 1, width, scaled, f, &p);
    }
}

/* Block rows [from, to) of the matrix, over some rows of pixels. */
static void sum_rows(const struct gram_args *c, int from, int to, int row, int rows,
                     float *scaled, struct partial p)
{
    const struct nst_window *w = &c->window;

    for (int r = row; c->mask && r < row + rows; r++)
        for (int left = 0; left < w->width; left += KC)
            sum_masked_segment(c, from, to, r, w->left + left,
                               w->width - left < KC ? w->width - left : KC, scaled, p);
    for (int a = from; !c->mask && a < to; a++) {
        const float *f = nst_cpu_row(c->f, a, row) + (size_t)w->left * NST_BLOCK;

        sum_block_row(c, a, rows, w->width, f, f, &p);
    }
}

static void add_floats(double *sums, const float *partial, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sums[i] += partial[i];
}

static void write_value(const struct gram_args *c, double value, double *to)
{
    *to = c->add ? *to + value : value;
}

/* Write the sums of blocks a and b of the matrix, and by symmetry of b and a. */
static void write_block(const struct gram_args *c, int a, int b, const double *block)
{
    int n = c->f->shape.c, top = a * NST_BLOCK, left = b * NST_BLOCK;
    int rows = n - top < NST_BLOCK ? n - top : NST_BLOCK;
    int columns = n - left < NST_BLOCK ? n - left : NST_BLOCK;
    double *products = nst_doubles(c->result.products);

    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            write_value(c, block[i * NST_BLOCK + j],
                        &products[(size_t)(top + i) * n + left + j]);
    for (int j = 0; b > a && j < columns; j++)
        for (int i = 0; i < rows; i++)
            write_value(c, block[i * NST_BLOCK + j],
                        &products[(size_t)(left + j) * n + top + i]);
}

/* Write the sums of the channels of block a. */
static void write_channels(const struct gram_args *c, int a, const double *sums)
{
    int n = c->f->shape.c, top = a * NST_BLOCK;

    for (int i = 0; i < NST_BLOCK && top + i < n; i++)
        write_value(c, sums[i], &nst_doubles(c->result.sums)[top + i]);
}

static void to_doubles(const float *from, int n, double *to)
{
    for (int i = 0; i < n; i++)
        to[i] = from[i];
}

/* Write block rows [from, to) of the matrix from the only partial sums. */
static void write_partial(const struct gram_args *c, int from, int to, struct partial p)
{
    double block[BLOCK_AREA];

    for (int a = from; a < to; a++) {
        for (int b = a; b < c->blocks; b++, p.products += BLOCK_AREA) {
            to_doubles(p.products, BLOCK_AREA, block);
            write_block(c, a, b, block);
        }
        if (!p.sums)
            continue;
        to_doubles(p.sums, NST_BLOCK, block);
        write_channels(c, a, block);
        p.sums += NST_BLOCK;
    }
}

/* Item: one group of rows of pixels, some block rows of the matrix. A single group is
 * one run of pixels, so its sums are final. */
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
    size_t channels = c->result.sums ? (size_t)(to - from) * NST_BLOCK : 0;
    double *products = c->cpu->sums + group * group_values(c->blocks);
    double *sums = products + pairs_before(c->blocks, c->blocks) * BLOCK_AREA +
                   (size_t)from * NST_BLOCK;
    float *partial = c->cpu->partial[thread];
    struct partial p = {partial, channels ? partial + n : NULL};

    products += first * BLOCK_AREA;
    if (c->groups > 1) {
        memset(products, 0, n * sizeof *products);
        memset(sums, 0, channels * sizeof *sums);
    }
    while (r < last) {
        memset(partial, 0, (n + channels) * sizeof *partial);
        for (int end = last - r < run_rows ? last : r + run_rows; r < end; r += kc_rows)
            sum_rows(c, from, to, r, end - r < kc_rows ? end - r : kc_rows,
                     c->cpu->rows[thread], p);
        if (c->groups > 1) {
            add_floats(products, partial, n);
            add_floats(sums, partial + n, channels);
        }
    }
    if (c->groups == 1)
        write_partial(c, from, to, p);
}

/* n values of a group from the one at first on, summed over the groups. */
static void sum_groups(const struct gram_args *c, size_t first, int n, double *out)
{
    const double *from = c->cpu->sums + first;

    memcpy(out, from, (size_t)n * sizeof *out);
    for (int g = 1; g < c->groups; g++) {
        from += group_values(c->blocks);
        for (int i = 0; i < n; i++)
            out[i] += from[i];
    }
}

/* Item: add the groups of block row a of the matrix, and of block a of the channels. */
static void reduce_groups(void *ctx, int a, int thread)
{
    const struct gram_args *c = ctx;
    double block[BLOCK_AREA];

    (void)thread;
    for (int b = a; b < c->blocks; b++) {
        sum_groups(c, (pairs_before(a, c->blocks) + (size_t)(b - a)) * BLOCK_AREA,
                   BLOCK_AREA, block);
        write_block(c, a, b, block);
    }
    if (!c->result.sums)
        return;
    sum_groups(c,
               pairs_before(c->blocks, c->blocks) * BLOCK_AREA + (size_t)a * NST_BLOCK,
               NST_BLOCK, block);
    write_channels(c, a, block);
}

void nst_cpu_layer_sums(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                        struct nst_window window, const struct nst_buffer *mask,
                        bool add, struct nst_layer_sums sums)
{
    int blocks = nst_cpu_blocks(f->shape.c);
    struct gram_args c = {.cpu = (const struct nst_cpu *)be,
                          .f = f,
                          .window = window,
                          .mask = nst_const_floats(mask),
                          .relu = relu,
                          .add = add,
                          .blocks = blocks,
                          .groups = row_groups(window.height, window.width),
                          .result = sums};

    /* The first block rows have the most pairs, so few groups need small items. */
    c.rows = c.groups > 4 ? c.groups / 2 : 2;
    c.chunks = (blocks + c.rows - 1) / c.rows;
    nst_threads_run(be->threads, c.groups * c.chunks, sum_group, &c);
    if (c.groups > 1)
        nst_threads_run(be->threads, blocks, reduce_groups, &c);
}
