/* SPDX-License-Identifier: MIT */
/*
 * join.c - the way back through pooling, ReLU and the losses at one map, a piece of a
 * row at a time while it is in the cache. The gradient takes the place of the map: what
 * the losses add needs the map's values at the same pixels only.
 */
#include "config.h"

#include "backend/cpu/cpu.h"

#include <string.h>

static size_t packed_floats(int channels)
{
    size_t side = (size_t)nst_cpu_blocks(channels) * NST_BLOCK;

    return side * side;
}

/* Of two rows: what is added before and after the ReLU, and what one region adds. Of
 * one block of two rows: what comes back through the pooling. */
struct nst_cpu_wants nst_cpu_join_wants(int channels, int regions)
{
    size_t row = NST_CPU_JOIN_WIDTH * NST_BLOCK;
    size_t blocks = (size_t)nst_cpu_blocks(channels);

    return (struct nst_cpu_wants){.rows = 5 * row * blocks + 2 * row,
                                  .packed = (size_t)regions * packed_floats(channels)};
}

/* A symmetric matrix as product() wants it: out blocks x (16 in) x 16, filled up with
 * zeros. */
static void pack(const float *s, int c, float *w)
{
    int side = nst_cpu_blocks(c) * NST_BLOCK;

    for (int o = 0; o < side; o += NST_BLOCK)
        for (int i = 0; i < side; i++, w += NST_BLOCK) {
            int n = i >= c ? 0 : c - o < NST_BLOCK ? c - o : NST_BLOCK;

            memset(w, 0, NST_BLOCK * sizeof *w);
            memcpy(w, s + (size_t)(n ? i : 0) * c + o, (size_t)n * sizeof *w);
        }
}

static const float *pack_all(const struct nst_terms *t, int c, float *w)
{
    for (int i = 0; i < t->regions; i++)
        pack(t->region[i].matrix, c, w + (size_t)i * packed_floats(c));
    return w;
}

struct nst_cpu_joint nst_cpu_joint(struct nst_cpu *cpu, const struct nst_joint *joint)
{
    int c = joint->y->shape.c;

    return (struct nst_cpu_joint){joint, pack_all(&joint->before, c, cpu->packed[0]),
                                  pack_all(&joint->after, c, cpu->packed[1])};
}

/* Does the region have any of these pixels? */
static bool counts(const float *guide, int width)
{
    for (int i = 0; i < width; i++)
        if (guide[i] != 0)
            return true;
    return false;
}

/* to += guide (product + offset) for n pixels of c channels in blocks. */
static void add_guided(const struct nst_region_terms *t, const float *guide,
                       const float *product, int c, int n, float *to)
{
    for (int b = 0; b < nst_cpu_blocks(c); b++) {
        float offset[NST_BLOCK] = {0};

        for (int k = 0; t->offset && k < NST_BLOCK && b * NST_BLOCK + k < c; k++)
            offset[k] = t->offset[b * NST_BLOCK + k];
        for (int i = 0; i < n; i++, product += NST_BLOCK, to += NST_BLOCK)
            for (int k = 0; k < NST_BLOCK; k++)
                to[k] += (guide ? guide[i] : 1) * (product[k] + offset[k]);
    }
}

/* matrix F of the only region is what most runs have; it needs no sum. */
static bool is_plain(const struct nst_terms *t)
{
    return t->regions == 1 && !t->region->guide && !t->region->offset;
}

/* The terms for width pixels of one row from column first, in out; NULL when there are
 * none. part is as large, to work in. */
static float *add_up_terms(const struct nst_cpu *cpu, const struct nst_joint *j,
                           const struct nst_terms *terms, const float *packed, int row,
                           int first, int width, float *out, float *part)
{
    const struct nst_tensor *y = j->y;
    int blocks = nst_cpu_blocks(y->shape.c);
    size_t at = (size_t)first * NST_BLOCK, stride = (size_t)width * NST_BLOCK;
    bool relu = terms == &j->after && j->before_relu, plain = is_plain(terms);

    if (!terms->regions && !terms->target)
        return NULL;
    if (!plain)
        memset(out, 0, (size_t)blocks * stride * sizeof *out);
    for (int i = 0; i < terms->regions; i++) {
        const struct nst_region_terms *t = &terms->region[i];
        const float *guide =
            t->guide ? t->guide + (size_t)row * y->shape.w + first : NULL;

        if (guide && !counts(guide, width))
            continue;
        cpu->kernels->product(width, blocks, blocks, nst_cpu_row(y, 0, row) + at,
                              nst_cpu_stride(y->shape), relu,
                              packed + (size_t)i * packed_floats(y->shape.c),
                              plain ? out : part, stride);
        if (!plain)
            add_guided(t, guide, part, y->shape.c, width, out);
    }
    for (int b = 0; terms->target && b < blocks; b++)
        cpu->kernels->add_difference(width, nst_cpu_row(y, b, row) + at, relu,
                                     nst_cpu_row(terms->target, b, row) + at,
                                     terms->scale, out + b * stride);
    return out;
}

/* What is added in one row of a piece, all blocks; width * 16 floats from block to
 * block. */
struct row_terms {
    int row;
    float *before, *after;
};

static struct row_terms terms_of(const struct nst_cpu *cpu,
                                 const struct nst_cpu_joint *j, int row, int first,
                                 int width, float **scratch)
{
    size_t n = (size_t)nst_cpu_blocks(j->joint->y->shape.c) * width * NST_BLOCK;
    struct row_terms r = {.row = row};

    r.before = add_up_terms(cpu, j->joint, &j->joint->before, j->before, row, first,
                            width, *scratch, *scratch + 2 * n);
    r.after = add_up_terms(cpu, j->joint, &j->joint->after, j->after, row, first, width,
                           *scratch + n, *scratch + 2 * n);
    *scratch += 2 * n;
    return r;
}

static void join_row(const struct nst_cpu *cpu, const struct nst_joint *j,
                     const struct row_terms *r, int block, int first, int width,
                     const float *up)
{
    size_t at = (size_t)block * width * NST_BLOCK;

    cpu->kernels->join(width, up, r->after ? r->after + at : NULL,
                       r->before ? r->before + at : NULL,
                       nst_cpu_row(j->y, block, r->row) + (size_t)first * NST_BLOCK);
}

/* A row that no window reaches, or that nothing follows. */
static void join_alone(const struct nst_cpu *cpu, const struct nst_cpu_joint *j,
                       int row, int first, int width, float *scratch)
{
    struct row_terms r = terms_of(cpu, j, row, first, width, &scratch);

    for (int b = 0; b < nst_cpu_blocks(j->joint->y->shape.c); b++)
        join_row(cpu, j->joint, &r, b, first, width, NULL);
}

/* A row of windows: two rows of y, and a column that no window reaches after the last
 * one. */
static void join_pooled(const struct nst_cpu *cpu, const struct nst_cpu_joint *cj,
                        const float *up, size_t up_stride, int row, int first,
                        int windows, float *scratch)
{
    const struct nst_joint *j = cj->joint;
    struct nst_shape s = j->y->shape;
    int left = 2 * first, odd = left + 2 * windows == s.w - 1;
    int width = 2 * windows + odd;
    size_t tail = (size_t)2 * windows * NST_BLOCK, n = (size_t)width * NST_BLOCK;
    float *g0 = scratch, *g1 = g0 + n;
    struct row_terms r0, r1;

    memset(g0 + tail, 0, (n - tail) * sizeof *g0);
    memset(g1 + tail, 0, (n - tail) * sizeof *g1);
    scratch = g1 + n;
    r0 = terms_of(cpu, cj, 2 * row, left, width, &scratch);
    r1 = terms_of(cpu, cj, 2 * row + 1, left, width, &scratch);
    for (int b = 0; b < nst_cpu_blocks(s.c); b++, up += up_stride) {
        size_t at = (size_t)left * NST_BLOCK;

        if (j->pooling == NST_POOLING_MAX)
            cpu->kernels->maxpool_grad(windows, nst_cpu_row(j->y, b, 2 * row) + at,
                                       nst_cpu_row(j->y, b, 2 * row + 1) + at,
                                       j->before_relu, up, g0, g1);
        else
            cpu->kernels->avgpool_grad(windows, up, g0, g1);
        join_row(cpu, j, &r0, b, left, width, g0);
        join_row(cpu, j, &r1, b, left, width, g1);
    }
    if (row == s.h / 2 - 1 && s.h % 2)
        join_alone(cpu, cj, s.h - 1, left, width, g0);
}

void nst_cpu_join(const struct nst_cpu *cpu, const struct nst_cpu_joint *j,
                  const float *up, size_t up_stride, int row, int first, int last,
                  float *scratch)
{
    struct row_terms r;

    if (j->joint->pooled) {
        join_pooled(cpu, j, up, up_stride, row, first, last - first, scratch);
        return;
    }
    r = terms_of(cpu, j, row, first, last - first, &scratch);
    for (int b = 0; b < nst_cpu_blocks(j->joint->y->shape.c); b++, up += up_stride)
        join_row(cpu, j->joint, &r, b, first, last - first, up);
}

struct last {
    struct nst_cpu *cpu;
    struct nst_cpu_joint joint;
};

static void join_last_row(void *ctx, int row, int thread)
{
    struct last *l = ctx;
    int w = l->joint.joint->y->shape.w;

    for (int first = 0; first < w; first += NST_CPU_JOIN_WIDTH)
        join_alone(l->cpu, &l->joint, row, first,
                   w - first < NST_CPU_JOIN_WIDTH ? w - first : NST_CPU_JOIN_WIDTH,
                   l->cpu->rows[thread]);
}

void nst_cpu_last_grad(struct nst_backend *be, const struct nst_joint *joint)
{
    struct last l = {(struct nst_cpu *)be, nst_cpu_joint((struct nst_cpu *)be, joint)};

    nst_threads_run(be->threads, joint->y->shape.h, join_last_row, &l);
}
