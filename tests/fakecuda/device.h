/* SPDX-License-Identifier: MIT */
/* device.h - internal interface of the sources of the fake CUDA device. */
#ifndef NST_TESTS_DEVICE_H
#define NST_TESTS_DEVICE_H

#include "cuda_runtime.h"

#include <functional>
#include <mutex>

namespace fake
{
constexpr int warp_size = 32;
constexpr int max_devices = 16;
constexpr unsigned max_threads = 1024; /* per block */
constexpr unsigned char junk = 0xff;   /* makes NaNs of floats and halves */

typedef std::function<void()> Work;

/* ---- fake.cc ---- */

extern std::recursive_mutex lock; /* held during every call: one thread at a time */
/* not thread_local: UBSan fails on its wrapper */
extern __thread cudaError_t last_error;
extern __thread int device;

bool driver_present();
int devices();
/* True if kernels may access size bytes from p on, all in one allocation. */
bool on_device(const void *p, size_t size);

/* Every API call: check that there is a device, run work, and keep its error. */
template <class F> cudaError_t call(F work)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    cudaError_t error = !driver_present()     ? cudaErrorInsufficientDriver
                        : devices() == 0      ? cudaErrorNoDevice
                        : device >= devices() ? cudaErrorInvalidDevice
                                              : work();

    if (error)
        last_error = error;
    return error;
}

/* ---- streams.cc ---- */

struct Capture;

/* The stream, the default one for NULL; NULL if there is no such stream. */
CUstream_st *find(cudaStream_t stream);
cudaError_t push(cudaStream_t stream, Work work); /* enqueue(), inside call() */
/* Run the work queued on the stream so far, and what that waits for. */
void drain(CUstream_st *s);
void drain_device();
/* The error of a call that may wait for the device, if a capture forbids it; all: the
 * call waits for every stream. */
cudaError_t capture_forbids(bool all = false);
/* Invalidate the stream's capture; returns error, or cudaSuccess without a capture. */
cudaError_t invalidate_capture(const CUstream_st *s, cudaError_t error);

/* ---- grid.cc ---- */

struct Launch {
    dim3 grid, block;
    size_t shared;
    const void *kernel;
    Work body; /* runs one thread */
};

constexpr size_t default_shared = 48 << 10; /* without cudaFuncSetAttribute */
constexpr size_t max_shared = 227 << 10;    /* the largest of all devices */
constexpr size_t guard = 272; /* bytes on either side of it: an odd multiple of 16 */

extern const Launch *current_launch; /* the running kernel, or NULL */
unsigned char *shared_memory();      /* of the running kernel */
void run_kernel(const Launch &launch);
long kernel_count();

/* ---- faults.cc: see also fail() ---- */

void print_launch();
} // namespace fake

#endif
