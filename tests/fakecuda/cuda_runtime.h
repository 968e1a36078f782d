/* SPDX-License-Identifier: MIT */
/*
 * cuda_runtime.h - a CUDA runtime on the CPU. With this header in place of the
 * toolkit's, CUDA sources compile as C++17, and fake.cc runs their kernels. It is the
 * part of the runtime that src/backend/cuda uses, with the toolkit's names and
 * signatures. It is stricter than a real device where that exposes mistakes.
 *
 * The threads of a block are fibers. Each runs until a barrier or a warp operation.
 * Blocks run one after another.
 */
#ifndef NST_TESTS_CUDA_RUNTIME_H
#define NST_TESTS_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <tuple>
#include <utility>

#include "library_types.h"

#define CUDART_VERSION 13000

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

/* ---- vectors ---- */

#define FAKE_VECTORS(scalar, name)                                                     \
    struct alignas(2 * sizeof(scalar)) name##2                                         \
    {                                                                                  \
        scalar x, y;                                                                   \
    };                                                                                 \
    struct name##3                                                                     \
    {                                                                                  \
        scalar x, y, z;                                                                \
    };                                                                                 \
    struct alignas(4 * sizeof(scalar)) name##4                                         \
    {                                                                                  \
        scalar x, y, z, w;                                                             \
    };                                                                                 \
    static inline name##2 make_##name##2(scalar x, scalar y)                           \
    {                                                                                  \
        return {x, y};                                                                 \
    }                                                                                  \
    static inline name##3 make_##name##3(scalar x, scalar y, scalar z)                 \
    {                                                                                  \
        return {x, y, z};                                                              \
    }                                                                                  \
    static inline name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w)       \
    {                                                                                  \
        return {x, y, z, w};                                                           \
    }

FAKE_VECTORS(int, int)
FAKE_VECTORS(unsigned, uint)
FAKE_VECTORS(float, float)
#undef FAKE_VECTORS

struct alignas(16) double2 {
    double x, y;
};
static inline double2 make_double2(double x, double y)
{
    return {x, y};
}

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c)
    {
    }
};

extern uint3 threadIdx, blockIdx; /* of the running thread */
extern dim3 blockDim, gridDim;

/* ---- the runtime ---- */

#define FAKE_ERRORS(X)                                                                 \
    X(cudaSuccess, 0, "no error")                                                      \
    X(cudaErrorInvalidValue, 1, "invalid argument")                                    \
    X(cudaErrorMemoryAllocation, 2, "out of memory")                                   \
    X(cudaErrorInvalidConfiguration, 9, "invalid configuration argument")              \
    X(cudaErrorInsufficientDriver, 35,                                                 \
      "CUDA driver version is insufficient for CUDA runtime version")                  \
    X(cudaErrorNoDevice, 100, "no CUDA-capable device is detected")                    \
    X(cudaErrorInvalidDevice, 101, "invalid device ordinal")                           \
    X(cudaErrorNoKernelImageForDevice, 209,                                            \
      "no kernel image is available for execution on the device")                      \
    X(cudaErrorInvalidResourceHandle, 400, "invalid resource handle")                  \
    X(cudaErrorIllegalState, 401,                                                      \
      "the operation cannot be performed in the present state")                        \
    X(cudaErrorNotReady, 600, "device not ready")                                      \
    X(cudaErrorNotSupported, 801, "operation not supported")                           \
    X(cudaErrorStreamCaptureUnsupported, 900,                                          \
      "operation not permitted when stream is capturing")                              \
    X(cudaErrorStreamCaptureInvalidated, 901,                                          \
      "operation failed due to a previous error during capture")                       \
    X(cudaErrorStreamCaptureMerge, 902,                                                \
      "operation would result in a merge of separate capture sequences")               \
    X(cudaErrorStreamCaptureUnmatched, 903,                                            \
      "capture was not ended in the same stream as it began")                          \
    X(cudaErrorStreamCaptureUnjoined, 904, "capturing stream has unjoined work")       \
    X(cudaErrorStreamCaptureIsolation, 905,                                            \
      "dependency created on uncaptured work in another stream")                       \
    X(cudaErrorStreamCaptureImplicit, 906,                                             \
      "operation would make the legacy stream depend on a capturing blocking stream")  \
    X(cudaErrorCapturedEvent, 907,                                                     \
      "operation not permitted on an event last recorded in a capturing stream")       \
    X(cudaErrorStreamCaptureWrongThread, 908,                                          \
      "attempt to terminate a thread-local capture sequence from another thread")      \
    X(cudaErrorUnknown, 999, "unknown error")

enum cudaError {
#define FAKE_ENUM(name, value, text) name = value,
    FAKE_ERRORS(FAKE_ENUM)
#undef FAKE_ENUM
};
typedef enum cudaError cudaError_t;

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;

enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};

enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal,
    cudaStreamCaptureModeThreadLocal,
    cudaStreamCaptureModeRelaxed
};

enum cudaStreamCaptureStatus {
    cudaStreamCaptureStatusNone,
    cudaStreamCaptureStatusActive,
    cudaStreamCaptureStatusInvalidated
};

#define cudaStreamDefault 0
#define cudaStreamNonBlocking 1
#define cudaEventDefault 0
#define cudaEventBlockingSync 1
#define cudaEventDisableTiming 2

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1,
    cudaDevAttrMaxSharedMemoryPerBlock = 8,
    cudaDevAttrWarpSize = 10,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrIntegrated = 18,
    cudaDevAttrL2CacheSize = 38,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin;
    size_t sharedMemPerMultiprocessor;
    int warpSize, maxThreadsPerBlock, maxThreadsPerMultiProcessor;
    int major, minor, multiProcessorCount, integrated, l2CacheSize;
};

/* Accepted from 9.0 on, without effect. */
enum cudaLaunchAttributeID { cudaLaunchAttributeProgrammaticStreamSerialization = 6 };
typedef struct cudaLaunchAttribute_st {
    enum cudaLaunchAttributeID id;
    union {
        int programmaticStreamSerializationAllowed;
    } val;
} cudaLaunchAttribute;

typedef struct cudaLaunchConfig_st {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
} cudaLaunchConfig_t;

extern "C" {
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device);
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
const char *cudaGetErrorString(cudaError_t error);
const char *cudaGetErrorName(cudaError_t error);

cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaMalloc(void **p, size_t size);
cudaError_t cudaFree(void *p);
cudaError_t cudaMallocHost(void **p, size_t size);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemcpy(void *to, const void *from, size_t size,
                       enum cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size,
                            enum cudaMemcpyKind kind, cudaStream_t stream = 0);
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                              size_t from_pitch, size_t width, size_t height,
                              enum cudaMemcpyKind kind, cudaStream_t stream = 0);
cudaError_t cudaMemsetAsync(void *p, int value, size_t size, cudaStream_t stream = 0);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = 0);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end);
cudaError_t cudaEventDestroy(cudaEvent_t event);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream,
                                   enum cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream,
                                  enum cudaStreamCaptureStatus *status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attr,
                                 int value);
}

template <class T> cudaError_t cudaMalloc(T **p, size_t size)
{
    return cudaMalloc(reinterpret_cast<void **>(p), size);
}

template <class T> cudaError_t cudaMallocHost(T **p, size_t size)
{
    return cudaMallocHost(reinterpret_cast<void **>(p), size);
}

template <class T>
cudaError_t cudaFuncSetAttribute(T *kernel, enum cudaFuncAttribute attr, int value)
{
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attr, value);
}

/* ---- functions of fake.cc for the headers ---- */

namespace fake
{
/* Queue work on a stream, or capture it. */
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
/* Queue a kernel; body runs one thread of it. */
cudaError_t launch(const cudaLaunchConfig_t &config, const void *kernel,
                   std::function<void()> body);

/* A warp operation: the last lane of mask to arrive calls combine() with the operands
 * of all lanes in mask, and all continue. */
typedef void (*Combine)(void *const lanes[32], unsigned mask);
void collective(const char *name, unsigned mask, Combine combine, void *mine);
void barrier(int line);
int lane();
int capability(); /* 75, 80, 90 */

/* cp.async of the running thread: see backend/cuda/ptx.cuh. */
void cp_async16(void *shared, const void *global, bool valid);
void cp_async_commit();
void cp_async_wait(size_t pending);

/* Report an error of the running kernel, and where, and abort. */
[[noreturn]] void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* fail() if size bytes at p are not in shared or in global memory, or p is not a
 * multiple of size. */
void check_shared(const char *instruction, const void *p, size_t size);
void check_global(const char *instruction, const void *p, size_t size);
} // namespace fake

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...),
                               A &&...args)
{
    std::tuple<P...> given(std::forward<A>(args)...);

    return fake::launch(*config, reinterpret_cast<const void *>(kernel),
                        [kernel, given] { std::apply(kernel, given); });
}

/* ---- functions for kernels ---- */

/* The caller's line: all threads of a block must meet at the same barrier. */
static inline void __syncthreads(int line = __builtin_LINE())
{
    fake::barrier(line);
}

namespace fake
{
template <class T> struct Shuffle {
    T value;
    int from;
    T result;
};

template <class T> void shuffle_combine(void *const lanes[32], unsigned mask)
{
    for (int i = 0; i < 32; i++) {
        if (!(mask >> i & 1))
            continue;
        auto *to = static_cast<Shuffle<T> *>(lanes[i]);
        if (!(mask >> to->from & 1))
            fail("lane %d reads lane %d, which the mask %08x lacks", i, to->from, mask);
        to->result = static_cast<Shuffle<T> *>(lanes[to->from])->value;
    }
}

template <class T> T shuffle(const char *name, unsigned mask, T value, int from)
{
    Shuffle<T> mine = {value, from, value};

    collective(name, mask, shuffle_combine<T>, &mine);
    return mine.result;
}
} // namespace fake

template <class T> T __shfl_sync(unsigned mask, T value, int from, int width = 32)
{
    int first = fake::lane() & -width;

    return fake::shuffle("__shfl_sync", mask, value, first + (from & (width - 1)));
}

/* Beyond the group of width lanes, a lane reads itself. */
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int me = fake::lane(), from = me + static_cast<int>(by);

    return fake::shuffle("__shfl_down_sync", mask, value,
                         from < (me & -width) + width ? from : me);
}

template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int me = fake::lane(), from = me - static_cast<int>(by);

    return fake::shuffle("__shfl_up_sync", mask, value,
                         from >= (me & -width) ? from : me);
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32)
{
    int me = fake::lane(), from = me ^ by;

    return fake::shuffle("__shfl_xor_sync", mask, value,
                         from < (me & -width) + width ? from : me);
}

static inline void __syncwarp(unsigned mask = 0xffffffff)
{
    fake::collective(
        "__syncwarp", mask, [](void *const *, unsigned) {}, nullptr);
}

/* Position of the lowest bit that is set, counted from 1; 0 if none is. */
static inline int __ffs(int bits)
{
    return __builtin_ffs(bits);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    unsigned mine = predicate != 0;
    auto combine = [](void *const lanes[32], unsigned of) {
        unsigned all = 0;
        for (int i = 0; i < 32; i++)
            if (of >> i & 1)
                all |= *static_cast<unsigned *>(lanes[i]) << i;
        for (int i = 0; i < 32; i++)
            if (of >> i & 1)
                *static_cast<unsigned *>(lanes[i]) = all;
    };

    fake::collective("__ballot_sync", mask, combine, &mine);
    return mine;
}

static inline int __any_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) != 0;
}

static inline int __all_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) == mask;
}

/* One thread runs at a time: plain operations are atomic. All return the old value. */
#define FAKE_ATOMIC(name, type, result)                                                \
    static inline type name(type *p, type value)                                       \
    {                                                                                  \
        type old = *p;                                                                 \
        *p = (result);                                                                 \
        return old;                                                                    \
    }
FAKE_ATOMIC(atomicAdd, int, old + value)
FAKE_ATOMIC(atomicAdd, unsigned, old + value)
FAKE_ATOMIC(atomicAdd, float, old + value)
FAKE_ATOMIC(atomicAdd, double, old + value)
FAKE_ATOMIC(atomicMax, int, old > value ? old : value)
FAKE_ATOMIC(atomicMax, unsigned, old > value ? old : value)
FAKE_ATOMIC(atomicOr, int, old | value)
FAKE_ATOMIC(atomicOr, unsigned, old | value)
#undef FAKE_ATOMIC

/* Reinterpret the bits of one type as another. */
#define FAKE_BITS(name, from, to)                                                      \
    static inline to name(from value)                                                  \
    {                                                                                  \
        to bits;                                                                       \
        memcpy(&bits, &value, sizeof bits);                                            \
        return bits;                                                                   \
    }
FAKE_BITS(__float_as_int, float, int)
FAKE_BITS(__float_as_uint, float, unsigned)
FAKE_BITS(__int_as_float, int, float)
FAKE_BITS(__uint_as_float, unsigned, float)
#undef FAKE_BITS

/* One thread runs at a time, and sees all earlier writes. */
static inline void __threadfence()
{
}

template <class T> T __ldg(const T *p)
{
    return *p;
}

static inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}

static inline float __fmul_rn(float a, float b)
{
    return a * b;
}

static inline float __fadd_rn(float a, float b)
{
    return a + b;
}

static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}

#define FAKE_MIN_MAX(type)                                                             \
    static inline type min(type a, type b)                                             \
    {                                                                                  \
        return b < a ? b : a;                                                          \
    }                                                                                  \
    static inline type max(type a, type b)                                             \
    {                                                                                  \
        return a < b ? b : a;                                                          \
    }
FAKE_MIN_MAX(int)
FAKE_MIN_MAX(unsigned)
FAKE_MIN_MAX(long)
FAKE_MIN_MAX(unsigned long)
FAKE_MIN_MAX(long long)
FAKE_MIN_MAX(unsigned long long)
#undef FAKE_MIN_MAX

/* As fminf and fmaxf: a NaN is ignored. */
static inline float min(float a, float b)
{
    return fminf(a, b);
}

static inline float max(float a, float b)
{
    return fmaxf(a, b);
}

#endif
