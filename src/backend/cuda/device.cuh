/* SPDX-License-Identifier: MIT */
/*
 * device.cuh - state of an open GPU: streams, scratch memory, kernel launches, and the
 * conversion of stored values.
 *
 * Tensors are stored as H x W x C ("NHWC"). A convolution and a Gram matrix are then
 * products of pixels x channels matrices. T is float or __half. Sums are float, over
 * many pixels double, in an order that depends on the shapes alone.
 *
 * Work goes to the main stream. The losses run on a side stream while the network goes
 * on. The first error is kept in base.error; results are invalid afterwards.
 */
#ifndef NST_BACKEND_CUDA_DEVICE_CUH
#define NST_BACKEND_CUDA_DEVICE_CUH

#include <cublas_v2.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

extern "C" {
#include "backend/backend.h"
#include "backend/cuda/cuda.h"
}

#include "backend/cuda/ptx.cuh"

/* A stream and the scratch memory of its work. */
struct cuda_stream {
    cudaStream_t stream;
    char *scratch;
    size_t scratch_bytes;
};

/* A tensor, and the event that is recorded when its data are complete. */
struct cuda_tensor {
    struct nst_tensor base;
    cudaEvent_t ready;
};

/* The largest workspace that the cuBLAS manual asks for, on compute capability 9.0. */
#define CUDA_WORKSPACE ((size_t)32 << 20)

struct cuda {
    struct nst_backend base;
    int device, capability, sm_count; /* capability: 80 for 8.0 */
    enum nst_precision precision;     /* never NST_PRECISION_AUTO */
    bool tensor_cores;                /* our tensor-core kernels can be used */
    size_t max_shared;                /* most bytes of shared memory per block */
    /* where work goes now, and the other stream */
    struct cuda_stream current, other;
    bool on_side;          /* current is the side stream */
    cudaEvent_t side_done; /* the end of the side stream's work */
    cudaEvent_t main_done; /* main-stream work that the side stream waits for */
    bool side_pending;     /* the main stream has not waited for side_done yet */
    void *staging;         /* pinned host memory for downloads: CUDA_STAGING_BYTES */
    cublasHandle_t blas;   /* NULL until its first use */
    void *workspace;       /* of cuBLAS: CUDA_WORKSPACE bytes */
    /* fp16 only. *peak, on the device, is the largest |gradient| (times
     * base.loss_scale) so far, as float bits. *peak_host is its copy after the latest
     * gradient; grad_pending says that the copy has not been read yet. */
    int *peak, *peak_host;
    bool grad_pending;
    double *partials, *results; /* of vector reductions: see vectors.cu */
};

/* Keep the error e or s in base.error if it is the first. False on error. */
bool cuda_ok(struct cuda *cu, cudaError_t e);
bool cuda_ok(struct cuda *cu, cublasStatus_t s);

/* Every operator starts with this. CUDA's current device is per thread, and the thread
 * that uses a backend may not be the one that opened it. */
static inline struct cuda *cuda_of(struct nst_backend *be)
{
    struct cuda *cu = reinterpret_cast<struct cuda *>(be);

    cuda_ok(cu, cudaSetDevice(cu->device));
    return cu;
}

/* Between begin and end, work goes to the side stream, where it waits for the map f
 * alone (NULL: for nothing). The main stream calls cuda_main_wait_side() before it
 * changes a map or copies to the host. cuBLAS stays on the main stream. */
void cuda_side_begin(struct cuda *cu, const struct nst_tensor *f);
/* Later side work waits for all work queued on the main stream so far. */
void cuda_side_wait_main(struct cuda *cu);
void cuda_side_end(struct cuda *cu);
void cuda_main_wait_side(struct cuda *cu);
/* Mark t as complete once the work queued on the main stream so far is done. */
void cuda_record_ready(struct cuda *cu, const struct nst_tensor *t);

/* Bump allocator over the current stream's scratch. Each operator starts anew, which
 * frees the allocations of the one before. */
struct cuda_arena {
    char *at, *end;
};
struct cuda_arena cuda_arena(struct cuda *cu);
void *cuda_arena_alloc_bytes(struct cuda_arena *arena, size_t bytes);
template <class T> T *cuda_arena_alloc(struct cuda_arena *arena, size_t n)
{
    return static_cast<T *>(cuda_arena_alloc_bytes(arena, n * sizeof(T)));
}
/* How many of rows, at bytes each, fit into what is left of the arena; at least 1. */
int cuda_arena_rows(const struct cuda_arena *arena, size_t bytes, int rows);
/* The most scratch that operators need on a map of this shape. */
size_t cuda_scratch_bytes(const struct cuda *cu, struct nst_shape s);
/* Scratch of operators without a tensor, and of the side stream (partial Gram
 * matrices). Tests lower the latter. */
#define MIN_SCRATCH ((size_t)64 << 10)
#ifndef SIDE_SCRATCH
#define SIDE_SCRATCH ((size_t)17 << 20)
#endif
/* Grow the scratch to bytes. No arena may be in use. Errors: NST_ERR_MEM. */
enum nst_status cuda_reserve_scratch(struct cuda *cu, struct cuda_stream *s,
                                     size_t bytes, struct nst_err *err);

/* Set base.device_memory to 90 % of the free memory: others use the device, too. */
void cuda_query_memory(struct cuda *cu);
/* Allocate device memory; release it by cudaFree(). NST_ERR_MEM names the size. */
enum nst_status cuda_alloc(struct cuda *cu, void **out, size_t bytes,
                           struct nst_err *err);

/* Wait for all work. Returns the backend's error, if there is one by then. */
enum nst_status cuda_synchronize(struct cuda *cu, struct nst_err *err);

/* Downloads up to this size go through pinned memory. */
#define CUDA_STAGING_BYTES ((size_t)4096)
/* Queue a copy; copy to the host after all earlier work (zeros if that fails). */
void cuda_copy_async(struct cuda *cu, void *to, const void *from, size_t bytes);
void cuda_copy_to_host(struct cuda *cu, void *to, const void *from, size_t bytes);

/* y (m x n) = alpha a (m x k) b' + beta y, where b is n x k; all row-major. */
template <class T, class U>
void cuda_gemm(struct cuda *cu, size_t m, int n, int k, float alpha, const T *a,
               const T *b, float beta, U *y);
/* For each of count batches: y (c x c) = a' b; a and b are pixels x c, row-major. */
template <class T>
void cuda_batched_gram(struct cuda *cu, int c, int pixels, int count, const T *a,
                       const T *b, float *y);

/* kernel<<<grid, block, shared>>>(args...) on the current stream */
template <class... P, class... A>
void cuda_launch_attributes(struct cuda *cu, cudaLaunchAttribute *attribute,
                            unsigned attributes, void (*kernel)(P...), dim3 grid,
                            int block, size_t shared, A... args)
{
    cudaLaunchConfig_t config = {};

    config.gridDim = grid;
    config.blockDim = dim3((unsigned)block);
    config.dynamicSmemBytes = shared;
    config.stream = cu->current.stream;
    config.attrs = attribute;
    config.numAttrs = attributes;
    cuda_ok(cu, cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...));
}

template <class... P, class... A>
void cuda_launch(struct cuda *cu, void (*kernel)(P...), dim3 grid, int block,
                 size_t shared, A... args)
{
    cuda_launch_attributes(cu, NULL, 0, kernel, grid, block, shared, args...);
}

/* The same with programmatic dependent launch: the kernel may be scheduled while the
 * one before it ends, and must start with ptx::griddep_wait(). */
template <class... P, class... A>
void cuda_launch_pdl(struct cuda *cu, void (*kernel)(P...), dim3 grid, int block,
                     size_t shared, A... args)
{
    cudaLaunchAttribute pdl = {};

    pdl.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    pdl.val.programmaticStreamSerializationAllowed = 1;
    cuda_launch_attributes(cu, &pdl, cu->capability >= 90 ? 1 : 0, kernel, grid, block,
                           shared, args...);
}

#define CUDA_BLOCK 256
/* One thread per item, or, for very many items, several items per thread. */
template <class... P, class... A>
void cuda_launch_1d(struct cuda *cu, void (*kernel)(P...), size_t items, A... args)
{
    size_t blocks = (items + CUDA_BLOCK - 1) / CUDA_BLOCK;

    if (blocks > 65536)
        blocks = 65536;
    if (items > 0)
        cuda_launch(cu, kernel, dim3((unsigned)blocks), CUDA_BLOCK, 0, args...);
}

/* A thread's first item, and the step to its next one. */
static __device__ __forceinline__ size_t cuda_grid_index()
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}
static __device__ __forceinline__ size_t cuda_grid_stride()
{
    return (size_t)gridDim.x * blockDim.x;
}

/* Stored values as float, and back. */
static __device__ __forceinline__ float to_float(float v)
{
    return v;
}
static __device__ __forceinline__ float to_float(__half v)
{
    return __half2float(v);
}

static __device__ __forceinline__ void store(float *to, float v)
{
    *to = v;
}
/* Saturates at the range of fp16. */
static __device__ __forceinline__ void store(__half *to, float v)
{
    const float half_max = 65504;

    *to = __float2half_rn(v > half_max ? half_max : v < -half_max ? -half_max : v);
}

static __device__ __forceinline__ float relu(float v)
{
    return v > 0 ? v : 0;
}

/* Our tensor-core kernels load and store 16 bytes of a pixel's channels at once. */
static inline bool cuda_uses_tensor_cores(const struct cuda *cu, int channels)
{
    int element = cu->precision == NST_PRECISION_FP16 ? 2 : 4;

    return cu->tensor_cores && channels * element % 16 == 0;
}

/* The device memory of a buffer; NULL stays NULL. */
template <class T> T *buffer_data(struct nst_buffer *b)
{
    return reinterpret_cast<T *>(b);
}
template <class T> const T *buffer_data(const struct nst_buffer *b)
{
    return reinterpret_cast<const T *>(b);
}

static inline double *scalar_data(struct nst_scalar s)
{
    return buffer_data<double>(s.buffer) + s.index;
}

template <class T> T *tensor_data(const struct nst_tensor *t)
{
    return buffer_data<T>(t->data);
}

#endif
