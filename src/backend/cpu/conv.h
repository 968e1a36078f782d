/* SPDX-License-Identifier: MIT */
/*
 * conv.h - the weights of a convolution of the CPU backend, in up to three forms:
 * by taps for small maps and for borders, forward and backward, and Winograd's. The
 * first is made at once, the others for the map sizes that need them.
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
    struct nst_cpu_winograd *winograd;
    pthread_mutex_t preparing; /* backward and winograd */
};

/* Pointer to the matrix of tap t for gemm(), from output block first on. */
static inline const float *nst_cpu_tap(const float *taps, int in, int out, int t,
                                       int first)
{
    return taps + ((size_t)t * out + (size_t)first) * in * NST_BLOCK * NST_BLOCK;
}

/* winograd.c */

/* Floats of weights, and scratch memory, of a convolution. */
size_t nst_cpu_winograd_floats(int in, int out);
struct nst_cpu_scratch nst_cpu_winograd_scratch(const struct nst_cpu *cpu, int in,
                                                int out);
/* From the forward taps of k. NST_ERR_MEM. */
enum nst_status nst_cpu_winograd_new(struct nst_cpu *cpu, struct nst_cpu_winograd **out,
                                     const struct nst_conv *k, struct nst_err *err);
void nst_cpu_winograd_free(struct nst_cpu_winograd *w);
void nst_cpu_winograd_conv(struct nst_cpu *cpu, const struct nst_conv *k,
                           const struct nst_tensor *x, bool relu,
                           const struct nst_cpu_output *y);
void nst_cpu_winograd_grad(struct nst_cpu *cpu, const struct nst_conv *k,
                           const struct nst_tensor *gy,
                           const struct nst_backward_step *step);

/* direct.c: maps of at most NST_CPU_DIRECT_PIXELS */
#define NST_CPU_DIRECT_PIXELS 64
struct nst_cpu_scratch nst_cpu_direct_scratch(int in, int out);
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
/* Add it to the 4 x 4 pixels of block b whose first is at row, column of the map. Rows
 * are stride floats apart. */
void nst_cpu_border_grad_add(const struct nst_cpu *cpu, const struct nst_conv *k,
                             struct nst_shape map, int b, int row, int column,
                             float *pixels, size_t stride);

#endif
