/* SPDX-License-Identifier: MIT */
/*
 * direct.c - 3x3 convolution and its gradient on maps of a few pixels, as nine
 * products. They read fewer weights than Winograd's method, which are what takes time
 * there. First the pixels that each tap reads are gathered, padding included. In the
 * gradient that is a sum if a pixel stands for others.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/conv.h"

/* Output blocks per item. */
#define SLICE 2
/* Columns per backward step; with pooling each is two pixels wide. */
#define MAX_COLUMNS (NST_CPU_BACKWARD_WIDTH / 2)

struct direct_args {
    struct nst_cpu *cpu;
    const struct nst_conv *k;
    const struct nst_tensor *x;
    bool relu;
    int in, out; /* blocks of this pass */
    const float *taps, *bias;
    float *gathered, *result; /* taps x in x pixels x 16, out x pixels x 16 */
    size_t pixels;
    const struct nst_cpu_output *y; /* forward */
    struct nst_cpu_step step;       /* backward */
};

struct nst_cpu_scratch nst_cpu_direct_scratch(int pixels, int in, int out)
{
    size_t most = (size_t)(in > out ? in : out);

    return (struct nst_cpu_scratch){.shared = (NST_CPU_TAPS + 1) * most *
                                              (size_t)pixels * NST_BLOCK};
}

/* Add a pixel of all blocks to one of the gathered. */
static void add_pixel(const struct direct_args *a, int row, int column, float *to)
{
    for (int b = 0; b < a->in; b++, to += a->pixels * NST_BLOCK)
        nst_cpu_add_pixel(nst_cpu_row(a->x, b, row) + column * NST_BLOCK, to);
}

/* Gradient: outputs that read a pixel as padding by this tap, beside the one that reads
 * it as itself. */
static void add_readers(const struct direct_args *a, int tap, float *to)
{
    struct nst_shape s = a->x->shape;

    for (int i = 0; i < s.h; i++) {
        int row[2], rows = nst_padded_readers(i, tap / 3, s.h, a->k->padding, row);

        for (int j = 0; j < s.w; j++, to += NST_BLOCK) {
            int column[2],
                columns = nst_padded_readers(j, tap % 3, s.w, a->k->padding, column);

            for (int r = 0; r < rows; r++)
                for (int c = 0; c < columns; c++)
                    if (row[r] != i + 1 - tap / 3 || column[c] != j + 1 - tap % 3)
                        add_pixel(a, row[r], column[c], to);
        }
    }
}

/* Item: one tap. Forward it reads one pixel further down and right, backward up and
 * left. */
static void gather_tap(void *ctx, int tap, int thread)
{
    const struct direct_args *a = ctx;
    struct nst_shape s = a->x->shape;
    int direction = a->y ? 1 : -1;
    int down = direction * (tap / 3 - 1), right = direction * (tap % 3 - 1);
    size_t row = (size_t)s.w * NST_BLOCK;
    float *first = a->gathered + (size_t)tap * a->in * a->pixels * NST_BLOCK,
          *to = first;

    (void)thread;
    for (int b = 0; b < a->in; b++)
        for (int i = 0; i < s.h; i++, to += row)
            memcpy(to, nst_cpu_row(a->x, b, i + down) + right * NST_BLOCK,
                   row * sizeof *to);
    if (!a->y && a->k->padding != NST_PADDING_ZERO)
        add_readers(a, tap, first);
}

/* Write a block of the output, and its pooled pixels. */
static void store_block(const struct direct_args *a, int b, const float *from)
{
    const struct nst_tensor *y = a->y->y, *pooled = a->y->pooled;
    int w = y->shape.w;

    for (int r = 0; r < y->shape.h; r++, from += w * NST_BLOCK) {
        float *to = nst_cpu_row(y, b, r);

        memcpy(to, from, (size_t)w * NST_BLOCK * sizeof *to);
        if (a->y->relu)
            a->cpu->kernels->relu(w, to);
    }
    for (int r = 0; pooled && r < pooled->shape.h; r++)
        nst_cpu_pool_row(a->cpu, a->y, b, r, 0, pooled->shape.w);
}

/* Item: some blocks of the result. */
static void multiply(void *ctx, int item, int thread)
{
    const struct direct_args *a = ctx;
    size_t plane = a->pixels * NST_BLOCK;
    int first = item * SLICE;
    int blocks = a->out - first < SLICE ? a->out - first : SLICE;
    float *result = a->result + (size_t)first * plane;

    (void)thread;
    for (int t = 0; t < NST_CPU_TAPS; t++)
        a->cpu->kernels->gemm(&(struct nst_gemm){
            .n = (int)a->pixels,
            .in = a->in,
            .out = blocks,
            .a = a->gathered + (size_t)t * a->in * plane,
            .a_stride = plane,
            .relu = a->relu,
            .w = nst_cpu_tap(a->taps, a->in, a->out, t, first),
            .bias = t || !a->bias ? NULL : a->bias + first * NST_BLOCK,
            .add = t > 0,
            .c = result,
            .c_stride = plane});
    for (int b = 0; a->y && b < blocks; b++)
        store_block(a, first + b, result + (size_t)b * plane);
}

/* Item: a row of the backward step. */
static void backward_row(void *ctx, int row, int thread)
{
    const struct direct_args *a = ctx;
    int w = a->x->shape.w;

    for (int first = 0; first < w; first += MAX_COLUMNS)
        nst_cpu_backward_row(
            a->cpu, &a->step, a->result + ((size_t)row * w + first) * NST_BLOCK,
            a->pixels * NST_BLOCK, row, first,
            w - first < MAX_COLUMNS ? w : first + MAX_COLUMNS, a->cpu->rows[thread]);
}

static void run(struct direct_args *a)
{
    struct nst_threads *threads = a->cpu->base.threads;

    a->pixels = nst_shape_area(a->x->shape);
    a->gathered = a->cpu->shared;
    a->result = a->gathered + NST_CPU_TAPS * (size_t)a->in * a->pixels * NST_BLOCK;
    if (a->k->padding != NST_PADDING_ZERO)
        nst_cpu_set_border(a->cpu, a->x, a->y ? a->k->padding : NST_PADDING_ZERO);
    nst_threads_run(threads, NST_CPU_TAPS, gather_tap, a);
    nst_threads_run(threads, (a->out + SLICE - 1) / SLICE, multiply, a);
    if (!a->y)
        nst_threads_run(threads, a->x->shape.h, backward_row, a);
}

void nst_cpu_direct_conv(struct nst_cpu *cpu, const struct nst_conv *k,
                         const struct nst_tensor *x, bool relu,
                         const struct nst_cpu_output *y)
{
    struct direct_args a = {.cpu = cpu,
                            .k = k,
                            .x = x,
                            .relu = relu,
                            .in = k->in,
                            .out = k->out,
                            .taps = k->forward,
                            .bias = k->bias,
                            .y = y};

    run(&a);
}

void nst_cpu_direct_grad(struct nst_cpu *cpu, const struct nst_conv *k,
                         const struct nst_tensor *gy,
                         const struct nst_backward_step *step)
{
    struct direct_args a = {.cpu = cpu,
                            .k = k,
                            .x = gy,
                            .in = k->out,
                            .out = k->in,
                            .taps = k->backward,
                            .step = nst_cpu_step_pack(cpu, step)};

    run(&a);
}
