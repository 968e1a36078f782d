/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_isa.h - vector types and helpers of the sources that are compiled once per
 * instruction set, with
 *   NST_ISA      its name, also the suffix of its symbols
 *   NST_LANES    floats per vector: 16, 8 or 4
 *   NST_NR       columns held in registers, two output vectors each
 */
#ifndef NST_KERNELS_NCHW16C_ISA_H
#define NST_KERNELS_NCHW16C_ISA_H

#include "kernels/nchw16c.h"

#define PASTE(a, b) a##b
#define NAME(a, b) PASTE(a, b)
/* This instruction set's symbol for a name: nst_NAME_avx2 */
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

/* Half as many lanes, for sums in double precision. */
#define NST_DOUBLES (NST_LANES / 2)
typedef double dvec __attribute__((vector_size(8 * NST_DOUBLES)));
typedef float half_vec __attribute__((vector_size(4 * NST_DOUBLES), aligned(4)));

#define BLOCK_VECS (NST_BLOCK / NST_LANES) /* vectors per block */

INLINE vec load(const float *p)
{
    return *(const unaligned_vec *)p;
}

INLINE void store(float *p, vec v)
{
    *(unaligned_vec *)p = v;
}

INLINE dvec load_doubles(const float *p)
{
    return __builtin_convertvector(*(const half_vec *)p, dvec);
}

INLINE void store_doubles(float *p, dvec v)
{
    *(half_vec *)p = __builtin_convertvector(v, half_vec);
}

INLINE vec relu_vec(vec v)
{
    return (vec)((ivec)v & (v > 0));
}

/* m ? a : b, for each lane */
INLINE vec vec_select(ivec m, vec a, vec b)
{
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
}

INLINE vec load_relu(const float *p, int relu)
{
    return relu ? relu_vec(load(p)) : load(p);
}

/* nchw16c_winograd.c and nchw16c_gemm.c; see struct nst_nchw16c_kernels */
extern const struct nst_winograd ISA(winograd)[NST_WINOGRADS];
void ISA(gemm)(const struct nst_gemm *g);
void ISA(gemm_picture)(const struct nst_gemm *g);
/* nchw16c_net.c */
extern const struct nst_net_kernels ISA(net);
/* nchw16c_net_grad.c */
extern const struct nst_net_grad_kernels ISA(net_grad);
void ISA(gram)(int rows, int n, const float *a, const float *b, size_t pitch, int relu,
               float *g, float *sums);

#endif
