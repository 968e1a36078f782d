/* SPDX-License-Identifier: MIT */
/*
 * ptx.cuh - the instructions of src/backend/cuda/ptx.cuh on the fake CUDA device. The
 * layouts of fragments are those of the PTX ISA, whose formulas are quoted, with
 *
 *   groupID = %laneid >> 2, threadID_in_group = %laneid % 4
 *
 * called g and t below.
 */
#ifndef NST_TESTS_PTX_CUH
#define NST_TESTS_PTX_CUH

#include "cuda_fp16.h"
#include "cuda_runtime.h"

namespace ptx
{

/* Nothing to wait for: kernels run one after another. */
static inline void griddep_wait()
{
}

static inline void griddep_wait_and_launch()
{
}

static inline void prefetch(const void *)
{
}

/* ---- cp.async: per thread, in groups ---- */

/* A copy takes effect at the wait that covers its group. Until then its destination
 * holds junk. */
static inline void cp_async16(void *shared, const void *global, bool valid,
                              bool enabled = true)
{
    if (enabled)
        fake::cp_async16(shared, global, valid);
}

static inline void cp_async_commit()
{
    fake::cp_async_commit();
}

/* Completes all groups but the last N. */
template <int N> void cp_async_wait()
{
    fake::cp_async_wait(N);
}

/* ---- ldmatrix: 8 x 8 matrices of 16 bits ---- */

struct Rows {
    const void *row; /* lane 8 i + j passes row j of matrix i */
    unsigned *r;
};

template <int Matrices, bool Transposed>
void ldmatrix_combine(void *const lanes[32], unsigned)
{
    for (int i = 0; i < Matrices; i++) {
        unsigned short matrix[8][8];
        for (int row = 0; row < 8; row++)
            memcpy(matrix[row], static_cast<Rows *>(lanes[8 * i + row])->row, 16);
        /* A lane gets row g, columns 2 t and 2 t + 1 (the upper half). With .trans it
         * gets column g of these rows. */
        for (int lane = 0; lane < 32; lane++) {
            int g = lane >> 2, t = lane % 4;
            unsigned low = Transposed ? matrix[2 * t][g] : matrix[g][2 * t];
            unsigned high = Transposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
            static_cast<Rows *>(lanes[lane])->r[i] = low | high << 16;
        }
    }
}

template <int Matrices, bool Transposed> void ldmatrix(unsigned *r, const void *row)
{
    Rows mine = {row, r};

    if (fake::lane() < 8 * Matrices)
        fake::check_shared("ldmatrix", row, 16);
    fake::collective("ldmatrix", 0xffffffff, ldmatrix_combine<Matrices, Transposed>,
                     &mine);
}

static inline void ldmatrix_x4(unsigned r[4], const void *row)
{
    ldmatrix<4, false>(r, row);
}

static inline void ldmatrix_x4_trans(unsigned r[4], const void *row)
{
    ldmatrix<4, true>(r, row);
}

static inline void ldmatrix_x2(unsigned r[2], const void *row)
{
    ldmatrix<2, false>(r, row);
}

static inline void ldmatrix_x2_trans(unsigned r[2], const void *row)
{
    ldmatrix<2, true>(r, row);
}

/* ---- mma: D (16 x 8) += A (16 x K) B (K x 8) ---- */

struct Fragments {
    float *d;
    const unsigned *a, *b;
};

/*
 * The accumulators, of both shapes c0..c3:
 *   row = groupID for ci where i < 2, groupID + 8 for i >= 2
 *   col = (threadID_in_group * 2) + (i & 0x1)
 */
template <int K>
void multiply(const float a[16][K], const float b[K][8], void *const lanes[32])
{
    float d[16][8];

    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++)
            d[(lane >> 2) + (i < 2 ? 0 : 8)][lane % 4 * 2 + (i & 1)] =
                static_cast<Fragments *>(lanes[lane])->d[i];
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < K; k++)
            for (int col = 0; col < 8; col++)
                d[row][col] += a[row][k] * b[k][col];
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++)
            static_cast<Fragments *>(lanes[lane])->d[i] =
                d[(lane >> 2) + (i < 2 ? 0 : 8)][lane % 4 * 2 + (i & 1)];
}

/* Element i of a fragment of halves: two to a register, the first in its lower half. */
static inline float half_of(const unsigned *registers, int i)
{
    return __half2float(__ushort_as_half(
        static_cast<unsigned short>(registers[i / 2] >> (i % 2 * 16))));
}

/*
 * m16n8k16, A a0..a7:
 *   row = groupID for ai where 0 <= i < 2 || 4 <= i < 6, groupID + 8 otherwise
 *   col = (threadID_in_group * 2) + (i & 0x1) for ai where i < 4, + 8 where i >= 4
 * B b0..b3:
 *   row = (threadID_in_group * 2) + (i & 0x1) for bi where i < 2, + 8 where i >= 2
 *   col = groupID
 */
static inline void mma_f16_combine(void *const lanes[32], unsigned)
{
    float a[16][16], b[16][8];

    for (int lane = 0; lane < 32; lane++) {
        const Fragments *f = static_cast<Fragments *>(lanes[lane]);
        int g = lane >> 2, t = lane % 4;
        for (int i = 0; i < 8; i++)
            a[g + (i < 2 || (4 <= i && i < 6) ? 0 : 8)]
             [t * 2 + (i & 1) + (i < 4 ? 0 : 8)] = half_of(f->a, i);
        for (int i = 0; i < 4; i++)
            b[t * 2 + (i & 1) + (i < 2 ? 0 : 8)][g] = half_of(f->b, i);
    }
    multiply<16>(a, b, lanes);
}

/* mma reads only sign, exponent and the upper 10 bits of fraction. */
static inline float tf32_of(unsigned bits)
{
    return __uint_as_float(bits & ~0x1fffu);
}

/*
 * m16n8k8, A a0..a3:
 *   row = groupID for a0 and a2, groupID + 8 for a1 and a3
 *   col = threadID_in_group for a0 and a1, threadID_in_group + 4 for a2 and a3
 * B b0, b1:
 *   row = threadID_in_group for b0, threadID_in_group + 4 for b1
 *   col = groupID
 */
static inline void mma_tf32_combine(void *const lanes[32], unsigned)
{
    float a[16][8], b[8][8];

    for (int lane = 0; lane < 32; lane++) {
        const Fragments *f = static_cast<Fragments *>(lanes[lane]);
        int g = lane >> 2, t = lane % 4;
        for (int i = 0; i < 4; i++)
            a[g + (i % 2 == 0 ? 0 : 8)][t + (i < 2 ? 0 : 4)] = tf32_of(f->a[i]);
        for (int i = 0; i < 2; i++)
            b[t + (i == 0 ? 0 : 4)][g] = tf32_of(f->b[i]);
    }
    multiply<8>(a, b, lanes);
}

static inline void mma(const char *name, fake::Combine combine, float *d,
                       const unsigned *a, const unsigned *b)
{
    Fragments mine = {d, a, b};

    if (fake::capability() < 80)
        fake::fail("%s on a device of compute capability 7.5", name);
    fake::collective(name, 0xffffffff, combine, &mine);
}

static inline void mma_f16(float d[4], const unsigned a[4], const unsigned b[2])
{
    mma("mma.m16n8k16", mma_f16_combine, d, a, b);
}

static inline void mma_tf32(float d[4], const unsigned a[4], const unsigned b[2])
{
    mma("mma.m16n8k8", mma_tf32_combine, d, a, b);
}

/* max.NaN.f16x2; a NaN becomes the one of the device */
static inline unsigned max_f16x2(unsigned a, unsigned b)
{
    unsigned r = 0;

    for (int i = 0; i < 32; i += 16) {
        unsigned x = a >> i & 0xffffu, y = b >> i & 0xffffu;
        float p = half_of(&x, 0), q = half_of(&y, 0);

        r |= (isnan(p) || isnan(q) ? 0x7fffu : p > q ? x : y) << i;
    }
    return r;
}

/* cvt.rn.satfinite.f16x2.f32, whose second operand is the lower half */
static inline unsigned pack_f16x2(float low, float high)
{
    unsigned r = 0;

    for (int i = 0; i < 2; i++) {
        float v = i == 0 ? low : high, half_max = 65504;
        __half h = __float2half_rn(v > half_max    ? half_max
                                   : v < -half_max ? -half_max
                                                   : v);

        r |= static_cast<unsigned>(__half_as_ushort(h)) << 16 * i;
    }
    return r;
}

/* cvt.rna.tf32.f32: to nearest, ties away from zero. */
static inline unsigned to_tf32(float f)
{
    unsigned bits = __float_as_uint(f);

    if ((bits & 0x7f800000u) == 0x7f800000u)
        return bits;
    return (bits + 0x1000u) & ~0x1fffu;
}
} // namespace ptx

#endif
