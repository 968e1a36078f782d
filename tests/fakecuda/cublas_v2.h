/* SPDX-License-Identifier: MIT */
/*
 * cublas_v2.h - cuBLAS of the fake CUDA device: matrix products as plain loops,
 * column-major as in cuBLAS, queued on the handle's stream.
 */
#ifndef NST_TESTS_CUBLAS_V2_H
#define NST_TESTS_CUBLAS_V2_H

#include <vector>

#include "cuda_fp16.h"
#include "cuda_runtime.h"

#define FAKE_STATUSES(X)                                                               \
    X(CUBLAS_STATUS_SUCCESS, 0)                                                        \
    X(CUBLAS_STATUS_NOT_INITIALIZED, 1)                                                \
    X(CUBLAS_STATUS_ALLOC_FAILED, 3)                                                   \
    X(CUBLAS_STATUS_INVALID_VALUE, 7)                                                  \
    X(CUBLAS_STATUS_EXECUTION_FAILED, 13)                                              \
    X(CUBLAS_STATUS_INTERNAL_ERROR, 14)                                                \
    X(CUBLAS_STATUS_NOT_SUPPORTED, 15)

typedef enum {
#define FAKE_ENUM(name, value) name = value,
    FAKE_STATUSES(FAKE_ENUM)
#undef FAKE_ENUM
} cublasStatus_t;

typedef enum { CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C } cublasOperation_t;
typedef enum {
    CUBLAS_POINTER_MODE_HOST,
    CUBLAS_POINTER_MODE_DEVICE
} cublasPointerMode_t;
typedef enum { CUBLAS_GEMM_DEFAULT = -1 } cublasGemmAlgo_t;

typedef enum {
    CUBLAS_DEFAULT_MATH = 0,
    CUBLAS_PEDANTIC_MATH = 2,
    CUBLAS_TF32_TENSOR_OP_MATH = 3,
    CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16
} cublasMath_t;

typedef enum {
    CUBLAS_COMPUTE_32F = 68,
    CUBLAS_COMPUTE_32F_PEDANTIC = 69,
    CUBLAS_COMPUTE_32F_FAST_TF32 = 77
} cublasComputeType_t;

typedef struct cublasContext {
    cudaStream_t stream;
    cublasMath_t math;
} * cublasHandle_t;

static inline const char *cublasGetStatusString(cublasStatus_t status)
{
    switch (status) {
#define FAKE_CASE(name, value)                                                         \
    case name:                                                                         \
        return #name;
        FAKE_STATUSES(FAKE_CASE)
#undef FAKE_CASE
    }
    return "<unknown>";
}

static inline cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    size_t free, total;

    if (cudaMemGetInfo(&free, &total) != cudaSuccess)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = new cublasContext{};
    return CUBLAS_STATUS_SUCCESS;
}

static inline cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

static inline cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

static inline cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *p, size_t)
{
    bool aligned = reinterpret_cast<uintptr_t>(p) % 256 == 0;

    return aligned ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static inline cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

static inline cublasStatus_t cublasSetPointerMode(cublasHandle_t,
                                                  cublasPointerMode_t mode)
{
    return mode == CUBLAS_POINTER_MODE_HOST ? CUBLAS_STATUS_SUCCESS
                                            : CUBLAS_STATUS_NOT_SUPPORTED;
}

namespace fake
{
/* An operand: column j begins at j ld, the next matrix of the batch at stride. */
struct Matrix {
    const void *p;
    cudaDataType type;
    bool transposed;
    int ld;
    long long stride;
};

struct Gemm {
    int m, n, k;
    float alpha, beta;
    Matrix a, b;
    void *c;
    cudaDataType type;
    int ld;
    long long stride;
    int batch;
    bool tf32;
};

/* Round to TF32: 10 bits of fraction, to nearest, ties to even. */
static inline float round_tf32(float f)
{
    unsigned bits = __float_as_uint(f);

    if ((bits & 0x7f800000u) == 0x7f800000u)
        return f;
    return __uint_as_float((bits + 0xfffu + (bits >> 13 & 1)) & ~0x1fffu);
}

static inline float element(const void *p, cudaDataType type, long long i)
{
    return type == CUDA_R_16F ? __half2float(static_cast<const __half *>(p)[i])
                              : static_cast<const float *>(p)[i];
}

/* op(matrix) of number index in the batch: rows x columns, dense, column-major. */
static inline std::vector<float> load_dense(const Matrix &x, int index, int rows,
                                            int columns, bool tf32)
{
    std::vector<float> dense;

    dense.reserve(static_cast<size_t>(rows) * static_cast<size_t>(columns));
    for (long long j = 0; j < columns; j++)
        for (long long i = 0; i < rows; i++) {
            long long at = x.transposed ? i * x.ld + j : j * x.ld + i;
            float f = element(x.p, x.type, index * x.stride + at);
            dense.push_back(tf32 ? round_tf32(f) : f);
        }
    return dense;
}

/* With beta 0, C is not read. */
static inline void store_result(const Gemm &g, long long at, float sum)
{
    float f = g.alpha * sum;

    if (g.beta != 0)
        f += g.beta * element(g.c, g.type, at);
    if (g.type == CUDA_R_16F)
        static_cast<__half *>(g.c)[at] = __float2half_rn(f);
    else
        static_cast<float *>(g.c)[at] = f;
}

static inline void multiply(const Gemm &g, int index)
{
    std::vector<float> a = load_dense(g.a, index, g.m, g.k, g.tf32);
    std::vector<float> b = load_dense(g.b, index, g.k, g.n, g.tf32);
    size_t m = static_cast<size_t>(g.m), k = static_cast<size_t>(g.k);
    std::vector<float> sums(m);

    for (size_t j = 0; j < static_cast<size_t>(g.n); j++) {
        sums.assign(m, 0);
        for (size_t l = 0; l < k; l++)
            for (size_t i = 0; i < m; i++)
                sums[i] += a[l * m + i] * b[j * k + l];
        for (size_t i = 0; i < m; i++)
            store_result(g,
                         index * g.stride + static_cast<long long>(j) * g.ld +
                             static_cast<long long>(i),
                         sums[i]);
    }
}

/* Supported, as in cuBLAS: halves to halves or floats, floats to floats. */
static inline cublasStatus_t check(const Gemm &g, cublasComputeType_t compute)
{
    bool halves = g.a.type == CUDA_R_16F;

    if (g.m < 0 || g.n < 0 || g.k < 0 || g.batch < 0 ||
        g.a.ld < max(1, g.a.transposed ? g.k : g.m) ||
        g.b.ld < max(1, g.b.transposed ? g.n : g.k) || g.ld < max(1, g.m))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (g.a.type != g.b.type || (!halves && g.type == CUDA_R_16F) ||
        (halves && compute == CUBLAS_COMPUTE_32F_FAST_TF32))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}
} // namespace fake

static inline cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t opa, cublasOperation_t opb, int m, int n,
    int k, const void *alpha, const void *a, cudaDataType atype, int lda,
    long long stridea, const void *b, cudaDataType btype, int ldb, long long strideb,
    const void *beta, void *c, cudaDataType ctype, int ldc, long long stridec,
    int batch, cublasComputeType_t compute, cublasGemmAlgo_t)
{
    bool tf32 =
        compute == CUBLAS_COMPUTE_32F_FAST_TF32 ||
        (compute == CUBLAS_COMPUTE_32F && handle->math == CUBLAS_TF32_TENSOR_OP_MATH);
    fake::Gemm g = {m,
                    n,
                    k,
                    *static_cast<const float *>(alpha),
                    *static_cast<const float *>(beta),
                    {a, atype, opa != CUBLAS_OP_N, lda, stridea},
                    {b, btype, opb != CUBLAS_OP_N, ldb, strideb},
                    c,
                    ctype,
                    ldc,
                    stridec,
                    batch,
                    tf32 && atype == CUDA_R_32F && fake::capability() >= 80};
    cublasStatus_t status = fake::check(g, compute);

    if (status != CUBLAS_STATUS_SUCCESS)
        return status;
    return fake::enqueue(handle->stream,
                         [g] {
                             for (int i = 0; i < g.batch; i++)
                                 fake::multiply(g, i);
                         })
               ? CUBLAS_STATUS_EXECUTION_FAILED
               : CUBLAS_STATUS_SUCCESS;
}

static inline cublasStatus_t cublasGemmEx(
    cublasHandle_t handle, cublasOperation_t opa, cublasOperation_t opb, int m, int n,
    int k, const void *alpha, const void *a, cudaDataType atype, int lda, const void *b,
    cudaDataType btype, int ldb, const void *beta, void *c, cudaDataType ctype, int ldc,
    cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
    return cublasGemmStridedBatchedEx(handle, opa, opb, m, n, k, alpha, a, atype, lda,
                                      0, b, btype, ldb, 0, beta, c, ctype, ldc, 0, 1,
                                      compute, algo);
}

static inline cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t opa,
                                         cublasOperation_t opb, int m, int n, int k,
                                         const float *alpha, const float *a, int lda,
                                         const float *b, int ldb, const float *beta,
                                         float *c, int ldc)
{
    return cublasGemmEx(handle, opa, opb, m, n, k, alpha, a, CUDA_R_32F, lda, b,
                        CUDA_R_32F, ldb, beta, c, CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F,
                        CUBLAS_GEMM_DEFAULT);
}

#endif
