/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/cpu.h"

#if HAVE_OPENBLAS
#include <cblas.h>

void nst_cpu_gemm(bool b_transposed, int m, int n, int k, const float *a, int lda,
                  const float *b, int ldb, float beta, float *c, int ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, b_transposed ? CblasTrans : CblasNoTrans,
                m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

#else

/* One row of c at a time: the inner loops are what a compiler vectorises. */
static void add_product_row(bool b_transposed, int n, int k, const float *a,
                            const float *b, int ldb, float *c)
{
    for (int j = 0; b_transposed && j < n; j++) {
        float sum = 0;

        for (int p = 0; p < k; p++)
            sum += a[p] * b[(size_t)j * ldb + p];
        c[j] += sum;
    }
    for (int p = 0; !b_transposed && p < k; p++)
        for (int j = 0; j < n; j++)
            c[j] += a[p] * b[(size_t)p * ldb + j];
}

void nst_cpu_gemm(bool b_transposed, int m, int n, int k, const float *a, int lda,
                  const float *b, int ldb, float beta, float *c, int ldc)
{
    for (int i = 0; i < m; i++) {
        float *row = c + (size_t)i * ldc;

        for (int j = 0; j < n; j++)
            row[j] = beta == 0 ? 0 : beta * row[j];
        add_product_row(b_transposed, n, k, a + (size_t)i * lda, b, ldb, row);
    }
}

#endif
