/* SPDX-License-Identifier: MIT */
/* cuda_fp16.h - half precision of the fake CUDA device: IEEE 754 binary16. */
#ifndef NST_TESTS_CUDA_FP16_H
#define NST_TESTS_CUDA_FP16_H

#include "cuda_runtime.h"

struct alignas(2) __half {
    unsigned short bits_; /* 1 of sign, 5 of exponent (bias 15), 10 of fraction */
};

struct alignas(4) __half2 {
    __half x, y;
};

typedef __half half;
typedef __half2 half2;

static inline unsigned short __half_as_ushort(__half h)
{
    return h.bits_;
}

static inline __half __ushort_as_half(unsigned short bits)
{
    return {bits};
}

/* Read exponent and fraction as a float's, whose bias is greater by 112, and scale by
 * 2^112; this is right for subnormals, too. Infinity and NaN are handled first. */
static inline float __half2float(__half h)
{
    unsigned bits = (h.bits_ & 0x7fffu) << 13;
    unsigned sign = (h.bits_ & 0x8000u) << 16;

    if (bits >= 0x7c00u << 13)
        return __uint_as_float(sign | 0x7f800000u | bits);
    return __uint_as_float(sign | __float_as_uint(__uint_as_float(bits) * 0x1p112f));
}

/* To nearest, ties to even. Subnormal halves are multiples of 2^-24, the last place of
 * 0.5: adding 0.5 rounds to them. */
static inline __half __float2half_rn(float f)
{
    unsigned bits = __float_as_uint(f), sign = bits >> 16 & 0x8000u, rest;

    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u)
        rest = 0x7fffu; /* NaN: the one of the device, without sign */
    else if (bits >= 0x47800000u)
        rest = 0x7c00u; /* infinity from 65536 on, and what rounds up to it */
    else if (bits < 0x38800000u)
        rest = __float_as_uint(__uint_as_float(bits) + 0.5f) - 0x3f000000u;
    else
        rest = (bits - (112u << 23) + 0xfffu + (bits >> 13 & 1)) >> 13;
    if (bits > 0x7f800000u)
        sign = 0;
    return {static_cast<unsigned short>(sign | rest)};
}

static inline __half __float2half(float f)
{
    return __float2half_rn(f);
}

static inline __half2 __halves2half2(__half low, __half high)
{
    return {low, high};
}

static inline __half2 __floats2half2_rn(float low, float high)
{
    return {__float2half_rn(low), __float2half_rn(high)};
}

static inline float2 __half22float2(__half2 h)
{
    return {__half2float(h.x), __half2float(h.y)};
}

static inline float __low2float(__half2 h)
{
    return __half2float(h.x);
}

static inline float __high2float(__half2 h)
{
    return __half2float(h.y);
}

#endif
