/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - what the files of the CPU backend share.
 *
 * Portable for now: planar tensors, convolution as a product with a matrix of
 * gathered neighbourhoods (im2col), made strip by strip so that it stays in cache,
 * the products by OpenBLAS and the strips by OpenMP. Every strip is a matter of the
 * shapes alone, and OpenBLAS runs on one thread, so that a result does not depend on
 * the number of threads.
 */
#ifndef NST_BACKEND_CPU_CPU_H
#define NST_BACKEND_CPU_CPU_H

#include "backend/backend.h"

/* Floats of scratch that each thread has: a strip should stay in a second-level cache.
 */
#define NST_CPU_SCRATCH ((size_t)256 * 1024)
/* A Gram matrix is summed in this many groups of columns at most. */
#define NST_CPU_GRAM_GROUPS 16

struct nst_cpu {
    struct nst_backend base;
    float **scratch;   /* one of NST_CPU_SCRATCH floats for each thread */
    float *gram_parts; /* NST_CPU_GRAM_GROUPS matrices of gram_side squared */
    size_t gram_side;
};

/*
 * c = a b + beta c, row-major: a is m x k (row pitch lda), b is k x n (ldb), c is
 * m x n (ldc). With b_transposed, b is n x k. On the calling thread alone.
 */
void nst_cpu_gemm(bool b_transposed, int m, int n, int k, const float *a, int lda,
                  const float *b, int ldb, float beta, float *c, int ldc);

enum nst_status nst_cpu_conv_new(struct nst_backend *be, struct nst_conv **out,
                                 const float *weight, const float *bias, int cin,
                                 int cout, bool gradient, struct nst_err *err);
void nst_cpu_conv_free(struct nst_backend *be, struct nst_conv *k);
void nst_cpu_conv(struct nst_backend *be, const struct nst_conv *k,
                  const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                  bool out_relu);
void nst_cpu_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_tensor *gy, struct nst_tensor *gx);
void nst_cpu_gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                  float *gram);
void nst_cpu_gram_grad(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                       const float *s, struct nst_tensor *g);

#endif
