/* SPDX-License-Identifier: MIT */
/*
 * blocked_isa.h - what the sources of one instruction set's table share: vectors of its
 * width. They are compiled once for each set, with
 *   NST_ISA      the suffix of its symbols, and its name
 *   NST_LANES    floats of a vector: 16, 8 or 4
 *   NST_COLUMNS  columns that stay in registers, two vectors of outputs each
 */
#ifndef NST_KERNELS_BLOCKED_ISA_H
#define NST_KERNELS_BLOCKED_ISA_H

#include "kernels/blocked.h"

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
typedef int ints __attribute__((vector_size(4 * NST_LANES)));
typedef float loose __attribute__((vector_size(4 * NST_LANES), aligned(4)));

#define PARTS (NST_BLOCK / NST_LANES) /* vectors of a block */

INLINE vec load(const float *p)
{
    return *(const loose *)p;
}

INLINE void store(float *p, vec v)
{
    *(loose *)p = v;
}

INLINE vec rectify(vec v)
{
    return (vec)((ints)v & (v > 0));
}

/* a where m, else b */
INLINE vec choose(ints m, vec a, vec b)
{
    return (vec)(((ints)a & m) | ((ints)b & ~m));
}

INLINE vec see(const float *p, int relu)
{
    return relu ? rectify(load(p)) : load(p);
}

/* blocked_products.c; what they do stands with the table in blocked.h */
void ISA(winograd_input)(const float *x, size_t pitch, int relu, float *v,
                         size_t stride);
void ISA(winograd_output)(const float *m, size_t stride, const float *bias, int relu,
                          float *y, size_t pitch, int rows, int columns);
void ISA(product)(int n, int in, int out, const float *a, size_t a_stride, int relu,
                  const float *w, float *c, size_t c_stride);
void ISA(gram)(int rows, int n, const float *a, const float *b, size_t pitch, int relu,
               float *g);

#endif
