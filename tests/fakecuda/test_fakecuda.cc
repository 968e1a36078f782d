/* SPDX-License-Identifier: MIT */
/*
 * test_fakecuda.cc - checks that the fake CUDA device behaves like a real one.
 * Fragments of mma and ldmatrix are compared with plain loops and independent tables.
 */
#include "backend/cuda/ptx.cuh"
#include "cublas_v2.h"
#include "fake.h"
#include "tap.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

extern __shared__ __align__(16) unsigned char nst_dynamic_shared[];

static unsigned state; /* of tap_random() */
static cudaStream_t stream;

/* Device memory, freed at the end of its scope. */
template <class T> struct Buffer {
    T *p;
    size_t n;

    explicit Buffer(size_t count) : p(NULL), n(count)
    {
        cudaMalloc(&p, n * sizeof(T));
    }
    explicit Buffer(const std::vector<T> &host) : Buffer(host.size())
    {
        cudaMemcpyAsync(p, host.data(), n * sizeof(T), cudaMemcpyHostToDevice, stream);
    }
    Buffer(const Buffer &) = delete;
    ~Buffer()
    {
        cudaFree(p);
    }
    std::vector<T> host() const
    {
        std::vector<T> h(n);
        cudaMemcpyAsync(h.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost, stream);
        return h;
    }
};

template <class... P, class... A>
static cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                          A... args)
{
    cudaLaunchConfig_t config = {};

    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, args...);
}

static std::vector<float> randoms(size_t n)
{
    std::vector<float> v(n);

    for (float &f : v)
        f = __half2float(__float2half_rn(tap_random(&state)));
    return v;
}

static std::vector<__half> halves(const std::vector<float> &v)
{
    std::vector<__half> h;

    for (float f : v)
        h.push_back(__float2half_rn(f));
    return h;
}

static bool near(const std::vector<float> &a, const std::vector<float> &b,
                 float tolerance)
{
    bool all = a.size() == b.size();

    for (size_t i = 0; all && i < a.size(); i++)
        all = fabsf(a[i] - b[i]) <= tolerance;
    return all;
}

/* ---- threads ---- */

static __global__ void number_threads(int *count, int *wrong)
{
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    unsigned thread =
        threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    unsigned n = block * (blockDim.x * blockDim.y * blockDim.z) + thread;

    count[n]++;
    atomicAdd(wrong, threadIdx.x >= blockDim.x || blockIdx.z >= gridDim.z);
}

static void test_numbering()
{
    Buffer<int> count(std::vector<int>(4 * 3 * 2 * 8 * 4 * 2)),
        wrong(std::vector<int>{0});

    launch(number_threads, dim3(4, 3, 2), dim3(8, 4, 2), 0, count.p, wrong.p);
    tap(count.host() == std::vector<int>(count.n, 1) && wrong.host()[0] == 0,
        "each thread of each block runs once, by numbers of its own");
}

/* Reverses each block's values twice, over two barriers. Every third thread of the
 * second half exits early. */
static __global__ void reverse_twice(int *values)
{
    int *shared = reinterpret_cast<int *>(nst_dynamic_shared);
    unsigned n = blockDim.x, i = threadIdx.x;

    values += blockIdx.x * n;
    shared[i] = values[i];
    __syncthreads();
    int other = shared[n - 1 - i];
    if (i >= n / 2 && i % 3 == 0)
        return;
    __syncthreads();
    shared[i] = other;
    __syncthreads();
    values[i] = shared[i];
}

static void test_barrier()
{
    std::vector<int> values, want;

    for (int i = 0; i < 400; i++) {
        values.push_back(i);
        want.push_back(
            i % 100 >= 50 && i % 100 % 3 == 0 ? i : i / 100 * 100 + 99 - i % 100);
    }
    Buffer<int> b(values);
    launch(reverse_twice, 4, 100, 400, b.p);
    tap(b.host() == want,
        "threads of a block meet at barriers, but for those that left");
}

/* Reads a neighbour's value twice without a barrier after the write. */
static __global__ void read_neighbour(int *values)
{
    int *shared = reinterpret_cast<int *>(nst_dynamic_shared);
    unsigned i = threadIdx.x;

    for (int round = 0; round < 2; round++, shared += blockDim.x) {
        shared[i] = 1;
        values[2 * blockIdx.x + round] &= shared[i > 0 ? i - 1 : 0] == 1;
        __syncthreads();
    }
}

static void test_race()
{
    Buffer<int> right(std::vector<int>{1, 1, 1, 1});

    launch(read_neighbour, 2, 64, 512, right.p);
    tap(right.host() == std::vector<int>({1, 0, 0, 1}),
        "threads take turns forward and backward, and uninitialised memory is junk");
}

static __global__ void shuffle_around(double *down, float *x, int *from,
                                      unsigned *votes)
{
    unsigned i = threadIdx.x;
    double sum = i;

    for (unsigned by = 16; by > 0; by /= 2)
        sum += __shfl_down_sync(0xffffffff, sum, by);
    down[i] = sum;
    x[i] = __shfl_xor_sync(0xffffffff, static_cast<float>(i), 5);
    from[i] = __shfl_sync(0xffffffff, static_cast<int>(i), 3, 8);
    if (i % 32 < 16)
        votes[i] = __ballot_sync(0x0000ffff, i % 2);
    else
        votes[i] = __ballot_sync(0xffff0000, i % 4 == 0);
}

static void test_shuffles()
{
    Buffer<double> down(64);
    Buffer<float> x(64);
    Buffer<int> from(64);
    Buffer<unsigned> votes(64);

    launch(shuffle_around, 1, 64, 0, down.p, x.p, from.p, votes.p);
    tap(down.host()[0] == 496 && down.host()[32] == 496 + 32 * 32,
        "__shfl_down_sync sums over each warp");
    bool right = true;
    for (size_t i = 0; i < 64; i++)
        right = right && x.host()[i] == static_cast<float>(i ^ 5) &&
                from.host()[i] == static_cast<int>(i / 8 * 8 + 3);
    tap(right, "__shfl_xor_sync and __shfl_sync read the lanes they name");
    tap(votes.host()[40] == 0xaaaa && votes.host()[60] == 0x11110000,
        "two halves of a warp vote for themselves");
}

/* ---- fatal errors, in a child process ---- */

/* The message of a child that runs this kernel; "" if the child does not abort. */
static std::string death_message(void (*kernel)(int *), unsigned block, size_t shared)
{
    int fd[2], status;
    std::string message;
    char c;

    fflush(stdout);
    if (pipe(fd) != 0)
        return "";
    pid_t child = fork();
    if (child == 0) {
        dup2(fd[1], 2);
        int *p;
        cudaMalloc(&p, 4096);
        launch(kernel, 2, block, shared, p);
        cudaStreamSynchronize(stream);
        _exit(0);
    }
    close(fd[1]);
    while (read(fd[0], &c, 1) == 1)
        message += c;
    close(fd[0]);
    waitpid(child, &status, 0);
    return status != 0 ? message : "";
}

static bool contains(const std::string &text, const char *part)
{
    return text.find(part) != std::string::npos;
}

static __global__ void half_at_barrier(int *p)
{
    if (threadIdx.x < 16)
        __syncthreads();
    else
        p[0] = __shfl_xor_sync(0xffffffff, 1, 1);
}

static __global__ void two_barriers(int *)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
}

static __global__ void half_of_warp(int *p)
{
    if (threadIdx.x % 2)
        p[0] = __shfl_xor_sync(0xffffffff, 1, 2);
}

static __global__ void beyond_mask(int *p)
{
    if (threadIdx.x < 16)
        p[0] = __shfl_xor_sync(0xffff, 1, 16);
}

static __global__ void writes_beyond(int *)
{
    if (threadIdx.x == 3)
        nst_dynamic_shared[64] = 1;
}

static __global__ void writes_before(int *)
{
    unsigned char *volatile first = nst_dynamic_shared;

    if (threadIdx.x == 3)
        first[-1] = 1;
}

static void test_deaths()
{
    std::string message = death_message(half_at_barrier, 64, 0);

    tap(contains(message, "half_at_barrier") && contains(message, "block (0,0,0)") &&
            contains(message, "threads 0 to 15: at __syncthreads()") &&
            contains(message, "threads 16 to 31: at __shfl_xor_sync, mask ffffffff"),
        "a barrier that some of a block never reach ends the program and says so");
    tap(contains(death_message(two_barriers, 64, 0),
                 "threads 32 to 63: at __syncthreads()"),
        "so do two barriers that two warps take for one");
    tap(contains(death_message(half_of_warp, 32, 0), "threads 30 to 30: exited"),
        "and lanes of a mask that never come");
    tap(contains(death_message(beyond_mask, 32, 0), "which the mask 0000ffff lacks"),
        "and a lane that is read but not in the mask");
    message =
        death_message(writes_beyond, 32, 64); /* AddressSanitizer reports it first */
    tap(contains(message, "byte 64 of the 64 of shared memory") ||
            contains(message, "use-after-poison"),
        "and a write beyond the shared memory asked for");
    message = death_message(writes_before, 32, 64);
    tap(contains(message, "byte -1 of the 64 of shared memory") ||
            contains(message, "use-after-poison"),
        "and one before it");
}

/* ---- addresses that a device rejects; p has 4096 bytes ---- */

static __global__ void copy_from_misaligned(int *p)
{
    ptx::cp_async16(nst_dynamic_shared, p + 1, true);
}

static __global__ void copy_to_misaligned(int *p)
{
    ptx::cp_async16(nst_dynamic_shared + 24 * threadIdx.x, p, true);
}

static __global__ void copy_beyond(int *p)
{
    ptx::cp_async16(nst_dynamic_shared + 16 * threadIdx.x, p, true);
}

static __global__ void copy_from_beyond(int *p)
{
    ptx::cp_async16(nst_dynamic_shared, p + 1020 + 4 * threadIdx.x, true);
}

static __global__ void copy_to_global(int *p)
{
    ptx::cp_async16(p, p, true);
}

static __global__ void misaligned_rows(int *)
{
    unsigned r[4];

    ptx::ldmatrix_x4(r, nst_dynamic_shared + 8 * threadIdx.x);
}

static __global__ void rows_beyond(int *)
{
    unsigned r[4];

    ptx::ldmatrix_x4_trans(r, nst_dynamic_shared + 16 * threadIdx.x);
}

/* XOR of an address, which should be of an offset: it assumes more alignment. */
static __global__ void rows_by_address(int *)
{
    unsigned r[4];
    uintptr_t row = reinterpret_cast<uintptr_t>(nst_dynamic_shared) + 16 * threadIdx.x;

    ptx::ldmatrix_x4(r, reinterpret_cast<const void *>(row ^ 16));
}

static __global__ void read_wide(int *p)
{
    *reinterpret_cast<int4 *>(p + 4) = *reinterpret_cast<const int4 *>(p + 1);
}

static void test_addresses()
{
    const char *sanitizers = getenv("SANITIZERS");
    std::string message;

    tap(contains(death_message(copy_from_misaligned, 32, 64),
                 "cp.async of 16 bytes at ") &&
            contains(death_message(copy_from_misaligned, 32, 64),
                     ": not a multiple of 16; block (0,0,0), thread (0,0,0)") &&
            contains(death_message(copy_to_misaligned, 4, 256),
                     ": not a multiple of 16; block (0,0,0), thread (1,0,0)"),
        "a copy that is not aligned on both sides ends the program and says where");
    tap(contains(
            death_message(copy_beyond, 5, 64),
            ": byte 64 of the 64 of shared memory; block (0,0,0), thread (4,0,0)") &&
            contains(death_message(copy_from_beyond, 2, 64),
                     ": not in the device's memory; block (0,0,0), thread (1,0,0)") &&
            contains(death_message(copy_to_global, 2, 64), ": not in shared memory"),
        "and a copy from or to where no memory is");
    tap(contains(death_message(misaligned_rows, 32, 512), "ldmatrix of 16 bytes at ") &&
            contains(death_message(misaligned_rows, 32, 512),
                     ": not a multiple of 16; block (0,0,0), thread (1,0,0)") &&
            contains(death_message(rows_beyond, 32, 256),
                     ": byte 256 of the 256 of shared memory; "
                     "block (0,0,0), thread (16,0,0)"),
        "and rows of matrices that are not aligned, or not there");
    message = death_message(rows_by_address, 32, 512);
    tap(contains(message, ": byte -16 of the 512 of shared memory; block (0,0,0)"),
        "and rows found as if shared memory began at a multiple of more than 16");
    if (sanitizers && strcmp(sanitizers, "yes") == 0)
        tap(contains(death_message(read_wide, 1, 0), "misaligned address"),
            "and 16 bytes read at once that are not aligned");
    else
        tap(1, "16 bytes read at once # SKIP UBSan sees whether they are aligned");
}

/* ---- cp.async, ldmatrix, mma ---- */

static __global__ void copy_late(const int4 *global, int *seen)
{
    int4 *shared = reinterpret_cast<int4 *>(nst_dynamic_shared);
    const int *values = reinterpret_cast<const int *>(nst_dynamic_shared);

    for (int i = 0; i < 3; i++) {
        shared[i] = make_int4(7, 7, 7, 7);
        ptx::cp_async16(shared + i, global + i, i != 1, true);
        ptx::cp_async16(shared + i, global, true, false); /* not enabled */
        ptx::cp_async_commit();
    }
    seen[0] = values[0];
    ptx::cp_async_wait<1>();
    seen[1] = values[3];
    seen[2] = values[4];
    seen[3] = values[8];
    ptx::cp_async_wait<0>();
    seen[4] = values[8];
}

static void test_cp_async()
{
    std::vector<int4> from = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
    Buffer<int4> global(from);
    Buffer<int> seen(5);

    launch(copy_late, 1, 1, 48, const_cast<const int4 *>(global.p), seen.p);
    tap(seen.host() == std::vector<int>({-1, 4, 0, -1, 9}),
        "an asynchronous copy is seen after the wait for its group, not before");
}

/* One mma of the given registers: a 32 x 4, b 32 x 2, d 32 x 4. */
static __global__ void one_mma(bool f16, const unsigned *a, const unsigned *b, float *d)
{
    unsigned i = threadIdx.x;

    if (f16)
        ptx::mma_f16(d + 4 * i, a + 4 * i, b + 2 * i);
    else
        ptx::mma_tf32(d + 4 * i, a + 4 * i, b + 2 * i);
}

static std::vector<float> mma(bool f16, const std::vector<unsigned> &a,
                              const std::vector<unsigned> &b, std::vector<float> d)
{
    Buffer<unsigned> on_a(a), on_b(b);
    Buffer<float> on_d(d);

    launch(one_mma, 1, 32, 0, f16, const_cast<const unsigned *>(on_a.p),
           const_cast<const unsigned *>(on_b.p), on_d.p);
    return on_d.host();
}

/* From the figures of the PTX ISA, by lane: the element (row, column) of A, B or C in
 * register i; of two halves in a register, the lower one. */
struct Element {
    int lane, i, row, col;
};

static const Element a_f16[] = {{0, 0, 0, 0},   {1, 0, 0, 2},   {4, 0, 1, 0},
                                {0, 1, 8, 0},   {31, 1, 15, 6}, {0, 2, 0, 8},
                                {31, 2, 7, 14}, {2, 3, 8, 12},  {31, 3, 15, 14}};
static const Element b_f16[] = {{0, 0, 0, 0}, {1, 0, 2, 0},  {4, 0, 0, 1},
                                {0, 1, 8, 0}, {3, 1, 14, 0}, {31, 1, 14, 7}};
static const Element a_tf32[] = {{0, 0, 0, 0},  {3, 0, 0, 3},   {4, 0, 1, 0},
                                 {0, 1, 8, 0},  {31, 1, 15, 3}, {0, 2, 0, 4},
                                 {31, 2, 7, 7}, {0, 3, 8, 4},   {31, 3, 15, 7}};
static const Element b_tf32[] = {
    {0, 0, 0, 0}, {3, 0, 3, 0}, {4, 0, 0, 1}, {0, 1, 4, 0}, {31, 1, 7, 7}};
static const Element c_f32[] = {{0, 0, 0, 0},  {0, 1, 0, 1},  {3, 1, 0, 7},
                                {4, 0, 1, 0},  {0, 2, 8, 0},  {31, 3, 15, 7},
                                {28, 0, 7, 0}, {31, 1, 7, 7}, {28, 3, 15, 1}};

/* Index of the only element of D that is not 0; -1: none, 1000: several. */
static int only_element(const std::vector<float> &d)
{
    int at = -1;

    for (int i = 0; i < 128; i++)
        if (d[static_cast<size_t>(i)] != 0)
            at = at < 0 ? i : 1000;
    return at;
}

/* Register of D for a row and column, if c_f32 has it; else -2. */
static int register_of(int row, int col)
{
    for (const Element &c : c_f32)
        if (c.row == row && c.col == col)
            return c.lane * 4 + c.i;
    return -2;
}

template <size_t A, size_t B>
static bool fragments_match(bool f16, const Element (&as)[A], const Element (&bs)[B])
{
    unsigned one = f16 ? 0x3c00 : 0x3f800000;
    int met = 0;

    for (const Element &a : as)
        for (const Element &b : bs) {
            std::vector<unsigned> ra(128), rb(64);
            ra[static_cast<size_t>(a.lane * 4 + a.i)] = one;
            rb[static_cast<size_t>(b.lane * 2 + b.i)] = one;
            int at = only_element(mma(f16, ra, rb, std::vector<float>(128)));
            if ((at >= 0) != (a.col == b.row))
                return false;
            int want = register_of(a.row, b.col);
            if (at >= 0 && want >= 0 && at != want)
                return false;
            met += at >= 0 && want >= 0;
        }
    return met > 3;
}

static void test_figures()
{
    tap(fragments_match(true, a_f16, b_f16),
        "fragments of mma.m16n8k16 lie as the figures of the PTX ISA show");
    tap(fragments_match(false, a_tf32, b_tf32),
        "fragments of mma.m16n8k8 lie as the figures of the PTX ISA show");
}

static void test_tf32()
{
    std::vector<unsigned> a(128), b(64);
    float x = 1 + 0x1p-11f, big = 3.4028234e38f;

    a[0] = __float_as_uint(1 + 0x1.ffp-11f); /* more than half of the last place */
    b[0] = 0x3f800000;
    tap(mma(false, a, b, std::vector<float>(128, 2))[0] == 3,
        "mma.m16n8k8 cuts off what tf32 cannot hold, and adds to what was there");
    tap(ptx::to_tf32(x) == __float_as_uint(1 + 0x1p-10f) &&
            ptx::to_tf32(-x) == __float_as_uint(-1 - 0x1p-10f) &&
            ptx::to_tf32(1 + 0x1.fep-12f) == 0x3f800000 &&
            ptx::to_tf32(big) == 0x7f800000 && ptx::to_tf32(INFINITY) == 0x7f800000,
        "to_tf32 rounds to nearest, ties away from zero");
}

static void test_pairs()
{
    /* (1, -1) and 0, (2, NaN) and 0, (1, -1) and (2, -2) */
    tap(ptx::max_f16x2(0xbc003c00, 0) == 0x00003c00 &&
            ptx::max_f16x2(0xfe014000, 0) == 0x7fff4000 &&
            ptx::max_f16x2(0xbc003c00, 0xc0004000) == 0xbc004000,
        "the larger of each of two halves, of which a NaN stays one");
    tap(ptx::pack_f16x2(1, -2) == 0xc0003c00 &&
            ptx::pack_f16x2(1e6f, -INFINITY) == 0xfbff7bff &&
            (ptx::pack_f16x2(NAN, 0) & 0x7fff) > 0x7c00,
        "two values as halves, which stay finite or no number");
}

/* C (16 x 8) = A B from shared memory: A (16 x 16) row-major and B column-major or,
 * Transposed, the reverse. Lanes pass the addresses of rows as usual kernels do. */
template <bool Transposed>
static __global__ void product(const __half *a, const __half *b, float *c)
{
    __shared__ __align__(16) __half sa[256], sb[128];
    unsigned lane = threadIdx.x, ra[4], rb[2];
    unsigned low = lane % 8, second = lane / 8 % 2, third = lane / 16;
    float d[4] = {0, 0, 0, 0};

    for (unsigned i = lane; i < 256; i += 32)
        sa[i] = a[i];
    for (unsigned i = lane; i < 128; i += 32)
        sb[i] = b[i];
    __syncwarp();
    if (Transposed) {
        ptx::ldmatrix_x4_trans(ra, &sa[(low + 8 * third) * 16 + 8 * second]);
        ptx::ldmatrix_x2_trans(rb, &sb[(low + 8 * second) * 8]);
    } else {
        ptx::ldmatrix_x4(ra, &sa[(low + 8 * second) * 16 + 8 * third]);
        ptx::ldmatrix_x2(rb, &sb[low * 16 + 8 * second]);
    }
    ptx::mma_f16(d, ra, rb);
    for (unsigned i = 0; i < 4; i++)
        c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
}

template <bool Transposed>
static bool products_agree(const std::vector<float> &a, const std::vector<float> &b)
{
    Buffer<__half> on_a(halves(a)), on_b(halves(b));
    Buffer<float> c(128);
    std::vector<float> want(128);

    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 8; j++)
            for (size_t k = 0; k < 16; k++)
                want[i * 8 + j] += a[Transposed ? k * 16 + i : i * 16 + k] *
                                   b[Transposed ? k * 8 + j : j * 16 + k];
    launch(product<Transposed>, 1, 32, 0, const_cast<const __half *>(on_a.p),
           const_cast<const __half *>(on_b.p), c.p);
    return near(c.host(), want, 1e-5f);
}

static void test_products()
{
    std::vector<float> identity(256), a = randoms(256), b = randoms(128);

    for (size_t i = 0; i < 16; i++)
        identity[17 * i] = 1;
    tap(products_agree<false>(identity, b) && products_agree<true>(identity, b),
        "the identity times B is B, through ldmatrix and mma");
    tap(products_agree<false>(a, b), "A B is what loops make of it");
    tap(products_agree<true>(a, b), "and where both are loaded transposed");
}

/* ---- streams and graphs ---- */

static __global__ void add_one(int *p)
{
    atomicAdd(p, 1);
}

static void test_queue()
{
    int *host, pageable = 5;
    Buffer<int> b(1);

    cudaMallocHost(&host, sizeof *host);
    *host = 1;
    cudaMemcpyAsync(b.p, host, 4, cudaMemcpyHostToDevice, stream);
    *host = 10;
    launch(add_one, 1, 1, 0, b.p);
    cudaMemcpyAsync(host, b.p, 4, cudaMemcpyDeviceToHost, stream);
    tap(*host == 10, "what a stream was told is not done before something waits");
    cudaStreamSynchronize(stream);
    tap(*host == 11, "then it is, and pinned memory is read as it is by then");
    cudaMemcpyAsync(b.p, &pageable, 4, cudaMemcpyHostToDevice, stream);
    pageable = 6;
    tap(b.host()[0] == 5, "pageable memory is read at the call");
    cudaFreeHost(host);
}

static void test_events()
{
    Buffer<int> b(std::vector<int>{0});
    cudaStream_t other;
    cudaEvent_t start, end;
    float ms = -1;

    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&start, cudaEventDefault);
    cudaEventCreateWithFlags(&end, cudaEventDefault);
    cudaEventRecord(start, stream);
    launch(add_one, 10, 10, 0, b.p);
    cudaEventRecord(end, stream);
    tap(cudaEventElapsedTime(&ms, start, end) == cudaErrorNotReady,
        "an event is not there before its stream has come to it");
    cudaStreamWaitEvent(other, end);
    cudaStreamSynchronize(other);
    int seen;
    cudaMemcpy(&seen, b.p, 4, cudaMemcpyDeviceToHost);
    tap(seen == 100 && cudaEventElapsedTime(&ms, start, end) == cudaSuccess && ms >= 0,
        "a stream waits for another's event");
    cudaEventDestroy(start);
    cudaEventDestroy(end);
    cudaStreamDestroy(other);
}

static void test_default_stream()
{
    Buffer<int> b(std::vector<int>{0});
    cudaStream_t own = stream, blocking;
    int seen[2];

    cudaStreamSynchronize(own);
    cudaStreamCreateWithFlags(&blocking, cudaStreamDefault);
    stream = blocking;
    launch(add_one, 1, 1, 0, b.p);
    cudaMemcpy(&seen[0], b.p, 4, cudaMemcpyDeviceToHost);
    stream = own;
    launch(add_one, 1, 1, 0, b.p);
    cudaMemcpy(&seen[1], b.p, 4, cudaMemcpyDeviceToHost);
    tap(seen[0] == 1 && seen[1] == 1,
        "cudaMemcpy waits for the streams that block, not for the others");
    stream = NULL;
    launch(add_one, 1, 1, 0, b.p);
    stream = blocking;
    tap(b.host()[0] == 2, "and streams that block for the default one");
    stream = own;
    cudaStreamDestroy(blocking);
}

static void test_graph()
{
    Buffer<int> b(std::vector<int>{0});
    cudaStream_t origin = stream, other;
    cudaEvent_t fork, join;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    long before = fake_cuda_launches();

    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&fork, cudaEventDisableTiming);
    cudaEventCreateWithFlags(&join, cudaEventDisableTiming);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
    launch(add_one, 1, 1, 0, b.p);
    cudaEventRecord(fork, stream);
    cudaStreamWaitEvent(other, fork);
    stream = other;
    launch(add_one, 1, 1, 0, b.p);
    stream = origin;
    cudaEventRecord(join, other);
    cudaStreamWaitEvent(stream, join);
    tap(cudaStreamEndCapture(stream, &graph) == cudaSuccess && b.host()[0] == 0,
        "two streams are captured, and nothing is done");
    cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    for (int i = 0; i < 3; i++)
        cudaGraphLaunch(exec, stream);
    cudaGraphExecDestroy(exec);
    tap(b.host()[0] == 6 && fake_cuda_launches() == before + 6,
        "a graph does it all each time it is launched");
    cudaEventDestroy(fork);
    cudaEventDestroy(join);
    cudaStreamDestroy(other);
}

/* True if the call fails during a capture, and the capture with it. */
template <class F> static bool refused(F forbidden_call)
{
    cudaGraph_t graph;

    cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
    cudaError_t error = forbidden_call();
    return error == cudaErrorStreamCaptureUnsupported &&
           cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated &&
           !graph && cudaGetLastError() == cudaErrorStreamCaptureInvalidated;
}

static void test_refusals()
{
    Buffer<int> b(1);
    int host = 0;

    tap(refused([] {
            void *p;
            return cudaMalloc(&p, 1);
        }) &&
            refused([&] {
                return cudaMemcpyAsync(b.p, &host, 4, cudaMemcpyHostToDevice, stream);
            }) &&
            refused([] { return cudaStreamSynchronize(stream); }) &&
            refused([] { return cudaDeviceSynchronize(); }) &&
            refused([&] { return cudaMemcpy(b.p, &host, 4, cudaMemcpyHostToDevice); }),
        "cudaMalloc, what waits, and pageable memory are refused in a capture");
}

/* ---- launches, memory, devices ---- */

static void test_launches()
{
    Buffer<int> b(std::vector<int>{0});

    tap(launch(add_one, 0, 1, 0, b.p) == cudaErrorInvalidConfiguration &&
            launch(add_one, dim3(1, 65536), 1, 0, b.p) ==
                cudaErrorInvalidConfiguration &&
            launch(add_one, 1, 1025, 0, b.p) == cudaErrorInvalidConfiguration &&
            launch(add_one, 1, dim3(64, 32), 0, b.p) == cudaErrorInvalidConfiguration,
        "grids and blocks that no device takes are refused");
    tap(launch(add_one, 1, 1, 49153, b.p) == cudaErrorInvalidValue &&
            cudaFuncSetAttribute(add_one, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 227 * 1024) == cudaSuccess &&
            launch(add_one, 1, 1, 227 * 1024, b.p) == cudaSuccess &&
            cudaFuncSetAttribute(add_one, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 228 * 1024) == cudaErrorInvalidValue,
        "more than 48 KiB of shared memory must be asked for, and 227 are the most");
    tap(b.host()[0] == 1 && cudaGetLastError() == cudaErrorInvalidValue &&
            cudaGetLastError() == cudaSuccess,
        "the last error is kept until it is asked for");
}

static void test_memory()
{
    size_t free = 0, total = 0;
    long mallocs = fake_cuda_mallocs();
    void *p, *q;

    setenv("NST_FAKE_CUDA_MEMORY", "10000", 1);
    tap(cudaMalloc(&p, 6000) == cudaSuccess &&
            cudaMalloc(&q, 4001) == cudaErrorMemoryAllocation &&
            cudaMemGetInfo(&free, &total) == cudaSuccess && free == 4000 &&
            total == 10000 && fake_cuda_mallocs() == mallocs + 2 &&
            fake_cuda_peak() >= 6000,
        "memory is as much as was set, and counted");
    float host[2];
    tap(cudaMemcpy(host, p, 8, cudaMemcpyDeviceToHost) == cudaSuccess &&
            isnan(host[0]) && isnan(host[1]),
        "and comes filled with what is no number");
    char *end = static_cast<char *>(p) + 5996;
    tap(cudaMemsetAsync(end, 0, 5, stream) == cudaErrorInvalidValue &&
            cudaMemcpy(host, end, 8, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue &&
            cudaMemcpy(host, end, 8, cudaMemcpyDefault) == cudaErrorInvalidValue &&
            cudaMemcpy(end, host, 4, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue,
        "copies beyond its end, or the wrong way, are errors");
    cudaFree(p);
    unsetenv("NST_FAKE_CUDA_MEMORY");
    cudaGetLastError();
}

static void test_devices()
{
    int count = -1, major = 0, version = -1;
    void *p;

    setenv("NST_FAKE_CUDA_CC", "75", 1);
    tap(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) ==
                cudaSuccess &&
            major == 7 && cudaSetDevice(1) == cudaErrorInvalidDevice,
        "the device is of the capability that was set, and the only one");
    setenv("NST_FAKE_CUDA_DEVICES", "0", 1);
    tap(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0 &&
            cudaMalloc(&p, 1) == cudaErrorNoDevice,
        "there may be none");
    setenv("NST_FAKE_CUDA_DRIVER", "none", 1);
    tap(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver &&
            cudaDriverGetVersion(&version) == cudaSuccess && version == 0,
        "and no driver");
    unsetenv("NST_FAKE_CUDA_CC");
    unsetenv("NST_FAKE_CUDA_DEVICES");
    unsetenv("NST_FAKE_CUDA_DRIVER");
    cudaGetLastError();
}

/* ---- cuBLAS ---- */

/* Element (i, j) of op(X), for columns ld apart. */
static float at(const std::vector<float> &x, bool transposed, int ld, int i, int j)
{
    return x[static_cast<size_t>(transposed ? i * ld + j : j * ld + i)];
}

/* 2 products of 5 x 6 and 6 x 7, with gaps between columns and matrices. C starts as
 * NaN if beta is 0. */
static bool gemm_agrees(bool ta, bool tb, cudaDataType type, float alpha, float beta)
{
    const int m = 5, n = 7, k = 6, ld = 9, stride = 80;
    std::vector<float> a = randoms(160), b = randoms(160), c = randoms(160), want;
    Buffer<float> fa(a), fb(b);
    Buffer<__half> ha(halves(a)), hb(halves(b));
    cublasHandle_t handle = NULL;
    bool half_type = type == CUDA_R_16F;

    if (beta == 0)
        c.assign(160, NAN);
    Buffer<float> on_c(c);
    cublasCreate(&handle);
    cublasSetStream(handle, stream);
    cublasStatus_t status = cublasGemmStridedBatchedEx(
        handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k,
        &alpha, half_type ? static_cast<void *>(ha.p) : fa.p, type, ld, stride,
        half_type ? static_cast<void *>(hb.p) : fb.p, type, ld, stride, &beta, on_c.p,
        CUDA_R_32F, ld, stride, 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    cublasDestroy(handle);
    std::vector<float> got = on_c.host();
    bool agrees = status == CUBLAS_STATUS_SUCCESS;
    for (int x = 0; x < 2; x++)
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                std::vector<float> xa(a.begin() + x * stride, a.end());
                std::vector<float> xb(b.begin() + x * stride, b.end());
                size_t to = static_cast<size_t>(x * stride + j * ld + i);
                float sum = 0;
                for (int l = 0; l < k; l++)
                    sum += at(xa, ta, ld, i, l) * at(xb, tb, ld, l, j);
                float f = alpha * sum + (beta == 0 ? 0 : beta * c[to]);
                agrees = agrees && fabsf(got[to] - f) < 1e-5f;
                c[to] = got[to]; /* the rest must be unchanged */
            }
    return agrees && memcmp(c.data(), got.data(), 160 * sizeof(float)) == 0;
}

static void test_gemm()
{
    for (int halves_in = 0; halves_in < 2; halves_in++) {
        bool all = true;
        for (int t = 0; t < 4; t++)
            for (float beta : {0.0f, 0.5f})
                all = all && gemm_agrees(t & 1, t & 2,
                                         halves_in ? CUDA_R_16F : CUDA_R_32F, 2, beta);
        tap(all, "products of %s are what loops make, however transposed",
            halves_in ? "halves" : "floats");
    }
}

static float gemm_1x1(cublasComputeType_t compute, float x)
{
    Buffer<float> a(std::vector<float>{x}), c(1);
    cublasHandle_t handle = NULL;
    float one = 1, zero = 0;

    cublasCreate(&handle);
    cublasSetStream(handle, stream);
    cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.p, CUDA_R_32F, 1,
                 Buffer<float>(std::vector<float>{1}).p, CUDA_R_32F, 1, &zero, c.p,
                 CUDA_R_32F, 1, compute, CUBLAS_GEMM_DEFAULT);
    cublasDestroy(handle);
    return c.host()[0];
}

static void test_gemm_tf32()
{
    tap(gemm_1x1(CUBLAS_COMPUTE_32F_PEDANTIC, 1 + 0x1p-23f) == 1 + 0x1p-23f &&
            gemm_1x1(CUBLAS_COMPUTE_32F_FAST_TF32, 1 + 0x1p-11f) == 1 &&
            gemm_1x1(CUBLAS_COMPUTE_32F_FAST_TF32, 1 + 0x1.8p-10f) == 1 + 0x1p-9f,
        "in TF32 factors are rounded, ties to even; else not");
}

/* ---- halves ---- */

/* The value of a half, by definition. */
static double value_of(unsigned bits)
{
    int exponent = static_cast<int>(bits >> 10 & 31), fraction = bits & 1023;
    double size = exponent == 31  ? (fraction ? NAN : INFINITY)
                  : exponent == 0 ? ldexp(fraction, -24)
                                  : ldexp(1024 + fraction, exponent - 25);

    return bits & 0x8000 ? -size : size;
}

static unsigned rounded(double d)
{
    return __half_as_ushort(__float2half_rn(static_cast<float>(d)));
}

static void test_halves()
{
    bool same = true, ties = true;

    for (unsigned h = 0; h < 0x10000; h++) {
        double d = value_of(h);
        float f = __half2float(__ushort_as_half(static_cast<unsigned short>(h)));
        same = same && (isnan(d) ? isnan(f) && rounded(d) == 0x7fff
                                 : static_cast<double>(f) == d && rounded(d) == h &&
                                       signbit(f) == signbit(d));
    }
    tap(same, "each half becomes a float and the same half again");
    for (unsigned h = 0; h < 0x7c00; h++) { /* after the last: 65536, no half */
        double low = value_of(h), high = h == 0x7bff ? 65536 : value_of(h + 1);
        float middle = static_cast<float>((low + high) / 2);
        unsigned even = h % 2 ? h + 1 : h;
        ties = ties && rounded(middle) == even && rounded(-middle) == (even | 0x8000) &&
               rounded(nextafterf(middle, 0)) == h &&
               rounded(nextafterf(middle, INFINITY)) == h + 1;
    }
    tap(ties && rounded(70000) == 0x7c00 && rounded(1e-30) == 0,
        "floats between two halves become the nearer one, ties the even one");
}

int main()
{
    unsetenv("NST_FAKE_CUDA_DRIVER");
    state = tap_seed() | 1;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    test_numbering();
    test_barrier();
    test_race();
    test_shuffles();
    test_deaths();
    test_addresses();
    test_cp_async();
    test_figures();
    test_tf32();
    test_pairs();
    test_products();
    test_queue();
    test_events();
    test_default_stream();
    test_graph();
    test_refusals();
    test_launches();
    test_memory();
    test_devices();
    test_gemm();
    test_gemm_tf32();
    test_halves();
    cudaStreamDestroy(stream);
    return tap_end();
}
