/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cuda/device.cuh"

#include <stdlib.h>
#include <string.h>

/* Scratch beyond which maps are worked on in parts; the tests have little. */
#ifndef SCRATCH_MOST
#define SCRATCH_MOST ((size_t)256 << 20)
#endif
#define ALIGNMENT ((size_t)256)

bool cuda_ok(struct cuda *cu, cudaError_t e)
{
    if (e == cudaSuccess)
        return true;
    if (cu->base.fault.status == NST_OK)
        nst_err_set(&cu->base.fault, NST_ERR_IO, "cuda:%d: %s (%s)", cu->device,
                    cudaGetErrorString(e), cudaGetErrorName(e));
    cudaGetLastError(); /* it is kept there, too */
    return false;
}

bool cuda_ok(struct cuda *cu, cublasStatus_t s)
{
    if (s == CUBLAS_STATUS_SUCCESS)
        return true;
    if (cu->base.fault.status == NST_OK)
        nst_err_set(&cu->base.fault, NST_ERR_IO, "cuda:%d: cuBLAS: %s", cu->device,
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

void cuda_look_around(struct cuda *cu)
{
    size_t free_bytes = 0, all = 0;

    cuda_ok(cu, cudaMemGetInfo(&free_bytes, &all));
    cu->base.memory = free_bytes / 10 * 9 + 1;
}

struct cuda_room cuda_room(struct cuda *cu)
{
    return {cu->line.scratch, cu->line.scratch + cu->line.scratch_bytes};
}

void *cuda_take_bytes(struct cuda_room *room, size_t bytes)
{
    char *at = room->at;

    room->at += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

int cuda_rows(const struct cuda_room *room, size_t bytes, int rows)
{
    /* what is taken of it is aligned */
    size_t fit = ((size_t)(room->end - room->at) - 8 * ALIGNMENT) / bytes;

    if (fit >= (size_t)rows)
        return rows;
    return fit > 0 ? (int)fit : 1;
}

/*
 * Of each row: the patches that a convolution reads, where they are made (3 x 3
 * pixels), and five maps of floats: what comes back through it, what losses add, what
 * they make it of. An operator of two maps takes of one row and of three, so four must
 * fit. Besides, matrices of C x C, a guide, and a picture.
 */
size_t cuda_scratch_for(const struct cuda *cu, struct nst_shape s)
{
    size_t element = cu->precision == NST_PRECISION_FP16 ? 2 : 4;
    size_t channels = (size_t)(s.c < 32 ? 32 : s.c), square = channels * channels;
    size_t patches = cuda_implicit(cu, s.c) ? 0 : 9 * element;
    size_t row = channels * (size_t)s.w * (patches + 5 * sizeof(float));
    size_t rows = row && SCRATCH_MOST / row > 4 ? SCRATCH_MOST / row : 4;

    if (rows > (size_t)s.h + 2)
        rows = (size_t)s.h + 2 > 4 ? (size_t)s.h + 2 : 4;
    return rows * row + 4 * square * sizeof(float) +
           4 * nst_shape_area(s) * sizeof(float) + 32 * ALIGNMENT;
}

enum nst_status cuda_want_scratch(struct cuda *cu, struct cuda_line *line, size_t bytes,
                                  struct nst_err *err)
{
    enum nst_status st;
    void *scratch;

    if (bytes <= line->scratch_bytes)
        return NST_OK;
    cuda_ok(cu, cudaStreamSynchronize(line->stream));
    cudaFree(line->scratch); /* first: both need not fit */
    line->scratch = NULL;
    line->scratch_bytes = 0;
    st = cuda_alloc(cu, &scratch, bytes, err);
    if (st != NST_OK)
        return st;
    line->scratch = static_cast<char *>(scratch);
    line->scratch_bytes = bytes;
    return NST_OK;
}

static void change_lines(struct cuda *cu)
{
    struct cuda_line line = cu->line;

    cu->line = cu->other;
    cu->other = line;
    cu->aside = !cu->aside;
}

void cuda_go_aside(struct cuda *cu, const struct nst_tensor *f)
{
    const struct cuda_tensor *t = reinterpret_cast<const struct cuda_tensor *>(f);

    if (t)
        cuda_ok(cu, cudaStreamWaitEvent(cu->other.stream, t->made, 0));
    change_lines(cu);
}

void cuda_hold_aside(struct cuda *cu)
{
    cuda_ok(cu, cudaEventRecord(cu->held, cu->line.stream));
    cuda_ok(cu, cudaStreamWaitEvent(cu->other.stream, cu->held, 0));
}

void cuda_come_back(struct cuda *cu)
{
    cuda_ok(cu, cudaEventRecord(cu->done, cu->line.stream));
    change_lines(cu);
    cu->busy = true;
}

void cuda_wait_aside(struct cuda *cu)
{
    if (cu->busy)
        cuda_ok(cu, cudaStreamWaitEvent(cu->line.stream, cu->done, 0));
    cu->busy = false;
}

void cuda_made(struct cuda *cu, const struct nst_tensor *t)
{
    const struct cuda_tensor *c = reinterpret_cast<const struct cuda_tensor *>(t);

    cuda_ok(cu, cudaEventRecord(c->made, cu->line.stream));
}

enum nst_status cuda_finish(struct cuda *cu, struct nst_err *err)
{
    cuda_wait_aside(cu);
    cuda_ok(cu, cudaStreamSynchronize(cu->line.stream));
    if (err && cu->base.fault.status != NST_OK)
        *err = cu->base.fault;
    return cu->base.fault.status;
}

void cuda_send(struct cuda *cu, void *to, const void *from, size_t bytes)
{
    cuda_ok(cu, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, cu->line.stream));
}

void cuda_receive(struct cuda *cu, void *to, const void *from, size_t bytes)
{
    void *at = bytes <= CUDA_LETTER ? cu->letter : to;

    cuda_wait_aside(cu);
    if (!cuda_ok(
            cu, cudaMemcpyAsync(at, from, bytes, cudaMemcpyDefault, cu->line.stream)) ||
        !cuda_ok(cu, cudaStreamSynchronize(cu->line.stream)))
        memset(to, 0, bytes);
    else if (at != to)
        memcpy(to, at, bytes);
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

static cudaDataType type_of(const float *)
{
    return CUDA_R_32F;
}

static cudaDataType type_of(const __half *)
{
    return CUDA_R_16F;
}

/* cuBLAS takes a tenth of a second to begin, and often nobody needs it. */
static cublasHandle_t blas(struct cuda *cu)
{
    if (cu->blas || !cuda_ok(cu, cublasCreate(&cu->blas)))
        return cu->blas;
    cuda_ok(cu, cublasSetStream(cu->blas, cu->line.stream));
    cuda_ok(cu, cublasSetWorkspace(cu->blas, cu->workspace, CUDA_WORKSPACE));
    if (cu->precision == NST_PRECISION_FP16)
        /* where it divides a sum, its parts are floats, too */
        cuda_ok(cu, cublasSetMathMode(
                        cu->blas, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION));
    return cu->blas;
}

/* cuBLAS has columns where we have rows: y' = b a'. */
template <class T, class U>
void cuda_product(struct cuda *cu, size_t m, int n, int k, float alpha, const T *a,
                  const T *b, float beta, U *y)
{
    cuda_ok(cu, cublasGemmEx(blas(cu), CUBLAS_OP_T, CUBLAS_OP_N, n, (int)m, k, &alpha,
                             b, type_of(b), k, a, type_of(a), k, &beta, y, type_of(y),
                             n, compute_type(cu), CUBLAS_GEMM_DEFAULT));
}

template void cuda_product(struct cuda *, size_t, int, int, float, const float *,
                           const float *, float, float *);
template void cuda_product(struct cuda *, size_t, int, int, float, const __half *,
                           const __half *, float, __half *);
template void cuda_product(struct cuda *, size_t, int, int, float, const __half *,
                           const __half *, float, float *);

template <class T>
void cuda_squares(struct cuda *cu, int c, int pixels, int count, const T *a, const T *b,
                  float *y)
{
    const float one = 1, zero = 0;
    long long stride = (long long)pixels * c;

    cuda_ok(cu, cublasGemmStridedBatchedEx(blas(cu), CUBLAS_OP_N, CUBLAS_OP_T, c, c,
                                           pixels, &one, b, type_of(b), c, stride, a,
                                           type_of(a), c, stride, &zero, y, CUDA_R_32F,
                                           c, (long long)c * c, count, compute_type(cu),
                                           CUBLAS_GEMM_DEFAULT));
}

template void cuda_squares(struct cuda *, int, int, int, const float *, const float *,
                           float *);
template void cuda_squares(struct cuda *, int, int, int, const __half *, const __half *,
                           float *);
