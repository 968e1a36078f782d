/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cuda/device.cuh"

#include <stdlib.h>
#include <string.h>

/* Larger maps are processed in bands; tests lower it. */
#ifndef MAX_SCRATCH
#define MAX_SCRATCH ((size_t)256 << 20)
#endif
#define ALIGNMENT ((size_t)256)

bool cuda_ok(struct cuda *cu, cudaError_t e)
{
    if (e == cudaSuccess)
        return true;
    if (cu->base.error.status == NST_OK)
        nst_err_set(&cu->base.error, NST_ERR_IO, "cuda:%d: %s (%s)", cu->device,
                    cudaGetErrorString(e), cudaGetErrorName(e));
    cudaGetLastError(); /* clear CUDA's own copy */
    return false;
}

bool cuda_ok(struct cuda *cu, cublasStatus_t s)
{
    if (s == CUBLAS_STATUS_SUCCESS)
        return true;
    if (cu->base.error.status == NST_OK)
        nst_err_set(&cu->base.error, NST_ERR_IO, "cuda:%d: cuBLAS: %s", cu->device,
                    cublasGetStatusString(s));
    return false;
}

enum nst_status cuda_alloc(struct cuda *cu, void **out, size_t bytes,
                           struct nst_err *err)
{
    cudaError_t e = cudaMalloc(out, bytes ? bytes : 1);

    if (e == cudaSuccess)
        return NST_OK;
    cudaGetLastError();
    *out = NULL;
    return nst_err_set(err, NST_ERR_MEM, "cuda:%d: out of memory: %zu MiB: %s",
                       cu->device, (bytes >> 20) + 1, cudaGetErrorString(e));
}

void cuda_query_memory(struct cuda *cu)
{
    size_t free_bytes = 0, total = 0;

    cuda_ok(cu, cudaMemGetInfo(&free_bytes, &total));
    cu->base.device_memory = free_bytes / 10 * 9 + 1;
}

struct cuda_arena cuda_arena(struct cuda *cu)
{
    return {cu->current.scratch, cu->current.scratch + cu->current.scratch_bytes};
}

void *cuda_arena_alloc_bytes(struct cuda_arena *arena, size_t bytes)
{
    char *at = arena->at;

    arena->at += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

int cuda_arena_rows(const struct cuda_arena *arena, size_t bytes, int rows)
{
    /* allocations are aligned */
    size_t fit = ((size_t)(arena->end - arena->at) - 8 * ALIGNMENT) / bytes;

    if (fit >= (size_t)rows)
        return rows;
    return fit > 0 ? (int)fit : 1;
}

/*
 * Per row: the patches of im2col if needed (3 x 3 pixels), and five maps of floats for
 * the gradient and the loss buffers. An operator on two maps needs one row of one and
 * three of the other, so four must fit. Also C x C matrices, a mask and an image.
 */
size_t cuda_scratch_bytes(const struct cuda *cu, struct nst_shape s)
{
    size_t element = cu->precision == NST_PRECISION_FP16 ? 2 : 4;
    size_t channels = (size_t)(s.c < 32 ? 32 : s.c), square = channels * channels;
    size_t patches = cuda_uses_tensor_cores(cu, s.c) ? 0 : 9 * element;
    size_t row = channels * (size_t)s.w * (patches + 5 * sizeof(float));
    size_t rows = row && MAX_SCRATCH / row > 4 ? MAX_SCRATCH / row : 4;

    if (rows > (size_t)s.h + 2)
        rows = (size_t)s.h + 2 > 4 ? (size_t)s.h + 2 : 4;
    return rows * row + 4 * square * sizeof(float) +
           4 * nst_shape_area(s) * sizeof(float) + 32 * ALIGNMENT;
}

enum nst_status cuda_reserve_scratch(struct cuda *cu, struct cuda_stream *s,
                                     size_t bytes, struct nst_err *err)
{
    enum nst_status st;
    void *scratch;

    if (bytes <= s->scratch_bytes)
        return NST_OK;
    cuda_ok(cu, cudaStreamSynchronize(s->stream));
    cudaFree(s->scratch); /* first: old and new may not fit together */
    s->scratch = NULL;
    s->scratch_bytes = 0;
    st = cuda_alloc(cu, &scratch, bytes, err);
    if (st != NST_OK)
        return st;
    s->scratch = static_cast<char *>(scratch);
    s->scratch_bytes = bytes;
    return NST_OK;
}

static void swap_streams(struct cuda *cu)
{
    struct cuda_stream s = cu->current;

    cu->current = cu->other;
    cu->other = s;
    cu->on_side = !cu->on_side;
}

void cuda_side_begin(struct cuda *cu, const struct nst_tensor *f)
{
    const struct cuda_tensor *t = reinterpret_cast<const struct cuda_tensor *>(f);

    if (t)
        cuda_ok(cu, cudaStreamWaitEvent(cu->other.stream, t->ready, 0));
    swap_streams(cu);
}

void cuda_side_wait_main(struct cuda *cu)
{
    cuda_ok(cu, cudaEventRecord(cu->main_done, cu->current.stream));
    cuda_ok(cu, cudaStreamWaitEvent(cu->other.stream, cu->main_done, 0));
}

void cuda_side_end(struct cuda *cu)
{
    cuda_ok(cu, cudaEventRecord(cu->side_done, cu->current.stream));
    swap_streams(cu);
    cu->side_pending = true;
}

void cuda_main_wait_side(struct cuda *cu)
{
    if (cu->side_pending)
        cuda_ok(cu, cudaStreamWaitEvent(cu->current.stream, cu->side_done, 0));
    cu->side_pending = false;
}

void cuda_record_ready(struct cuda *cu, const struct nst_tensor *t)
{
    const struct cuda_tensor *c = reinterpret_cast<const struct cuda_tensor *>(t);

    cuda_ok(cu, cudaEventRecord(c->ready, cu->current.stream));
}

enum nst_status cuda_synchronize(struct cuda *cu, struct nst_err *err)
{
    cuda_main_wait_side(cu);
    cuda_ok(cu, cudaStreamSynchronize(cu->current.stream));
    if (err && cu->base.error.status != NST_OK)
        *err = cu->base.error;
    return cu->base.error.status;
}

void cuda_copy_async(struct cuda *cu, void *to, const void *from, size_t bytes)
{
    cuda_ok(cu,
            cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, cu->current.stream));
}

void cuda_copy_to_host(struct cuda *cu, void *to, const void *from, size_t bytes)
{
    void *dst = bytes <= CUDA_STAGING_BYTES ? cu->staging : to;

    cuda_main_wait_side(cu);
    if (!cuda_ok(cu, cudaMemcpyAsync(dst, from, bytes, cudaMemcpyDefault,
                                     cu->current.stream)) ||
        !cuda_ok(cu, cudaStreamSynchronize(cu->current.stream)))
        memset(to, 0, bytes);
    else if (dst != to)
        memcpy(to, dst, bytes);
}

static cublasComputeType_t compute_type(const struct cuda *cu)
{
    switch (cu->precision) {
    case NST_PRECISION_TF32:
        return CUBLAS_COMPUTE_32F_FAST_TF32;
    case NST_PRECISION_FP16:
        return CUBLAS_COMPUTE_32F;
    default:
        return CUBLAS_COMPUTE_32F_PEDANTIC;
    }
}

static cudaDataType data_type_of(const float *)
{
    return CUDA_R_32F;
}

static cudaDataType data_type_of(const __half *)
{
    return CUDA_R_16F;
}

/* Created on first use: it takes a tenth of a second, and is often not needed. */
static cublasHandle_t blas(struct cuda *cu)
{
    if (cu->blas || !cuda_ok(cu, cublasCreate(&cu->blas)))
        return cu->blas;
    cuda_ok(cu, cublasSetStream(cu->blas, cu->current.stream));
    cuda_ok(cu, cublasSetWorkspace(cu->blas, cu->workspace, CUDA_WORKSPACE));
    if (cu->precision == NST_PRECISION_FP16)
        /* partial sums are floats, too */
        cuda_ok(cu, cublasSetMathMode(
                        cu->blas, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION));
    return cu->blas;
}

/* cuBLAS is column-major and our matrices are row-major: y' = b a'. */
template <class T, class U>
void cuda_gemm(struct cuda *cu, size_t m, int n, int k, float alpha, const T *a,
               const T *b, float beta, U *y)
{
    cuda_ok(cu,
            cublasGemmEx(blas(cu), CUBLAS_OP_T, CUBLAS_OP_N, n, (int)m, k, &alpha, b,
                         data_type_of(b), k, a, data_type_of(a), k, &beta, y,
                         data_type_of(y), n, compute_type(cu), CUBLAS_GEMM_DEFAULT));
}

template void cuda_gemm(struct cuda *, size_t, int, int, float, const float *,
                        const float *, float, float *);
template void cuda_gemm(struct cuda *, size_t, int, int, float, const __half *,
                        const __half *, float, __half *);
template void cuda_gemm(struct cuda *, size_t, int, int, float, const __half *,
                        const __half *, float, float *);

template <class T>
void cuda_batched_gram(struct cuda *cu, int c, int pixels, int count, const T *a,
                       const T *b, float *y)
{
    const float one = 1, zero = 0;
    long long stride = (long long)pixels * c;

    cuda_ok(cu, cublasGemmStridedBatchedEx(blas(cu), CUBLAS_OP_N, CUBLAS_OP_T, c, c,
                                           pixels, &one, b, data_type_of(b), c, stride,
                                           a, data_type_of(a), c, stride, &zero, y,
                                           CUDA_R_32F, c, (long long)c * c, count,
                                           compute_type(cu), CUBLAS_GEMM_DEFAULT));
}

template void cuda_batched_gram(struct cuda *, int, int, int, const float *,
                                const float *, float *);
template void cuda_batched_gram(struct cuda *, int, int, int, const __half *,
                                const __half *, float *);
