/* SPDX-License-Identifier: MIT */
/*
 * ptx.cuh - instructions of compute capability 8.0 without a C++ equivalent:
 * asynchronous copies and tensor-core products (PTX ISA, "cp.async", "ldmatrix",
 * "mma"). Below 8.0 they are never used, and trap. The tests replace this file by an
 * emulation, so nothing else may be here.
 */
#ifndef NST_BACKEND_CUDA_PTX_CUH
#define NST_BACKEND_CUDA_PTX_CUH

#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 800
#define NST_PTX(...) asm volatile(__VA_ARGS__)
#else
#define NST_PTX(...) __trap()
#endif

namespace ptx
{

/* From 9.0 on: wait until the kernel launched before this one is done. Kernels of
 * cuda_launch_pdl() call this before they read anything but weights. (The next kernel
 * cannot start early: its blocks would wait where side-stream work could run.) */
static __device__ __forceinline__ void griddep_wait()
{
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* The same, but afterwards the next kernel may start. Before its own wait that one may
 * read what was complete before this kernel. */
static __device__ __forceinline__ void griddep_wait_and_launch()
{
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;\n"
                 "griddepcontrol.launch_dependents;" ::
                     : "memory");
#endif
}

static __device__ __forceinline__ unsigned shared_address(const void *shared)
{
    return (unsigned)__cvta_generic_to_shared(shared);
}

/* Copy 16 bytes, aligned to 16, from global to shared memory; zeros if not valid. If
 * not enabled, nothing happens (a predicate, no branch). */
static __device__ __forceinline__ void cp_async16(void *shared, const void *global,
                                                  bool valid, bool enabled = true)
{
    [[maybe_unused]] int bytes = valid ? 16 : 0;
    [[maybe_unused]] unsigned to = shared_address(shared);

    NST_PTX("{ .reg .pred p;\n"
            "setp.ne.s32 p, %3, 0;\n"
            "@p cp.async.cg.shared.global [%0], [%1], 16, %2; }" ::"r"(to),
            "l"(global), "r"(bytes), "r"((int)enabled)
            : "memory");
}

/* The copies since the last commit form a group. */
static __device__ __forceinline__ void cp_async_commit()
{
    NST_PTX("cp.async.commit_group;" ::: "memory");
}

/* Wait for all groups of this thread but the N latest. */
template <int N> static __device__ __forceinline__ void cp_async_wait()
{
    NST_PTX("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* Prefetch 128 bytes into the L2 cache. */
static __device__ __forceinline__ void prefetch([[maybe_unused]] const void *global)
{
    NST_PTX("prefetch.global.L2 [%0];" ::"l"(global));
}

/* Load four matrices of 8 rows of 16 bytes. Lane l passes the address of row l % 8 of
 * matrix l / 8, and gets four bytes of row l / 4 of each, from 4 (l % 4) on. */
static __device__ __forceinline__ void ldmatrix_x4(unsigned r[4], const void *row)
{
    [[maybe_unused]] unsigned from = shared_address(row);

    NST_PTX("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
            : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
            : "r"(from)
            : "memory");
}

/* The same, transposed as matrices of 16-bit elements: lane l gets element l / 4 of
 * rows 2 (l % 4) and 2 (l % 4) + 1 of each. */
static __device__ __forceinline__ void ldmatrix_x4_trans(unsigned r[4], const void *row)
{
    [[maybe_unused]] unsigned from = shared_address(row);

    NST_PTX("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
            : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
            : "r"(from)
            : "memory");
}

/* d (16 x 8) += a (16 x 16, fp16) b (16 x 8, fp16) */
static __device__ __forceinline__ void mma_f16(float d[4], const unsigned a[4],
                                               const unsigned b[2])
{
    NST_PTX("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
            "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* d (16 x 8) += a (16 x 8, TF32) b (8 x 8, TF32) */
static __device__ __forceinline__ void mma_tf32(float d[4], const unsigned a[4],
                                                const unsigned b[2])
{
    NST_PTX("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
            "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* The larger of each of two halves; NaN propagates. */
static __device__ __forceinline__ unsigned max_f16x2(unsigned a, unsigned b)
{
    unsigned r = a;

    NST_PTX("max.NaN.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

/* Convert to halves, the first in the lower bits. They saturate; a NaN stays a NaN. */
static __device__ __forceinline__ unsigned pack_f16x2(float low, float high)
{
    unsigned r = 0;

    NST_PTX("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

/* Round to the nearest TF32 value: 10 bits of mantissa. */
static __device__ __forceinline__ unsigned to_tf32(float v)
{
    unsigned r = __float_as_uint(v);

    NST_PTX("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
    return r;
}

} // namespace ptx

#endif
