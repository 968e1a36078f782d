/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_isa.h - what the sources of one instruction set's table share: vectors of its
 * width. They are compiled once for each set, with
 *   NST_ISA      the suffix of its symbols, and its name
 *   NST_LANES    floats of a vector: 16, 8 or 4
 *   NST_NR       columns that stay in registers, two vectors of outputs each
 */
#ifndef NST_KERNELS_NCHW16C_ISA_H
#define NST_KERNELS_NCHW16C_ISA_H

#include "kernels/nchw16c.h"

#define PASTE(a, b) a##b
#define NAME(a, b) PASTE(a, b)
/* The symbol of this set that goes by a name: nst_NAME_avx2 */
#define ISA(name) NAME(nst_##name##_, NST_ISA)
#define STRING(a) #a
#define QUOTE(a) STRING(a)
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float vec __attribute__((vector_size(4 * NST_LANES)));
typedef int ivec __attribute__((vector_size(4 * NST_LANES)));
typedef float unaligned_vec __attribute__((vector_size(4 * NST_LANES), aligned(4)));

#define BLOCK_VECS (NST_BLOCK / NST_LANES) /* vectors of a block */

INLINE vec load(const float *p)
{
    return *(const unaligned_vec *)p;
}

INLINE void store(float *p, vec v)
{
    *(unaligned_vec *)p = v;
}

INLINE vec relu_vec(vec v)
{
    return (vec)((ivec)v & (v > 0));
}

/* a where m, else b */
INLINE vec vec_select(ivec m, vec a, vec b)
{
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
}

INLINE vec load_relu(const float *p, int relu)
{
    return relu ? relu_vec(load(p)) : load(p);
}

/* nchw16c_gemm.c; what they do stands with the table in nchw16c.h */
void ISA(winograd_input)(const float *x, size_t pitch, int relu, float *v,
                         size_t stride);
void ISA(winograd_output)(const float *m, size_t stride, const float *bias, int relu,
                          float *y, size_t pitch, int rows, int columns);
void ISA(gemm)(int n, int in, int out, const float *a, size_t a_stride, int relu,
               const float *w, float *c, size_t c_stride);
void ISA(gram)(int rows, int n, const float *a, const float *b, size_t pitch, int relu,
               float *g);

#endif
