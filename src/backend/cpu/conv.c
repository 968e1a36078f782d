/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/conv.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static size_t tap_floats(const struct nst_conv *k)
{
    return (size_t)NST_CPU_TAPS * k->in * k->out * NST_BLOCK * NST_BLOCK;
}

/* Pixels of the largest map for F(2x2, 3x3). */
#define WINOGRAD_2_PIXELS 96

enum { DIRECT = -1 };

/* The method for a map: DIRECT, or the kind of nst_conv.winograd. */
static int method_for(const struct nst_cpu *cpu, int height, int width)
{
    long pixels = (long)height * width;

    return pixels <= cpu->kernels->direct_pixels ? DIRECT
           : pixels <= WINOGRAD_2_PIXELS         ? NST_WINOGRAD_2
                                                 : NST_WINOGRAD_4;
}

static bool needs_backward(const struct nst_cpu *cpu, const struct nst_conv *k,
                           int height, int width)
{
    return method_for(cpu, height, width) == DIRECT || k->padding != NST_PADDING_ZERO;
}

static size_t tap_index(int in, int out, int t, int c, int o)
{
    return (((size_t)t * out + (size_t)(o / NST_BLOCK)) * in * NST_BLOCK + (size_t)c) *
               NST_BLOCK +
           (size_t)(o % NST_BLOCK);
}

static void pack_forward(struct nst_conv *k, const struct nst_filters *f)
{
    for (int o = 0; o < f->cout; o++)
        for (int c = 0; c < f->cin; c++)
            for (int t = 0; t < NST_CPU_TAPS; t++)
                k->forward[tap_index(k->in, k->out, t, c, o)] =
                    f->weight[NST_CPU_TAPS * ((size_t)o * f->cin + c) + t];
}

/* Transpose the forward taps, block by block. */
static void pack_backward(void *ctx, int item, int thread)
{
    const struct nst_conv *k = ctx;
    int t = item / k->out, first = item % k->out * NST_BLOCK;

    (void)thread;
    for (int c = 0; c < k->in * NST_BLOCK; c++)
        for (int o = first; o < first + NST_BLOCK; o++)
            k->backward[tap_index(k->out, k->in, t, o, c)] =
                k->forward[tap_index(k->in, k->out, t, c, o)];
}

static enum nst_status init(struct nst_cpu *cpu, struct nst_conv *k,
                            const struct nst_filters *f, struct nst_err *err)
{
    enum nst_status st = nst_floats_new(&k->forward, tap_floats(k), 1, 1, err);

    if (st == NST_OK)
        st = nst_floats_new(&k->bias, (size_t)k->out, NST_BLOCK, 1, err);
    if (st != NST_OK)
        return st;
    pack_forward(k, f);
    memcpy(k->bias, f->bias, (size_t)f->cout * sizeof *f->bias);
    st = nst_cpu_scratch_reserve(
        cpu, nst_cpu_direct_scratch(cpu->kernels->direct_pixels, k->in, k->out), err);
    for (int i = 0; st == NST_OK && i < NST_WINOGRADS; i++)
        st = nst_cpu_scratch_reserve(
            cpu, nst_cpu_winograd_scratch(cpu, i, k->in, k->out), err);
    cpu->conv_reserved = cpu->reserved;
    return st;
}

enum nst_status nst_cpu_conv_new(struct nst_backend *be, struct nst_conv **out,
                                 const struct nst_filters *f, struct nst_err *err)
{
    struct nst_conv *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st;

    *out = NULL;
    *k = (struct nst_conv){.padding = f->padding,
                           .in = nst_cpu_blocks(f->cin),
                           .out = nst_cpu_blocks(f->cout)};
    pthread_mutex_init(&k->preparing, NULL);
    st = f->picture ? nst_cpu_first_conv_new(&k->first_conv, f, err)
                    : init((struct nst_cpu *)be, k, f, err);
    if (st != NST_OK) {
        nst_cpu_conv_free(be, k);
        return st;
    }
    *out = k;
    return NST_OK;
}

void nst_cpu_conv_free(struct nst_backend *be, struct nst_conv *k)
{
    (void)be;
    if (!k)
        return;
    nst_cpu_first_conv_free(k->first_conv);
    for (int i = 0; i < NST_WINOGRADS; i++)
        nst_cpu_winograd_free(k->winograd[i]);
    free(k->forward);
    free(k->backward);
    free(k->bias);
    pthread_mutex_destroy(&k->preparing);
    free(k);
}

static enum nst_status make_backward(struct nst_cpu *cpu, struct nst_conv *k,
                                     struct nst_err *err)
{
    enum nst_status st = nst_floats_new(&k->backward, tap_floats(k), 1, 1, err);

    if (st == NST_OK)
        nst_threads_run(cpu->base.threads, NST_CPU_TAPS * k->out, pack_backward, k);
    return st;
}

size_t nst_cpu_conv_plan(struct nst_backend *be, struct nst_conv *k, int height,
                         int width)
{
    const struct nst_cpu *cpu = (const struct nst_cpu *)be;
    int method = method_for(cpu, height, width);
    size_t floats = 0;

    if (k->first_conv)
        return 0;
    if (needs_backward(cpu, k, height, width) && !k->backward_planned) {
        k->backward_planned = true;
        floats += tap_floats(k);
    }
    if (method != DIRECT && !k->winograd_planned[method]) {
        k->winograd_planned[method] = true;
        floats += nst_cpu_winograd_floats(cpu, method, k->in, k->out);
    }
    return floats * sizeof(float);
}

enum nst_status nst_cpu_conv_prepare(struct nst_backend *be, struct nst_conv *k,
                                     int height, int width, struct nst_err *err)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int method = method_for(cpu, height, width);
    enum nst_status st = NST_OK;

    if (k->first_conv)
        return NST_OK;
    pthread_mutex_lock(&k->preparing);
    if (needs_backward(cpu, k, height, width) && !k->backward)
        st = make_backward(cpu, k, err);
    if (st == NST_OK && method != DIRECT && !k->winograd[method])
        st = nst_cpu_winograd_new(cpu, &k->winograd[method], k, method, err);
    pthread_mutex_unlock(&k->preparing);
    if (st == NST_OK && needs_backward(cpu, k, height, width))
        st = nst_cpu_scratch_reserve(
            cpu, nst_cpu_border_scratch(k->in, k->out, height, width), err);
    return st;
}

void nst_cpu_conv(struct nst_backend *be, const struct nst_conv *k,
                  const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                  bool out_relu, enum nst_pooling pooling, struct nst_tensor *pooled)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    struct nst_cpu_output output = {y, out_relu, pooled, pooling};
    int method = method_for(cpu, x->shape.h, x->shape.w);

    if (method == DIRECT)
        nst_cpu_direct_conv(cpu, k, x, relu, &output);
    else
        nst_cpu_winograd_conv(cpu, k, method, x, relu, &output);
}

void nst_cpu_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_tensor *gy,
                       const struct nst_backward_step *step)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int method = method_for(cpu, gy->shape.h, gy->shape.w);

    if (method == DIRECT)
        nst_cpu_direct_grad(cpu, k, gy, step);
    else
        nst_cpu_winograd_grad(cpu, k, method, gy, step);
}
