/* SPDX-License-Identifier: MIT */
/*
 * ptx.cuh - the instructions of compute capability 8.0 that C++ has no word for: copies
 * past the registers, and products on the tensor cores. PTX ISA, "cp.async", "ldmatrix"
 * and "mma"; the tests have an emulation of the same name, so nothing else may be here.
 * Below 8.0 nobody calls them.
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

/* From 9.0 on, for kernels of cuda_launch_pdl(), before they read anything but weights:
 * what was launched before this one is done. (Not to bring in the next one meanwhile:
 * its blocks would wait where what goes aside could work.) */
static __device__ __forceinline__ void griddep_wait()
{
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* The same, but the next kernel is brought in when what was launched before this one is
 * done: it may read that before it begins itself. */
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

/* 16 bytes, aligned so, from global to shared memory; zeros if not valid. Nothing at
 * all if not wanted, and no branch. */
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

/* The copies since the last commit are a group. */
static __device__ __forceinline__ void cp_async_commit()
{
    NST_PTX("cp.async.commit_group;" ::: "memory");
}

/* All groups but the N latest have arrived, as this thread sees it. */
template <int N> static __device__ __forceinline__ void cp_async_wait()
{
    NST_PTX("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* What is there will be read soon: 128 bytes into the second cache. */
static __device__ __forceinline__ void prefetch([[maybe_unused]] const void *global)
{
    NST_PTX("prefetch.global.L2 [%0];" ::"l"(global));
}

/* Four matrices of 8 rows of 16 bytes; lane l gives the address of row l % 8 of matrix
 * l / 8, and gets bytes 4 (l % 4) on of row l / 4 of each. */
static __device__ __forceinline__ void ldmatrix_x4(unsigned r[4], const void *row)
{
    [[maybe_unused]] unsigned from = shared_address(row);

    NST_PTX("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
            : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
            : "r"(from)
            : "memory");
}

/* The same, but lane l gets bytes 2 (l / 4) on of rows 2 (l % 4) and the next of each:
 * matrices of 16 bits turned over. */
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

/* The larger of each of two halves; a NaN stays one. */
static __device__ __forceinline__ unsigned max_f16x2(unsigned a, unsigned b)
{
    unsigned r = a;

    NST_PTX("max.NaN.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

/* Two values as halves, the first in the lower bits; too large a one becomes the
 * largest, a NaN stays one. */
static __device__ __forceinline__ unsigned pack_f16x2(float low, float high)
{
    unsigned r = 0;

    NST_PTX("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

/* The nearest TF32 value: 10 bits of mantissa. */
static __device__ __forceinline__ unsigned to_tf32(float v)
{
    unsigned r = __float_as_uint(v);

    NST_PTX("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
    return r;
}

} // namespace ptx

#endif
