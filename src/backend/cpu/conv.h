/* SPDX-License-Identifier: MIT */
/*
 * conv.h - a convolution of the CPU backend. It is computed by one of three methods,
 * by the pixels of the map: nine products for few pixels, which read the fewest
 * weights; Winograd's F(2x2, 3x3); F(4x4, 3x3), which needs the fewest multiplications.
 * The weights of the first are made at once, the others for the map sizes that need
 * them.
 */
#ifndef NST_BACKEND_CPU_CONV_H
#define NST_BACKEND_CPU_CONV_H

#include <pthread.h>

#include "backend/cpu/layout.h"

#define NST_CPU_TAPS 9

struct nst_cpu_winograd;

struct nst_conv {
    struct nst_cpu_first_conv_weights *first_conv; /* or NULL: and the rest is used */
    enum nst_padding padding;
    int in, out; /* blocks of channels */
    float *bias; /* padded to whole blocks */
    /* For gemm(): tap x out x (16 in) x 16, the output channel last; backward with both
     * exchanged. */
    float *forward, *backward;
    struct nst_cpu_winograd *winograd[NST_WINOGRADS];
    bool backward_planned, winograd_planned[NST_WINOGRADS];
    pthread_mutex_t preparing; /* backward, winograd */
};

/* Pointer to the matrix of tap t for gemm(), from output block first on. */
static inline const float *nst_cpu_tap(const float *taps, int in, int out, int t,
                                       int first)
{
    return taps + ((size_t)t * out + (size_t)first) * in * NST_BLOCK * NST_BLOCK;
}

/* winograd.c */

/* Floats of weights, and scratch memory, of a convolution. kind: NST_WINOGRAD_2 or
 * NST_WINOGRAD_4. */
size_t nst_cpu_winograd_floats(const struct nst_cpu *cpu, int kind, int in, int out);
struct nst_cpu_scratch nst_cpu_winograd_scratch(const struct nst_cpu *cpu, int kind,
                                                int in, int out);
/* From the forward taps of k. NST_ERR_MEM. */
enum nst_status nst_cpu_winograd_new(struct nst_cpu *cpu, struct nst_cpu_winograd **out,
                                     const struct nst_conv *k, int kind,
                                     struct nst_err *err);
void nst_cpu_winograd_free(struct nst_cpu_winograd *w);
void nst_cpu_winograd_conv(struct nst_cpu *cpu, const struct nst_conv *k, int kind,
                           const struct nst_tensor *x, bool relu,
                           const struct nst_cpu_output *y);
void nst_cpu_winograd_grad(struct nst_cpu *cpu, const struct nst_conv *k, int kind,
                           const struct nst_tensor *gy,
                           const struct nst_backward_step *step);

/* direct.c: maps of at most pixels, the kernels' direct_pixels */
struct nst_cpu_scratch nst_cpu_direct_scratch(int pixels, int in, int out);
void nst_cpu_direct_conv(struct nst_cpu *cpu, const struct nst_conv *k,
                         const struct nst_tensor *x, bool relu,
                         const struct nst_cpu_output *y);
void nst_cpu_direct_grad(struct nst_cpu *cpu, const struct nst_conv *k,
                         const struct nst_tensor *gy,
                         const struct nst_backward_step *step);

/* border.c: the gradient that a map's padding adds to pixels inside */
struct nst_cpu_scratch nst_cpu_border_scratch(int in, int out, int height, int width);
/* Compute it from gy, in cpu->borders. */
void nst_cpu_border_grad(struct nst_cpu *cpu, const struct nst_conv *k,
                         const struct nst_tensor *gy);
/* side x side pixels of a block from row and column of a map on, stride floats per
 * row. */
struct nst_cpu_patch {
    int block, row, column, side;
    float *pixels;
    size_t stride;
};
/* Add it to a patch of the gradient of a map. */
void nst_cpu_border_grad_add(const struct nst_cpu *cpu, const struct nst_conv *k,
                             struct nst_shape map, const struct nst_cpu_patch *p);

#endif
