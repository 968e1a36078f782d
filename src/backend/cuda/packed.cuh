/* SPDX-License-Identifier: MIT */
/*
 * packed.cuh - operands of tensor cores and of wide copies. A word is two fp16 values
 * or one float; 16 bytes are copied at once. The argument tag selects the overload.
 */
#ifndef NST_BACKEND_CUDA_PACKED_CUH
#define NST_BACKEND_CUDA_PACKED_CUH

#include "backend/cuda/device.cuh"

/* d (16 x 8) += a b, where k spans 32 bytes: 16 values of fp16, 8 of TF32 */
static __device__ __forceinline__ void packed_mma(float d[4], const unsigned a[4],
                                                  const unsigned b[2],
                                                  const __half *tag)
{
    (void)tag;
    ptx::mma_f16(d, a, b);
}
static __device__ __forceinline__ void packed_mma(float d[4], const unsigned a[4],
                                                  const unsigned b[2], const float *tag)
{
    (void)tag;
    ptx::mma_tf32(d, a, b);
}

/*
 * Operands are rounded before the multiplication, optionally through a ReLU. A NaN
 * should stay a NaN, so that the loss shows it. In fp16 it does. Floats need another
 * minimum for that, which the convolutions can afford (packed_operand()). Backward
 * steps would take a fifth to a third more instructions, Gram matrices a sixth. There a
 * NaN becomes 0, or minus infinity in a Gram matrix without ReLU.
 */

/* mma reads the upper 19 bits of a float: round to nearest before. */
static __device__ __forceinline__ unsigned packed_round(unsigned v, const __half *tag)
{
    (void)tag;
    return v;
}
static __device__ __forceinline__ unsigned packed_round(unsigned v, const float *tag)
{
    (void)tag;
    return v + 0x1000u;
}

/* Round, optionally through a ReLU. The device's NaN is 0x7fffffff: capped, so that
 * rounding does not overflow. */
template <bool RELU>
static __device__ __forceinline__ unsigned packed_operand(unsigned v, const __half *tag)
{
    (void)tag;
    return RELU ? ptx::max_f16x2(v, 0) : v;
}
template <bool RELU>
static __device__ __forceinline__ unsigned packed_operand(unsigned v, const float *tag)
{
    int bits = min((int)v, 0x7fffefff);

    (void)tag;
    return (unsigned)((RELU ? max(bits, 0) : bits) + 0x1000);
}

/* ReLU: clear the values whose sign bit is set. */
static __device__ __forceinline__ unsigned packed_relu(unsigned v, const __half *tag)
{
    unsigned negative = (v >> 15 & 0x00010001u) * 0xffffu;

    (void)tag;
    return v & ~negative;
}
static __device__ __forceinline__ unsigned packed_relu(unsigned v, const float *tag)
{
    (void)tag;
    return v & ~(0u - (v >> 31));
}

/* Lower bound for packed_max(): 0 gives a ReLU, minus infinity changes nothing. */
static __device__ __forceinline__ unsigned packed_floor(bool apply_relu,
                                                        const __half *tag)
{
    (void)tag;
    return apply_relu ? 0 : 0xfc00fc00u;
}
static __device__ __forceinline__ unsigned packed_floor(bool apply_relu,
                                                        const float *tag)
{
    (void)tag;
    return apply_relu ? 0 : 0xff800000u;
}
static __device__ __forceinline__ unsigned packed_max(unsigned v, unsigned floor,
                                                      const __half *tag)
{
    (void)tag;
    return ptx::max_f16x2(v, floor);
}
static __device__ __forceinline__ unsigned packed_max(unsigned v, unsigned floor,
                                                      const float *tag)
{
    (void)tag;
    return __float_as_uint(fmaxf(__uint_as_float(v), __uint_as_float(floor)));
}

/* Load 16 bytes of values from an address aligned to 16 bytes. */
template <class T> static __device__ __forceinline__ uint4 load16(const T *from)
{
    return *reinterpret_cast<const uint4 *>(from);
}

static __device__ __forceinline__ void unpack16(const uint4 &w, float v[8],
                                                const __half *tag)
{
    const unsigned word[4] = {w.x, w.y, w.z, w.w};

    (void)tag;
#pragma unroll
    for (int i = 0; i < 8; i++)
        v[i] = to_float(
            __ushort_as_half((unsigned short)(word[i / 2] >> i % 2 * 16 & 0xffffu)));
}
static __device__ __forceinline__ void unpack16(const uint4 &w, float v[4],
                                                const float *tag)
{
    (void)tag;
    v[0] = __uint_as_float(w.x);
    v[1] = __uint_as_float(w.y);
    v[2] = __uint_as_float(w.z);
    v[3] = __uint_as_float(w.w);
}

static __device__ __forceinline__ void store16(__half *to, const float v[8])
{
    unsigned word[4];

#pragma unroll
    for (int i = 0; i < 4; i++) {
        __half low, high;

        store(&low, v[2 * i]);
        store(&high, v[2 * i + 1]);
        word[i] = __half_as_ushort(low) | (unsigned)__half_as_ushort(high) << 16;
    }
    *reinterpret_cast<uint4 *>(to) = make_uint4(word[0], word[1], word[2], word[3]);
}
static __device__ __forceinline__ void store16(float *to, const float v[4])
{
    *reinterpret_cast<float4 *>(to) = make_float4(v[0], v[1], v[2], v[3]);
}

#endif
