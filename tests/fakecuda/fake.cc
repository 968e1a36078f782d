/* SPDX-License-Identifier: MIT */
/*
 * fake.cc - the fake CUDA device (cuda_runtime.h): its properties and memory, copies
 * and launches.
 */
#include "device.h"
#include "fake.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <map>
#include <memory>
#include <vector>

using fake::call, fake::device, fake::devices, fake::driver_present,
    fake::capture_forbids, fake::last_error, fake::lock, fake::push, fake::Work;

std::recursive_mutex fake::lock;
__thread cudaError_t fake::last_error;
__thread int fake::device;

/* ---- settings ---- */

static long setting(const char *name, long fallback)
{
    const char *value = getenv(name);

    return value ? strtol(value, NULL, 10) : fallback;
}

bool fake::driver_present()
{
    const char *driver = getenv("NST_FAKE_CUDA_DRIVER");

    return !driver || strcmp(driver, "none") != 0;
}

int fake::devices()
{
    long n = setting("NST_FAKE_CUDA_DEVICES", 1);

    return n < 0 ? 0 : n > fake::max_devices ? fake::max_devices : static_cast<int>(n);
}

static size_t memory()
{
    return static_cast<size_t>(setting("NST_FAKE_CUDA_MEMORY", 2L << 30));
}

int fake::capability()
{
    return static_cast<int>(setting("NST_FAKE_CUDA_CC", 90));
}

/* The most shared memory of a block, as on real devices. */
static size_t device_max_shared()
{
    int cc = fake::capability();

    return static_cast<size_t>(cc >= 90 ? 227 : cc >= 80 ? 163 : 64) << 10;
}

/* ---- memory: an allocation for each block, so that sanitizers see its end ---- */

namespace
{
struct Block {
    size_t size;
    int device;
};

enum MemoryKind { PAGEABLE, PINNED, DEVICE, OVERRUN };
} // namespace

static std::map<uintptr_t, Block> device_blocks, pinned_blocks;
static size_t used[fake::max_devices], used_peak;
static long mallocs;

long fake_cuda_mallocs(void)
{
    std::lock_guard<std::recursive_mutex> held(lock);

    return mallocs;
}

long fake_cuda_launches(void)
{
    std::lock_guard<std::recursive_mutex> held(lock);

    return fake::kernel_count();
}

size_t fake_cuda_peak(void)
{
    std::lock_guard<std::recursive_mutex> held(lock);

    return used_peak;
}

/* The size of the file NST_FAKE_CUDA_FREE, if there is one, is the free memory: a test
 * changes it while a program runs, and a sandbox lets the program see it. */
cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    return call([&] {
        const char *file = getenv("NST_FAKE_CUDA_FREE");
        struct stat st;

        *total = memory();
        *free = *total > used[device] ? *total - used[device] : 0;
        if (file && stat(file, &st) == 0)
            *free = static_cast<size_t>(st.st_size);
        return cudaSuccess;
    });
}

static void *allocate(size_t size)
{
    void *p;

    if (posix_memalign(&p, 256, size) != 0)
        return NULL;
    memset(p, fake::junk, size);
    return p;
}

cudaError_t cudaMalloc(void **p, size_t size)
{
    return call([&] {
        mallocs++;
        *p = NULL;
        if (cudaError_t error = capture_forbids())
            return error;
        if (size == 0)
            return cudaSuccess;
        if (size > memory() || used[device] > memory() - size || !(*p = allocate(size)))
            return cudaErrorMemoryAllocation;
        device_blocks[reinterpret_cast<uintptr_t>(*p)] = {size, device};
        used[device] += size;
        used_peak = used[device] > used_peak ? used[device] : used_peak;
        return cudaSuccess;
    });
}

/* Both kinds of free wait for the device, as the real ones do. */
static cudaError_t free_block(std::map<uintptr_t, Block> &blocks, void *p, size_t *from)
{
    auto block = blocks.find(reinterpret_cast<uintptr_t>(p));

    if (!p)
        return cudaSuccess;
    if (cudaError_t error = capture_forbids())
        return error;
    if (block == blocks.end())
        return cudaErrorInvalidValue;
    fake::drain_device();
    if (from)
        from[block->second.device] -= block->second.size;
    blocks.erase(block);
    free(p);
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    return call([&] { return free_block(device_blocks, p, used); });
}

cudaError_t cudaMallocHost(void **p, size_t size)
{
    return call([&] {
        if (cudaError_t error = capture_forbids())
            return error;
        *p = allocate(size ? size : 1);
        if (!*p)
            return cudaErrorMemoryAllocation;
        pinned_blocks[reinterpret_cast<uintptr_t>(*p)] = {size, device};
        return cudaSuccess;
    });
}

cudaError_t cudaFreeHost(void *p)
{
    return call([&] { return free_block(pinned_blocks, p, NULL); });
}

/* 1: size bytes from p on are in one block; 0: p is in none; -1: they overrun one. */
static int find_in(const std::map<uintptr_t, Block> &blocks, const void *p, size_t size)
{
    uintptr_t at = reinterpret_cast<uintptr_t>(p);
    auto next = blocks.upper_bound(at);

    if (next == blocks.begin())
        return 0;
    --next;
    if (at >= next->first + next->second.size)
        return 0;
    return size <= next->first + next->second.size - at ? 1 : -1;
}

static MemoryKind kind_of(const void *p, size_t size)
{
    int on_device = find_in(device_blocks, p, size),
        on_host = find_in(pinned_blocks, p, size);

    if (on_device < 0 || on_host < 0)
        return OVERRUN;
    return on_device ? DEVICE : on_host ? PINNED : PAGEABLE;
}

bool fake::on_device(const void *p, size_t size)
{
    MemoryKind at = kind_of(p, size);

    return at == DEVICE || at == PINNED;
}

/* ---- copies ---- */

namespace
{
struct Rectangle {
    void *to;
    size_t to_pitch;
    const void *from;
    size_t from_pitch, width, height;
};
} // namespace

static void copy_rows(const Rectangle &r)
{
    for (size_t i = 0; i < r.height; i++)
        memmove(static_cast<char *>(r.to) + i * r.to_pitch,
                static_cast<const char *>(r.from) + i * r.from_pitch, r.width);
}

static bool kind_fits(enum cudaMemcpyKind kind, MemoryKind to, MemoryKind from)
{
    bool onto = to == DEVICE, off = from == DEVICE;

    if (to == OVERRUN || from == OVERRUN)
        return false;
    switch (kind) {
    case cudaMemcpyHostToHost:
        return !onto && !off;
    case cudaMemcpyHostToDevice:
        return onto && !off;
    case cudaMemcpyDeviceToHost:
        return !onto && off;
    case cudaMemcpyDeviceToDevice:
        return onto && off;
    case cudaMemcpyDefault:
        return true;
    }
    return false;
}

/* Pageable memory is read during the call. */
static cudaError_t push_staged(const Rectangle &r, cudaStream_t stream)
{
    auto bytes = std::make_shared<std::vector<char>>(r.width * r.height);
    Rectangle in = r, out = r;

    in.to = bytes->data();
    out.from = bytes->data();
    in.to_pitch = out.from_pitch = r.width;
    copy_rows(in);
    return push(stream, [out, bytes] { copy_rows(out); });
}

/* A copy into pageable memory returns when it is done. */
static cudaError_t copy(const Rectangle &r, enum cudaMemcpyKind kind,
                        cudaStream_t stream)
{
    CUstream_st *s = fake::find(stream);

    if (r.width > r.to_pitch || r.width > r.from_pitch)
        return cudaErrorInvalidValue;
    if (r.width == 0 || r.height == 0)
        return cudaSuccess;
    MemoryKind to = kind_of(r.to, (r.height - 1) * r.to_pitch + r.width);
    MemoryKind from = kind_of(r.from, (r.height - 1) * r.from_pitch + r.width);
    if (!kind_fits(kind, to, from))
        return cudaErrorInvalidValue;
    cudaError_t error = cudaSuccess;
    if (s && (to == PAGEABLE || from == PAGEABLE))
        error = fake::invalidate_capture(s, cudaErrorStreamCaptureUnsupported);
    if (error)
        return error;
    error =
        from == PAGEABLE ? push_staged(r, stream) : push(stream, [r] { copy_rows(r); });
    if (!error && to == PAGEABLE)
        fake::drain(s);
    return error;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                              size_t from_pitch, size_t width, size_t height,
                              enum cudaMemcpyKind kind, cudaStream_t stream)
{
    return call([&] {
        return copy({to, to_pitch, from, from_pitch, width, height}, kind, stream);
    });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size,
                            enum cudaMemcpyKind kind, cudaStream_t stream)
{
    return cudaMemcpy2DAsync(to, size, from, size, size, 1, kind, stream);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size,
                       enum cudaMemcpyKind kind)
{
    return call([&] {
        cudaError_t error = capture_forbids();
        if (!error)
            error = copy({to, size, from, size, size, 1}, kind, NULL);
        if (!error)
            fake::drain(fake::find(NULL));
        return error;
    });
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t size, cudaStream_t stream)
{
    return call([&] {
        if (size == 0)
            return cudaSuccess;
        if (kind_of(p, size) != DEVICE)
            return cudaErrorInvalidValue;
        return push(stream, [p, value, size] { memset(p, value, size); });
    });
}

/* ---- launches ---- */

static std::map<const void *, size_t>
    dynamic_shared_limit; /* set by cudaFuncSetAttribute */

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute, int value)
{
    return call([&] {
        if (value < 0 || static_cast<size_t>(value) > device_max_shared())
            return cudaErrorInvalidValue;
        dynamic_shared_limit[kernel] = static_cast<size_t>(value);
        return cudaSuccess;
    });
}

static bool valid_configuration(dim3 grid, dim3 block)
{
    return grid.x > 0 && grid.x <= 0x7fffffff && grid.y > 0 && grid.y <= 65535 &&
           grid.z > 0 && grid.z <= 65535 && block.x > 0 &&
           block.x <= fake::max_threads && block.y > 0 &&
           block.y <= fake::max_threads && block.z > 0 && block.z <= 64 &&
           block.x * block.y * block.z <= fake::max_threads;
}

/* Programmatic dependent launch; kernels still run one after another here. */
static bool supports(const cudaLaunchAttribute &a)
{
    return a.id == cudaLaunchAttributeProgrammaticStreamSerialization &&
           fake::capability() >= 90;
}

cudaError_t fake::launch(const cudaLaunchConfig_t &c, const void *kernel, Work body)
{
    Launch l = {c.gridDim, c.blockDim, c.dynamicSmemBytes, kernel, std::move(body)};

    return call([&] {
        auto more = dynamic_shared_limit.find(kernel);
        for (unsigned i = 0; i < c.numAttrs; i++)
            if (!supports(c.attrs[i]))
                return cudaErrorNotSupported;
        if (fake::capability() < 75) /* no code is compiled for these */
            return cudaErrorNoKernelImageForDevice;
        if (!valid_configuration(c.gridDim, c.blockDim))
            return cudaErrorInvalidConfiguration;
        if (l.shared > fake::default_shared &&
            (more == dynamic_shared_limit.end() || l.shared > more->second))
            return cudaErrorInvalidValue;
        return push(c.stream, [l] { fake::run_kernel(l); });
    });
}

/* ---- the device ---- */

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = driver_present() ? devices() : 0;
    return call([] { return cudaSuccess; });
}

cudaError_t cudaSetDevice(int number)
{
    if (driver_present() && devices() > 0 && number >= 0 && number < devices())
        device = number;
    return call(
        [&] { return number == device ? cudaSuccess : cudaErrorInvalidDevice; });
}

cudaError_t cudaGetDevice(int *number)
{
    *number = device;
    return call([] { return cudaSuccess; });
}

/* -1: unknown, since unused here. */
static int attribute(const cudaDeviceProp &p, enum cudaDeviceAttr attr)
{
    switch (attr) {
    case cudaDevAttrMaxThreadsPerBlock:
        return p.maxThreadsPerBlock;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        return static_cast<int>(p.sharedMemPerBlock);
    case cudaDevAttrWarpSize:
        return p.warpSize;
    case cudaDevAttrMultiProcessorCount:
        return p.multiProcessorCount;
    case cudaDevAttrIntegrated:
        return p.integrated;
    case cudaDevAttrL2CacheSize:
        return p.l2CacheSize;
    case cudaDevAttrComputeCapabilityMajor:
        return p.major;
    case cudaDevAttrComputeCapabilityMinor:
        return p.minor;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        return static_cast<int>(p.sharedMemPerMultiprocessor);
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        return static_cast<int>(p.sharedMemPerBlockOptin);
    }
    return -1;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int number)
{
    cudaDeviceProp p;
    cudaError_t error = cudaGetDeviceProperties(&p, number);

    if (error)
        return error;
    return call([&] {
        *value = attribute(p, attr);
        return *value < 0 ? cudaErrorInvalidValue : cudaSuccess;
    });
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int number)
{
    return call([&] {
        if (number < 0 || number >= devices())
            return cudaErrorInvalidDevice;
        *prop = {};
        strcpy(prop->name, "fake");
        prop->totalGlobalMem = memory();
        prop->sharedMemPerBlock = fake::default_shared;
        prop->sharedMemPerBlockOptin = device_max_shared();
        prop->sharedMemPerMultiprocessor = device_max_shared() + 1024;
        prop->warpSize = fake::warp_size;
        prop->maxThreadsPerBlock = fake::max_threads;
        prop->maxThreadsPerMultiProcessor = 2 * fake::max_threads;
        prop->major = fake::capability() / 10;
        prop->minor = fake::capability() % 10;
        prop->multiProcessorCount = 4;
        prop->l2CacheSize = 4 << 20;
        return cudaSuccess;
    });
}

/* As documented: without a driver, version 0. */
cudaError_t cudaDriverGetVersion(int *version)
{
    *version = driver_present() ? CUDART_VERSION : 0;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last_error;

    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
#define FAKE_CASE(name, value, text)                                                   \
    case name:                                                                         \
        return text;
        FAKE_ERRORS(FAKE_CASE)
#undef FAKE_CASE
    }
    return "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
#define FAKE_CASE(name, value, text)                                                   \
    case name:                                                                         \
        return #name;
        FAKE_ERRORS(FAKE_CASE)
#undef FAKE_CASE
    }
    return "unrecognized error code";
}
