/* SPDX-License-Identifier: MIT */
/*
 * backward.c - the fused backward step through pooling, ReLU and the losses on one map,
 * by row segments that stay in the cache. The gradient replaces the map in place: the
 * loss gradients need the map's values at the same pixels only.
 */
#include "config.h"

#include "backend/cpu/layout.h"

#include <string.h>

/* A packed matrix, and its offset. */
static size_t packed_size(int channels)
{
    size_t side = (size_t)nst_cpu_blocks(channels) * NST_BLOCK;

    return side * side + side;
}

/* Two rows of one block for the un-pooled gradient; for each of two rows the loss
 * gradients before and after the ReLU; one row for the product of a region. */
struct nst_cpu_scratch nst_cpu_backward_scratch(int channels, int regions)
{
    size_t row = NST_CPU_BACKWARD_WIDTH * NST_BLOCK;
    size_t blocks = (size_t)nst_cpu_blocks(channels);

    return (struct nst_cpu_scratch){.rows = 5 * row * blocks + 2 * row,
                                    .packed = (size_t)regions * packed_size(channels)};
}

/* Blocks of channels whose matrix one thread packs sooner than it wakes another. */
#define PACK_SERIAL 8

struct pack_args {
    const float *matrix;
    int channels, side; /* side: padded to whole blocks */
    float *w;
};

/* Item: the columns of one block of outputs, for gemm(): side x 16, zero-padded. */
static void pack_block(void *ctx, int item, int thread)
{
    const struct pack_args *a = ctx;
    int c = a->channels, o = item * NST_BLOCK;
    int n = c - o < NST_BLOCK ? c - o : NST_BLOCK;
    float *w = a->w + (size_t)o * (size_t)a->side;

    (void)thread;
    for (int i = 0; i < a->side; i++, w += NST_BLOCK) {
        if (n < NST_BLOCK || i >= c)
            memset(w, 0, NST_BLOCK * sizeof *w);
        if (i < c)
            memcpy(w, a->matrix + (size_t)i * c + o, (size_t)n * sizeof *w);
    }
}

/* Pack a symmetric c x c matrix: blocks x (16 blocks) x 16; then the offset, or
 * zeros. */
static void pack_region(const struct nst_cpu *cpu, const struct nst_region_grad *t,
                        int c, float *w)
{
    int blocks = nst_cpu_blocks(c), side = blocks * NST_BLOCK;
    struct pack_args a = {nst_const_floats(t->matrix), c, side, w};
    float *offset = w + (size_t)side * side;

    if (blocks > PACK_SERIAL)
        nst_threads_run(cpu->base.threads, blocks, pack_block, &a);
    for (int b = 0; blocks <= PACK_SERIAL && b < blocks; b++)
        pack_block(&a, b, 0);
    memset(offset, 0, (size_t)side * sizeof *offset);
    if (t->offset)
        memcpy(offset, nst_const_floats(t->offset), (size_t)c * sizeof *offset);
}

static const float *pack_regions(const struct nst_cpu *cpu,
                                 const struct nst_loss_grad *t, int c, float *w)
{
    for (int i = 0; i < t->regions; i++)
        pack_region(cpu, &t->region[i], c, w + (size_t)i * packed_size(c));
    return w;
}

struct nst_cpu_step nst_cpu_step_pack(struct nst_cpu *cpu,
                                      const struct nst_backward_step *step)
{
    int c = step->y->shape.c;

    return (struct nst_cpu_step){step,
                                 pack_regions(cpu, &step->before, c, cpu->packed[0]),
                                 pack_regions(cpu, &step->after, c, cpu->packed[1])};
}

static bool any_nonzero(const float *mask, int width)
{
    for (int i = 0; i < width; i++)
        if (mask[i] != 0)
            return true;
    return false;
}

/* to += mask product, for n pixels of some blocks. */
static void add_masked(const float *mask, const float *product, int blocks, int n,
                       float *to)
{
    for (int b = 0; b < blocks; b++)
        for (int i = 0; i < n; i++, product += NST_BLOCK, to += NST_BLOCK)
            for (int k = 0; k < NST_BLOCK; k++)
                to[k] += mask[i] * product[k];
}

/* Loss gradient for width pixels of one row from column first, in out. Returns NULL if
 * there are no losses. partial is scratch memory of the same size. */
static float *compute_loss_grad(const struct nst_cpu *cpu,
                                const struct nst_backward_step *j,
                                const struct nst_loss_grad *loss, const float *packed,
                                int row, int first, int width, float *out,
                                float *partial)
{
    const struct nst_tensor *y = j->y;
    int blocks = nst_cpu_blocks(y->shape.c);
    size_t at = (size_t)first * NST_BLOCK, stride = (size_t)width * NST_BLOCK;
    bool relu = loss == &j->after && j->before_relu;
    bool written = false;

    if (!loss->regions && !loss->target)
        return NULL;
    for (int i = 0; i < loss->regions; i++) {
        const struct nst_region_grad *t = &loss->region[i];
        const float *mask =
            t->mask ? nst_const_floats(t->mask) + (size_t)row * y->shape.w + first
                    : NULL;
        const float *matrix = packed + (size_t)i * packed_size(y->shape.c);

        if (mask && !any_nonzero(mask, width))
            continue;
        if (mask && !written)
            memset(out, 0, (size_t)blocks * stride * sizeof *out);
        cpu->kernels->gemm(&(struct nst_gemm){
            .n = width,
            .in = blocks,
            .out = blocks,
            .a = nst_cpu_row(y, 0, row) + at,
            .a_stride = nst_cpu_stride(y->shape),
            .relu = relu,
            .w = matrix,
            .bias = matrix + (size_t)blocks * blocks * NST_BLOCK * NST_BLOCK,
            .add = !mask && written,
            .c = mask ? partial : out,
            .c_stride = stride});
        if (mask)
            add_masked(mask, partial, blocks, width, out);
        written = true;
    }
    if (!written)
        memset(out, 0, (size_t)blocks * stride * sizeof *out);
    for (int b = 0; loss->target && b < blocks; b++)
        cpu->kernels->add_difference(width, nst_cpu_row(y, b, row) + at, relu,
                                     nst_cpu_row(loss->target, b, row) + at,
                                     loss->scale, out + b * stride);
    return out;
}

/* Loss gradients of one row segment, all blocks; width * 16 floats per block. */
struct row_loss_grad {
    int row;
    float *before, *after;
};

static struct row_loss_grad row_loss_grad_of(const struct nst_cpu *cpu,
                                             const struct nst_cpu_step *j, int row,
                                             int first, int width, float **scratch)
{
    size_t n = (size_t)nst_cpu_blocks(j->step->y->shape.c) * width * NST_BLOCK;
    struct row_loss_grad r = {.row = row};

    r.before = compute_loss_grad(cpu, j->step, &j->step->before, j->before, row, first,
                                 width, *scratch, *scratch + 2 * n);
    r.after = compute_loss_grad(cpu, j->step, &j->step->after, j->after, row, first,
                                width, *scratch + n, *scratch + 2 * n);
    *scratch += 2 * n;
    return r;
}

static void backward_row(const struct nst_cpu *cpu, const struct nst_backward_step *j,
                         const struct row_loss_grad *r, int block, int first, int width,
                         const float *upstream)
{
    size_t at = (size_t)block * width * NST_BLOCK;

    cpu->kernels->relu_grad(width, upstream, r->after ? r->after + at : NULL,
                            r->before ? r->before + at : NULL,
                            nst_cpu_row(j->y, block, r->row) +
                                (size_t)first * NST_BLOCK);
}

/* A row without upstream gradient: beyond the pooling windows, or in the last map. */
static void backward_row_losses(const struct nst_cpu *cpu, const struct nst_cpu_step *j,
                                int row, int first, int width, float *scratch)
{
    struct row_loss_grad r = row_loss_grad_of(cpu, j, row, first, width, &scratch);

    for (int b = 0; b < nst_cpu_blocks(j->step->y->shape.c); b++)
        backward_row(cpu, j->step, &r, b, first, width, NULL);
}

/* One row of pooling windows: two rows of y, and the odd column and row beyond the last
 * window. */
static void backward_pooled(const struct nst_cpu *cpu,
                            const struct nst_cpu_step *packed, const float *upstream,
                            size_t upstream_stride, int row, int first, int windows,
                            float *scratch)
{
    const struct nst_backward_step *j = packed->step;
    struct nst_shape s = j->y->shape;
    int left = 2 * first, odd = left + 2 * windows == s.w - 1;
    int width = 2 * windows + odd;
    size_t tail = (size_t)2 * windows * NST_BLOCK, n = (size_t)width * NST_BLOCK;
    float *g0 = scratch, *g1 = g0 + n;
    struct row_loss_grad r0, r1;

    memset(g0 + tail, 0, (n - tail) * sizeof *g0);
    memset(g1 + tail, 0, (n - tail) * sizeof *g1);
    scratch = g1 + n;
    r0 = row_loss_grad_of(cpu, packed, 2 * row, left, width, &scratch);
    r1 = row_loss_grad_of(cpu, packed, 2 * row + 1, left, width, &scratch);
    for (int b = 0; b < nst_cpu_blocks(s.c); b++, upstream += upstream_stride) {
        size_t at = (size_t)left * NST_BLOCK;

        if (j->pooling == NST_POOLING_MAX)
            cpu->kernels->maxpool_grad(windows, nst_cpu_row(j->y, b, 2 * row) + at,
                                       nst_cpu_row(j->y, b, 2 * row + 1) + at,
                                       j->before_relu, upstream, g0, g1);
        else
            cpu->kernels->avgpool_grad(windows, upstream, g0, g1);
        backward_row(cpu, j, &r0, b, left, width, g0);
        backward_row(cpu, j, &r1, b, left, width, g1);
    }
    if (row == s.h / 2 - 1 && s.h % 2)
        backward_row_losses(cpu, packed, s.h - 1, left, width, g0);
}

void nst_cpu_backward_row(const struct nst_cpu *cpu, const struct nst_cpu_step *j,
                          const float *upstream, size_t upstream_stride, int row,
                          int first, int last, float *scratch)
{
    struct row_loss_grad r;

    if (j->step->pooled) {
        backward_pooled(cpu, j, upstream, upstream_stride, row, first, last - first,
                        scratch);
        return;
    }
    r = row_loss_grad_of(cpu, j, row, first, last - first, &scratch);
    for (int b = 0; b < nst_cpu_blocks(j->step->y->shape.c);
         b++, upstream += upstream_stride)
        backward_row(cpu, j->step, &r, b, first, last - first, upstream);
}

struct head_args {
    struct nst_cpu *cpu;
    struct nst_cpu_step step;
};

static void head_grad_row(void *ctx, int row, int thread)
{
    struct head_args *l = ctx;
    int w = l->step.step->y->shape.w;

    for (int first = 0; first < w; first += NST_CPU_BACKWARD_WIDTH)
        backward_row_losses(l->cpu, &l->step, row, first,
                            w - first < NST_CPU_BACKWARD_WIDTH ? w - first
                                                               : NST_CPU_BACKWARD_WIDTH,
                            l->cpu->rows[thread]);
}

void nst_cpu_head_grad(struct nst_backend *be, const struct nst_backward_step *step)
{
    struct head_args l = {(struct nst_cpu *)be,
                          nst_cpu_step_pack((struct nst_cpu *)be, step)};

    nst_threads_run(be->threads, step->y->shape.h, head_grad_row, &l);
}
