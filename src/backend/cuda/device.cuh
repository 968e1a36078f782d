/* SPDX-License-Identifier: MIT */
/*
 * device.cuh - one GPU at work: its stream, its scratch, and how values are stored.
 *
 * Tensors lie on the device as H x W x C ("NHWC"), so that a pixel's channels are
 * together: a convolution is then a product of matrices of pixels by channels, and so
 * is a Gram matrix. T is float or __half; sums are made in float, and over many pixels
 * in double, in an order that the shapes alone decide.
 *
 * Work goes to one stream, but for what the losses look at: that is done aside, on
 * another, while the network goes on. What fails is kept in base.error, the first of
 * it; results are worth nothing then.
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

/* A stream, and the scratch of what goes there. */
struct cuda_stream {
    cudaStream_t stream;
    char *scratch;
    size_t scratch_bytes;
};

/* A tensor of this backend: an event says that it was made. */
struct cuda_tensor {
    struct nst_tensor base;
    cudaEvent_t ready;
};

/* What cuBLAS wants at most, by its manual, on compute capability 9.0. */
#define CUDA_WORKSPACE ((size_t)32 << 20)

struct cuda {
    struct nst_backend base;
    int device, capability, sm_count; /* capability: 80 for 8.0 */
    enum nst_precision precision;     /* never NST_PRECISION_AUTO */
    bool tensor_cores;                /* our own products on them can be used */
    size_t max_shared;                /* bytes of shared memory of a block at most */
    struct cuda_stream current,
        other;             /* that work goes to now, and the one beside it */
    bool on_side;          /* line is the one aside */
    cudaEvent_t side_done; /* what was begun aside */
    cudaEvent_t main_done; /* what must be done before more is */
    bool side_pending;     /* with what the main line has not waited for */
    void *staging;         /* to the host: CUDA_STAGING_BYTES bytes of its memory */
    cublasHandle_t blas;   /* NULL: not yet needed */
    void *workspace;       /* CUDA_WORKSPACE bytes of it */
    /* fp16 alone: *peak, on the device, is the bits of the largest magnitude of
     * gradients (times base.loss_scale) so far; *peak_host is what it was after the
     * latest gradient, which is looked at once that is known to be done. */
    int *peak, *peak_host;
    bool grad_pending;
    double *partials, *results; /* of passes over vectors: see vectors.cu */
};

/* Keep what failed, if it did; false then. */
bool cuda_ok(struct cuda *cu, cudaError_t e);
bool cuda_ok(struct cuda *cu, cublasStatus_t s);

/* Every operator begins with this: CUDA has a current device for each thread, and who
 * works with a backend need not be the one that opened it. */
static inline struct cuda *cuda_of(struct nst_backend *be)
{
    struct cuda *cu = reinterpret_cast<struct cuda *>(be);

    cuda_ok(cu, cudaSetDevice(cu->device));
    return cu;
}

/* From here on work goes aside, where it waits for nothing but the map f, and back. The
 * main line waits for what was aside before it changes a map or hands something to the
 * host: cuda_main_wait_side(). Whatever uses cuBLAS stays on the main line. */
void cuda_side_begin(struct cuda *cu, const struct nst_tensor *f);
/* What goes aside from now on waits for all that is under way on the main line. */
void cuda_side_wait_main(struct cuda *cu);
void cuda_side_end(struct cuda *cu);
void cuda_main_wait_side(struct cuda *cu);
/* What is under way on the main line will have made t. */
void cuda_record_ready(struct cuda *cu, const struct nst_tensor *t);

/* The line's scratch, from its begin on: it is free again at the next operator. */
struct cuda_arena {
    char *at, *end;
};
struct cuda_arena cuda_arena(struct cuda *cu);
void *cuda_arena_alloc_bytes(struct cuda_arena *arena, size_t bytes);
template <class T> T *cuda_arena_alloc(struct cuda_arena *arena, size_t n)
{
    return static_cast<T *>(cuda_arena_alloc_bytes(arena, n * sizeof(T)));
}
/* How many of rows can be worked on at once when each takes bytes of what is left of
 * the room: one at least. */
int cuda_arena_rows(const struct cuda_arena *arena, size_t bytes, int rows);
/* The scratch that operators on a map of this shape take at most. */
size_t cuda_scratch_bytes(const struct cuda *cu, struct nst_shape s);
/* What operators that know no tensor take, and what those aside have: parts of Gram
 * matrices. The tests have little. */
#define MIN_SCRATCH ((size_t)64 << 10)
#ifndef SIDE_SCRATCH
#define SIDE_SCRATCH ((size_t)17 << 20)
#endif
/* Make sure of so much. Not while a room is in use. */
enum nst_status cuda_reserve_scratch(struct cuda *cu, struct cuda_stream *s,
                                     size_t bytes, struct nst_err *err);

/* base.device_memory becomes what may be taken of what is free: others use the
 * device, too. */
void cuda_query_memory(struct cuda *cu);
/* Device memory, until cudaFree(). NST_ERR_MEM says how much was asked for. */
enum nst_status cuda_alloc(struct cuda *cu, void **out, size_t bytes,
                           struct nst_err *err);

/* Wait for all work; the fault, if there was one by then. */
enum nst_status cuda_synchronize(struct cuda *cu, struct nst_err *err);

/* What is no larger comes back by memory that the device writes to itself. */
#define CUDA_STAGING_BYTES ((size_t)4096)
/* Bytes to the device, and back when all before is done. Zeros after a fault. */
void cuda_copy_async(struct cuda *cu, void *to, const void *from, size_t bytes);
void cuda_copy_to_host(struct cuda *cu, void *to, const void *from, size_t bytes);

/* y (m x n) = alpha a (m x k) b' (b is n x k) + beta y, all row by row. */
template <class T, class U>
void cuda_gemm(struct cuda *cu, size_t m, int n, int k, float alpha, const T *a,
               const T *b, float beta, U *y);
/* Of each of count pieces of pixels pixels: y (c x c) = a' b over its pixels, where a
 * and b are pixels x c, row by row. */
template <class T>
void cuda_batched_gram(struct cuda *cu, int c, int pixels, int count, const T *a,
                       const T *b, float *y);

/* kernel<<<grid, block, shared>>>(args...) on the line */
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

/* The same of a kernel that begins with ptx::griddep_wait(): it may be brought in while
 * the one before it ends. */
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
/* With as many threads as there are items, or so many that each has several. */
template <class... P, class... A>
void cuda_launch_1d(struct cuda *cu, void (*kernel)(P...), size_t items, A... args)
{
    size_t blocks = (items + CUDA_BLOCK - 1) / CUDA_BLOCK;

    if (blocks > 65536)
        blocks = 65536;
    if (items > 0)
        cuda_launch(cu, kernel, dim3((unsigned)blocks), CUDA_BLOCK, 0, args...);
}

/* The items of this thread are first, first + step ... */
static __device__ __forceinline__ size_t cuda_grid_index()
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}
static __device__ __forceinline__ size_t cuda_grid_stride()
{
    return (size_t)gridDim.x * blockDim.x;
}

/* How values are stored. */
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
/* Too large a value becomes the largest. */
static __device__ __forceinline__ void store(__half *to, float v)
{
    const float half_max = 65504;

    *to = __float2half_rn(v > half_max ? half_max : v < -half_max ? -half_max : v);
}

static __device__ __forceinline__ float relu(float v)
{
    return v > 0 ? v : 0;
}

/* Our own products on tensor cores read and write 16 bytes of a pixel at once. */
static inline bool cuda_uses_tensor_cores(const struct cuda *cu, int channels)
{
    int element = cu->precision == NST_PRECISION_FP16 ? 2 : 4;

    return cu->tensor_cores && channels * element % 16 == 0;
}

template <class T> T *tensor_data(const struct nst_tensor *t)
{
    return reinterpret_cast<T *>(t->data);
}

#endif
