/* SPDX-License-Identifier: MIT */
/*
 * net_grad_picture.c - gradients of the 9x9 convolutions from and to pictures. A row of
 * a picture is interleaved RGB, so that the 27 values that a row of taps reads follow
 * each other.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/net_grad.h"
#include "kernels/net_reference.h"

#define SIDE NST_CPU_NET_SIDE
#define REACH NST_NET_REACH
#define TAPS NST_PICTURE_TAPS
#define RUN 16 /* rows that are summed before their sum is added */

struct picture_args {
    struct nst_cpu *cpu;
    const struct nst_net_grad *k;
    const struct nst_net_view *x;
    const float *rgb;
    struct nst_shape shape; /* of the map */
    const struct nst_tensor *gy;
    struct nst_tensor *gx;
    float *weight;
    int margin;        /* pixels around the picture in rows */
    bool reflect;      /* they are reflected; else 0 */
    size_t rows_pitch; /* floats per row */
    float *rows;       /* from row -margin on */
};

size_t nst_cpu_net_grad_picture_floats(const struct nst_net_grad *k)
{
    return k->kind == NST_NET_TO_PICTURE ? (size_t)k->in * SIDE * TAPS * NST_BLOCK : 1;
}

/* Mirrored: the gradient is a convolution of the picture's. */
void nst_cpu_net_grad_picture_set(struct nst_net_grad *k,
                                  const struct nst_net_filters *f)
{
    const float *w = f->weight;

    if (k->kind != NST_NET_TO_PICTURE)
        return;
    for (int colour = 0; colour < 3; colour++)
        for (int c = 0; c < f->cin; c++)
            for (int u = SIDE - 1; u >= 0; u--)
                for (int v = SIDE - 1; v >= 0; v--)
                    k->weight[(((size_t)(c / NST_BLOCK) * SIDE + u) * TAPS +
                               (size_t)(3 * v + colour)) *
                                  NST_BLOCK +
                              c % NST_BLOCK] = *w++;
}

static int margin_of(const struct nst_net_grad *k)
{
    return k->kind == NST_NET_TO_PICTURE ? 2 * REACH : REACH;
}

struct nst_cpu_scratch nst_cpu_net_grad_picture_scratch(const struct nst_net_grad *k,
                                                        int height, int width)
{
    size_t margin = (size_t)margin_of(k);

    return (struct nst_cpu_scratch){
        .tiles = (size_t)k->in * ((size_t)width + 2 * REACH) * NST_BLOCK,
        .shared = ((size_t)height + 2 * margin) * ((size_t)width + 2 * margin) * 3};
}

/* Item: a row of the interleaved picture. */
static void interleave_row(void *ctx, int item, int thread)
{
    const struct picture_args *a = ctx;
    struct nst_shape s = a->shape;
    size_t area = nst_shape_area(s);
    int row = item - a->margin;
    float *to = a->rows + (size_t)item * a->rows_pitch;

    (void)thread;
    for (int j = -a->margin; j < s.w + a->margin; j++, to += 3) {
        bool inside = row >= 0 && row < s.h && j >= 0 && j < s.w;
        const float *pixel = a->rgb;

        if (inside || a->reflect)
            pixel += (size_t)nst_reflected(row, s.h) * s.w + nst_reflected(j, s.w);
        for (size_t c = 0; c < 3; c++)
            to[c] = inside || a->reflect ? pixel[c * area] : 0;
    }
}

static void interleave(struct picture_args *a)
{
    a->margin = margin_of(a->k);
    a->rows = a->cpu->shared;
    a->rows_pitch = ((size_t)a->shape.w + 2 * (size_t)a->margin) * 3;
    nst_threads_run(a->cpu->base.threads, a->shape.h + 2 * a->margin, interleave_row,
                    a);
}

/* The values that a row of taps reads around pixel (row, column). */
static const float *taps_at(const struct picture_args *a, int row, int column)
{
    return a->rows + (size_t)(row + a->margin) * a->rows_pitch +
           (size_t)(column + a->margin - REACH) * 3;
}

/* Rows of the map and its frame of REACH pixels that stand for a row of h: itself, and
 * those that mirror it. Returns their number. */
static int mirrored_rows(int row, int h, int to[3])
{
    int count = 0;

    to[count++] = row;
    if (row >= 1 && row <= REACH)
        to[count++] = -row;
    if (row <= h - 2 && row >= h - 1 - REACH)
        to[count++] = 2 * (h - 1) - row;
    return count;
}

/* Item: a row of the map. */
static void to_picture_row(void *ctx, int row, int thread)
{
    const struct picture_args *a = ctx;
    struct nst_shape s = a->shape;
    int n = s.w + 2 * REACH, rows[3], count = mirrored_rows(row, s.h, rows);
    float *line = a->cpu->tiles[thread];

    for (int i = 0; i < count; i++)
        a->cpu->kernels->net->from_picture(
            &(struct nst_gemm){.n = n,
                               .in = SIDE,
                               .out = a->k->in,
                               .a = taps_at(a, rows[i] - REACH, -REACH),
                               .a_stride = a->rows_pitch,
                               .w = a->k->weight,
                               .add = i > 0,
                               .c = line,
                               .c_stride = (size_t)n * NST_BLOCK});
    for (int b = 0; b < a->k->in; b++, line += (size_t)n * NST_BLOCK) {
        float *to = nst_cpu_row(a->gx, b, row);

        memcpy(to, line + REACH * NST_BLOCK, (size_t)s.w * NST_BLOCK * sizeof *to);
        for (int j = 1; j <= REACH; j++) {
            nst_cpu_add_pixel(line + (REACH - j) * NST_BLOCK,
                              to + nst_reflected(-j, s.w) * NST_BLOCK);
            nst_cpu_add_pixel(line + (size_t)(REACH + s.w - 1 + j) * NST_BLOCK,
                              to + nst_reflected(s.w - 1 + j, s.w) * NST_BLOCK);
        }
    }
}

void nst_cpu_net_grad_to_picture(struct nst_cpu *cpu, const struct nst_net_grad *k,
                                 const float *rgb, struct nst_tensor *gx)
{
    struct picture_args a = {
        .cpu = cpu, .k = k, .rgb = rgb, .shape = gx->shape, .gx = gx};

    interleave(&a);
    nst_threads_run(cpu->base.threads, gx->shape.h, to_picture_row, &a);
}

/* Sums of a row of taps, of a few rows of pixels and of all. */
struct tap_sums {
    float run[TAPS][NST_BLOCK], all[TAPS][NST_BLOCK];
};

static void end_run(struct tap_sums *s)
{
    for (int i = 0; i < TAPS; i++) {
        nst_cpu_add_pixel(s->run[i], s->all[i]);
        memset(s->run[i], 0, sizeof s->run[i]);
    }
}

/* Item: a row of taps of a block of outputs. */
static void from_picture_taps(void *ctx, int item, int thread)
{
    const struct picture_args *a = ctx;
    struct nst_shape s = a->shape;
    int u = item % SIDE, b = item / SIDE;
    struct tap_sums sums = {0};

    (void)thread;
    for (int r = 0; r < s.h; r++) {
        a->cpu->kernels->net_grad->outer(s.w, TAPS, taps_at(a, r + u - REACH, 0), 3,
                                         nst_cpu_row(a->gy, b, r), sums.run[0]);
        if (r % RUN == RUN - 1 || r == s.h - 1)
            end_run(&sums);
    }
    for (int i = 0; i < nst_cpu_min(NST_BLOCK, a->k->cout - b * NST_BLOCK); i++)
        for (int t = 0; t < TAPS; t++)
            a->weight[((size_t)(b * NST_BLOCK + i) * 3 + (size_t)(t % 3)) * SIDE *
                          SIDE +
                      (size_t)(u * SIDE + t / 3)] += sums.all[t][i];
}

void nst_cpu_net_grad_from_picture_weight(struct nst_cpu *cpu,
                                          const struct nst_net_grad *k,
                                          const float *rgb, const struct nst_tensor *gy,
                                          float *weight)
{
    struct picture_args a = {.cpu = cpu,
                             .k = k,
                             .rgb = rgb,
                             .shape = gy->shape,
                             .gy = gy,
                             .reflect = true,
                             .weight = weight};

    interleave(&a);
    nst_threads_run(cpu->base.threads, SIDE * k->out, from_picture_taps, &a);
}

/* A row of a block as the convolution reads it, with REACH reflected on each side. */
static void padded_row(const struct picture_args *a, int b, int row, float *to)
{
    struct nst_shape s = a->shape;
    struct nst_block_view view = nst_cpu_net_block(a->x, b);

    a->cpu->kernels->net->view(s.w, nst_cpu_row(a->x->x, b, nst_reflected(row, s.h)), 1,
                               &view, to + REACH * NST_BLOCK);
    for (int j = 1; j <= REACH; j++) {
        memcpy(to + (REACH - j) * NST_BLOCK,
               to + (REACH + nst_reflected(-j, s.w)) * NST_BLOCK,
               NST_BLOCK * sizeof *to);
        memcpy(to + (size_t)(REACH + s.w - 1 + j) * NST_BLOCK,
               to + (size_t)(REACH + nst_reflected(s.w - 1 + j, s.w)) * NST_BLOCK,
               NST_BLOCK * sizeof *to);
    }
}

/* Item: a row of taps of a block of inputs. */
static void to_picture_taps(void *ctx, int item, int thread)
{
    const struct picture_args *a = ctx;
    struct nst_shape s = a->shape;
    int u = item % SIDE, b = item / SIDE;
    float *line = a->cpu->tiles[thread];
    struct tap_sums sums = {0};

    for (int r = 0; r < s.h; r++) {
        padded_row(a, b, r + u - REACH, line);
        a->cpu->kernels->net_grad->outer(s.w + 2 * REACH, TAPS, taps_at(a, r, -REACH),
                                         3, line, sums.run[0]);
        if (r % RUN == RUN - 1 || r == s.h - 1)
            end_run(&sums);
    }
    /* The values around a pixel run against the taps that read it. */
    for (int i = 0; i < nst_cpu_min(NST_BLOCK, a->k->cin - b * NST_BLOCK); i++)
        for (int t = 0; t < TAPS; t++)
            a->weight[((size_t)(t % 3) * a->k->cin + (size_t)(b * NST_BLOCK + i)) *
                          SIDE * SIDE +
                      (size_t)(u * SIDE + SIDE - 1 - t / 3)] += sums.all[t][i];
}

void nst_cpu_net_grad_to_picture_weight(struct nst_cpu *cpu,
                                        const struct nst_net_grad *k,
                                        const struct nst_net_view *x, const float *grgb,
                                        float *weight, float *bias)
{
    struct picture_args a = {.cpu = cpu,
                             .k = k,
                             .x = x,
                             .rgb = grgb,
                             .shape = x->x->shape,
                             .weight = weight};
    size_t area = nst_shape_area(a.shape);

    interleave(&a);
    nst_threads_run(cpu->base.threads, SIDE * k->in, to_picture_taps, &a);
    for (size_t c = 0; c < 3; c++) {
        double sum = 0;

        for (size_t i = 0; i < area; i++)
            sum += grgb[c * area + i];
        bias[c] += (float)sum;
    }
}
