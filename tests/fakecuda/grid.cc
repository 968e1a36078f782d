/* SPDX-License-Identifier: MIT */
/*
 * grid.cc - kernels of the fake CUDA device. The threads of a block are fibers. Each
 * runs until a barrier, a warp operation that other lanes have not reached, or its end.
 */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#ifndef __x86_64__
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#define FAKE_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAKE_ASAN
#endif
#endif
#ifdef FAKE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

using fake::current_launch, fake::print_launch, fake::warp_size;

#define STACK (256 << 10)

/*
 * Dynamic shared memory (extern __shared__), with a guard on either side that must stay
 * junk. It is aligned to 16 bytes and, deliberately, to no more, so that code that
 * assumes more fails. C++ cannot express that.
 */
__asm__(".pushsection .tbss, \"awT\", %nobits\n"
        ".balign 512\n"
        ".globl fake_guard, nst_dynamic_shared\n"
        ".hidden fake_guard, nst_dynamic_shared\n"
        ".type fake_guard, %object\n"
        ".type nst_dynamic_shared, %object\n"
        "fake_guard: .zero 272\n"
        "nst_dynamic_shared: .zero 227 * 1024 + 272\n"
        ".size fake_guard, 272\n"
        ".size nst_dynamic_shared, 227 * 1024 + 272\n"
        ".popsection\n");
static_assert(fake::max_shared == 227 * 1024 && fake::guard == 272);
extern __thread unsigned char fake_guard[];

/* Not inlined: linkers replace the addition that computes the address by one that sets
 * no flags, on which UBSan's checks for NULL rely. */
__attribute__((noinline)) unsigned char *fake::shared_memory()
{
    return fake_guard + fake::guard;
}

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace
{
/* A stack and its saved state. */
struct Fiber {
#ifdef __x86_64__
    void *sp;
#else
    ucontext_t context;
#endif
    void *asan; /* the sanitizer's fake stack */
    const void *bottom;
    size_t size;
};

struct Copy {
    void *shared;
    const void *global; /* or NULL: zeros */
};

struct Thread {
    uint3 index;
    Fiber *fiber; /* from its first step to its end, else NULL */
    bool exited;
    int line; /* of the barrier where it waits */
    const char *operation;
    unsigned mask;
    fake::Combine combine;
    void *mine;
    std::vector<Copy> copies;
    std::vector<size_t> groups; /* copies in each group */
    size_t open;                /* copies not committed yet */
};

/* Lanes by state. A lane in no set has exited or is running. */
struct Warp {
    unsigned ready, waiting, at_barrier;
};
} // namespace

const fake::Launch *fake::current_launch;
static Thread threads[fake::max_threads];
static Warp warps[fake::max_threads / warp_size];
static int self; /* index of the running thread */
static Fiber caller, fibers[fake::max_threads];
static std::vector<Fiber *> free_fibers;
static long kernels;

long fake::kernel_count()
{
    return kernels;
}

/* ---- fibers ---- */

static void thread_main();

#ifdef __x86_64__
/* Push the callee-saved registers, switch stacks, pop. */
extern "C" void fake_switch(void **from, void *to);
__asm__(".text\n"
        ".globl fake_switch\n"
        ".hidden fake_switch\n"
        ".type fake_switch, @function\n"
        "fake_switch:\n"
        "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, (%rdi)\n"
        "mov %rsi, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
        "ret\n"
        ".size fake_switch, . - fake_switch\n");

/* Prepare the stack as fake_switch() leaves it: six registers and a return address. The
 * tops are staggered, so that stacks do not share a few cache lines. */
static void init_fiber(Fiber &f, size_t number)
{
    uintptr_t top =
        reinterpret_cast<uintptr_t>(f.bottom) + STACK - 64 - number % 61 * 64;
    void **sp = reinterpret_cast<void **>(top) - 2;

    *sp = reinterpret_cast<void *>(thread_main);
    f.sp = sp - 6;
}

static void swap_context(Fiber &from, Fiber &to)
{
    fake_switch(&from.sp, to.sp);
}
#else
static void init_fiber(Fiber &f, size_t)
{
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = const_cast<void *>(f.bottom);
    f.context.uc_stack.ss_size = STACK;
    makecontext(&f.context, thread_main, 0);
}

static void swap_context(Fiber &from, Fiber &to)
{
    swapcontext(&from.context, &to.context);
}
#endif

/* The lowest page is protected, so that a stack overflow is noticed. */
static Fiber *new_fiber()
{
    static size_t made;
    void *p = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    Fiber *f = &fibers[made];

    if (p == MAP_FAILED || mprotect(p, 4096, PROT_NONE) != 0)
        fake::fail("no memory for the stack of a thread");
    f->bottom = p;
    f->size = STACK;
    init_fiber(*f, made++);
    return f;
}

static void switch_to(Fiber &from, Fiber &to)
{
#ifdef FAKE_ASAN
    __sanitizer_start_switch_fiber(&from.asan, to.bottom, to.size);
#endif
    swap_context(from, to);
#ifdef FAKE_ASAN
    __sanitizer_finish_switch_fiber(from.asan, NULL, NULL);
#endif
}

/* Body of a fiber: one thread of a kernel after another. */
static void thread_main()
{
#ifdef FAKE_ASAN
    __sanitizer_finish_switch_fiber(NULL, &caller.bottom, &caller.size);
#endif
    for (;;) {
        current_launch->body();
        threads[self].exited = true;
        switch_to(*threads[self].fiber, caller);
    }
}

static void resume(int number)
{
    Thread &t = threads[number];

    if (!t.fiber) {
        t.fiber = free_fibers.empty() ? new_fiber() : free_fibers.back();
        if (!free_fibers.empty())
            free_fibers.pop_back();
    }
    self = number;
    threadIdx = t.index;
    switch_to(caller, *t.fiber);
    if (t.exited) {
        free_fibers.push_back(t.fiber);
        t.fiber = NULL;
    }
}

static void suspend()
{
    switch_to(*threads[self].fiber, caller);
}

/* ---- barriers and warps ---- */

int fake::lane()
{
    return self % warp_size;
}

void fake::barrier(int line)
{
    threads[self].line = line;
    warps[self / warp_size].at_barrier |= 1u << self % warp_size;
    suspend();
}

/* True if all lanes of the mask wait for the same operation. */
static bool all_lanes_arrived(const Warp &w, const Thread *lanes, const Thread &t)
{
    if ((w.waiting & t.mask) != t.mask)
        return false;
    for (int i = 0; i < warp_size; i++)
        if ((t.mask >> i & 1) &&
            (lanes[i].mask != t.mask || lanes[i].combine != t.combine))
            return false;
    return true;
}

void fake::collective(const char *name, unsigned mask, Combine combine, void *mine)
{
    Thread &t = threads[self], *lanes = &threads[self - self % warp_size];
    Warp &w = warps[self / warp_size];
    unsigned me = 1u << self % warp_size;
    void *brought[warp_size];

    if (!(mask & me))
        fail("%s by lane %d, which its mask %08x lacks", name, lane(), mask);
    t.operation = name;
    t.mask = mask;
    t.combine = combine;
    t.mine = mine;
    w.waiting |= me;
    if (!all_lanes_arrived(w, lanes, t)) {
        suspend();
        return;
    }
    for (int i = 0; i < warp_size; i++)
        brought[i] = mask >> i & 1 ? lanes[i].mine : NULL;
    combine(brought, mask);
    w.waiting &= ~mask;
    w.ready |= mask & ~me;
}

/* ---- cp.async ---- */

void fake::cp_async16(void *shared, const void *global, bool valid)
{
    Thread &t = threads[self];

    check_shared("cp.async", shared, 16);
    if (valid)
        check_global("cp.async", global, 16);
    memset(shared, fake::junk, 16);
    t.copies.push_back({shared, valid ? global : NULL});
    t.open++;
}

void fake::cp_async_commit()
{
    threads[self].groups.push_back(threads[self].open);
    threads[self].open = 0;
}

void fake::cp_async_wait(size_t pending)
{
    Thread &t = threads[self];
    size_t groups = t.groups.size() > pending ? t.groups.size() - pending : 0;
    size_t copies = 0;

    for (size_t i = 0; i < groups; i++)
        copies += t.groups[i];
    for (size_t i = 0; i < copies; i++) {
        if (t.copies[i].global)
            memcpy(t.copies[i].shared, t.copies[i].global, 16);
        else
            memset(t.copies[i].shared, 0, 16);
    }
    t.copies.erase(t.copies.begin(), t.copies.begin() + static_cast<long>(copies));
    t.groups.erase(t.groups.begin(), t.groups.begin() + static_cast<long>(groups));
}

/* ---- blocks ---- */

static std::string thread_state(int thread)
{
    const Warp &w = warps[thread / warp_size];
    const Thread &t = threads[thread];
    char text[100];

    if (w.at_barrier >> thread % warp_size & 1)
        snprintf(text, sizeof text, "at __syncthreads() of line %d", t.line);
    else if (w.waiting >> thread % warp_size & 1)
        snprintf(text, sizeof text, "at %s, mask %08x", t.operation, t.mask);
    else
        return "exited";
    return text;
}

/* No thread of the block can go on: report where each of them waits. */
[[noreturn]] static void deadlock(int count)
{
    print_launch();
    for (int i = 0, first = 0; i < count; i++) {
        if (i + 1 < count && thread_state(i + 1) == thread_state(first))
            continue;
        fprintf(stderr, "  threads %d to %d: %s\n", first, i,
                thread_state(first).c_str());
        first = i + 1;
    }
    current_launch = NULL;
    fake::fail("some threads wait for others that never come");
}

/* Run a warp until each of its lanes waits or has exited. */
static void run_warp(int number, bool backward)
{
    Warp &w = warps[number];

    while (w.ready) {
        int i = backward ? 31 - __builtin_clz(w.ready) : __builtin_ctz(w.ready);
        w.ready &= ~(1u << i);
        resume(number * warp_size + i);
    }
}

/* Release the barrier where all live threads wait; false: all threads have exited. */
static bool release_barrier(int count)
{
    int line = 0;
    bool any = false;

    for (int i = 0; i < count; i++) {
        if (threads[i].exited)
            continue;
        if (!(warps[i / warp_size].at_barrier >> i % warp_size & 1) ||
            (any && threads[i].line != line))
            deadlock(count);
        line = threads[i].line;
        any = true;
    }
    for (int i = 0; i < (count + warp_size - 1) / warp_size; i++) {
        warps[i].ready = warps[i].at_barrier;
        warps[i].at_barrier = 0;
    }
    return any;
}

static void begin_block(const fake::Launch &l, int count)
{
    dim3 b = l.block;
    unsigned char *shared = fake::shared_memory();

    for (int i = 0; i < count; i++) {
        unsigned n = static_cast<unsigned>(i);
        Thread &t = threads[i];
        t.index = {n % b.x, n / b.x % b.y, n / b.x / b.y};
        t.exited = false;
        t.open = 0;
        t.copies.clear();
        t.groups.clear();
        warps[i / warp_size].ready |= 1u << i % warp_size;
    }
    memset(shared - fake::guard, fake::junk, l.shared + 2 * fake::guard);
#ifdef FAKE_ASAN
    ASAN_POISON_MEMORY_REGION(shared - fake::guard, fake::guard);
    ASAN_POISON_MEMORY_REGION(shared + l.shared,
                              fake::max_shared + fake::guard - l.shared);
#endif
}

static void end_block(const fake::Launch &l)
{
    const unsigned char *shared = fake::shared_memory(), *before = shared - fake::guard;

#ifdef FAKE_ASAN
    ASAN_UNPOISON_MEMORY_REGION(before, fake::max_shared + 2 * fake::guard);
#endif
    for (size_t i = 0; i < fake::guard; i++) {
        if (before[i] != fake::junk)
            fake::fail("byte -%zu of the %zu of shared memory was written",
                       fake::guard - i, l.shared);
        if (shared[l.shared + i] != fake::junk)
            fake::fail("byte %zu of the %zu of shared memory was written", l.shared + i,
                       l.shared);
    }
}

/* Warps and lanes run forward and backward in turn, from one barrier to the next: a
 * missing barrier then gives wrong results in one of the two orders. */
static void run_block(const fake::Launch &l)
{
    int count = static_cast<int>(l.block.x * l.block.y * l.block.z);
    int n = (count + warp_size - 1) / warp_size;
    bool backward = blockIdx.x & 1;

    begin_block(l, count);
    do {
        for (int i = 0; i < n; i++)
            run_warp(backward ? n - 1 - i : i, backward);
        backward = !backward;
    } while (release_barrier(count));
    end_block(l);
}

void fake::run_kernel(const Launch &l)
{
    current_launch = &l;
    blockDim = l.block;
    gridDim = l.grid;
    for (blockIdx.z = 0; blockIdx.z < l.grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < l.grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < l.grid.x; blockIdx.x++)
                run_block(l);
    current_launch = NULL;
    kernels++;
}
