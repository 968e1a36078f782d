/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/dtype.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"U8", 1}};

size_t nst_dtype_size(enum nst_dtype type)
{
    return dtypes[type].size;
}

const char *nst_dtype_name(enum nst_dtype type)
{
    return dtypes[type].name;
}

static uint64_t little_endian(const unsigned char *b, int n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | b[n];
    return v;
}

static float bits_to_float(uint32_t bits)
{
    float v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* A float's exponent is 112 above that of an F16; the product normalises subnormals. */
static float half_to_float(unsigned h)
{
    float v = bits_to_float((uint32_t)(h & 0x7fff) << 13) * 0x1p112f;

    if ((h & 0x7c00) == 0x7c00)
        v = h & 0x3ff ? NAN : INFINITY;
    return h & 0x8000 ? -v : v;
}

uint16_t nst_float_to_half(float v)
{
    unsigned sign = signbit(v) ? 0x8000 : 0;
    double a = fabs((double)v), unit;
    int exponent;

    if (isnan(v))
        return 0x7e00;
    if (a >= 65520) /* rounds to more than the largest F16 */
        return (uint16_t)(sign | 0x7c00);
    frexp(a, &exponent);
    if (a == 0 || exponent < -13) /* below 2^-14: subnormal */
        exponent = -13;
    unit = ldexp(1, exponent - 11);
    a = nearbyint(a / unit); /* 0 to 2048; ties to even, the default mode */
    return (uint16_t)(sign | (unsigned)((exponent + 13) * 1024 + (int)a));
}

static double value_at(const struct nst_array *a, uint64_t i)
{
    const unsigned char *b =
        (const unsigned char *)a->bytes + nst_dtype_size(a->type) * i;
    double v;

    switch (a->type) {
    case NST_F32:
        return bits_to_float((uint32_t)little_endian(b, 4));
    case NST_F16:
        return half_to_float((unsigned)little_endian(b, 2));
    case NST_BF16:
        return bits_to_float((uint32_t)little_endian(b, 2) << 16);
    case NST_F64:
        memcpy(&v, b, sizeof v);
        return v;
    case NST_I64:
    case NST_U8:
        break;
    }
    return 0;
}

enum nst_status nst_array_to_floats(const struct nst_array *a, float **out,
                                    struct nst_err *err)
{
    enum nst_status st;

    *out = NULL;
    if (a->type == NST_I64 || a->type == NST_U8)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "the type is none of F64, F32, F16 and BF16");
    st = nst_floats_new(out, a->count, 1, 1, err);
    for (uint64_t i = 0; st == NST_OK && i < a->count; i++) {
        (*out)[i] = (float)value_at(a, i);
        if (!isfinite((*out)[i]))
            st = nst_err_set(err, NST_ERR_FORMAT, "holds a value that is not finite");
    }
    return st;
}
