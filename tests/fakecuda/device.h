/* SPDX-License-Identifier: MIT */
/* device.h - what the sources of the fake CUDA device know of each other. */
#ifndef NST_TESTS_DEVICE_H
#define NST_TESTS_DEVICE_H

#include "cuda_runtime.h"

#include <functional>
#include <mutex>

namespace fake
{
constexpr int warp_size = 32;
constexpr int max_devices = 16;
constexpr unsigned max_threads = 1024; /* of a block */
constexpr unsigned char junk = 0xff;   /* makes NaNs, of floats and of halves */

typedef std::function<void()> Work;

/* ---- fake.cc ---- */

extern std::recursive_mutex lock; /* held throughout: one thread at a time */
/* not thread_local, over whose wrapper UBSan stumbles */
extern __thread cudaError_t last_error;
extern __thread int device;

bool driver_present();
int devices();
/* Whether size bytes from p on are of one allocation that kernels may look at. */
bool on_device(const void *p, size_t size);

/* What every call does: there must be a device, and an error is kept. */
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

/* NULL where there is no such stream; the default one for NULL. */
CUstream_st *find(cudaStream_t stream);
cudaError_t push(cudaStream_t stream, Work work); /* enqueue() within a call */
/* Do what the stream was told so far, and what that waits for. */
void drain(CUstream_st *s);
void drain_device();
/* Why a call that may wait for the device is not allowed now. With all, it does wait,
 * and for every stream. */
cudaError_t capture_forbids(bool all = false);
/* Spoil the stream's capture, if it has one, by this error. */
cudaError_t invalidate_capture(const CUstream_st *s, cudaError_t error);

/* ---- grid.cc ---- */

struct Launch {
    dim3 grid, block;
    size_t shared;
    const void *kernel;
    Work body; /* of one thread */
};

constexpr size_t default_shared = 48 << 10; /* without cudaFuncSetAttribute */
constexpr size_t max_shared = 227 << 10;    /* the most that any device has */
constexpr size_t guard = 272; /* bytes before and after it: an odd multiple of 16 */

extern const Launch *current_launch; /* the kernel that runs, or NULL */
unsigned char *shared_memory();      /* its: so many bytes as it asked for */
void run_kernel(const Launch &launch);
long kernel_count();

/* ---- faults.cc: see also fail() ---- */

void print_launch();
} // namespace fake

#endif
