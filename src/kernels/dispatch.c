/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/flow_kernels.h"
#include "kernels/nchw16c.h"
#include "kernels/vector_kernels.h"
#include "kernels/video_kernels.h"

#define DECLARE_ISA(isa)                                                               \
    extern const struct nst_nchw16c_kernels nst_nchw16c_##isa;                         \
    extern const struct nst_vector_kernels nst_vector_kernels_##isa;                   \
    extern const struct nst_flow_kernels nst_flow_kernels_##isa;                       \
    extern const struct nst_video_kernels nst_video_kernels_##isa;
#ifdef __x86_64__
DECLARE_ISA(avx512)
DECLARE_ISA(avx2)
#endif
DECLARE_ISA(base)

const struct nst_nchw16c_kernels *const *nst_nchw16c_available(void)
{
    static const struct nst_nchw16c_kernels *const tables[] = {
#ifdef __x86_64__
        &nst_nchw16c_avx512, &nst_nchw16c_avx2,
#endif
        &nst_nchw16c_base, NULL};
    int first = 0;

#ifdef __x86_64__
    /* Each table is compiled for a whole x86-64 level (v3, v4). */
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        first = 1;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi2"))
        first = 2;
#endif
    return tables + first;
}

const struct nst_nchw16c_kernels *nst_nchw16c_choose(void)
{
    const struct nst_nchw16c_kernels *const *table = nst_nchw16c_available();
    const char *name = getenv("NST_CPU");

    if (!name || !*name)
        return table[0];
    for (; *table; table++)
        if (strcmp((*table)->name, name) == 0)
            return *table;
    return NULL;
}

enum nst_status nst_nchw16c_unknown_isa(struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_ARG,
                       "NST_CPU='%s' is not an instruction set of this machine",
                       getenv("NST_CPU"));
}

const struct nst_vector_kernels *nst_vector_kernels_choose(void)
{
    const struct nst_nchw16c_kernels *chosen = nst_nchw16c_choose();

#ifdef __x86_64__
    if (chosen == &nst_nchw16c_avx512)
        return &nst_vector_kernels_avx512;
    if (chosen == &nst_nchw16c_avx2)
        return &nst_vector_kernels_avx2;
#endif
    return chosen ? &nst_vector_kernels_base : NULL;
}

const struct nst_flow_kernels *nst_flow_kernels_choose(void)
{
    const struct nst_nchw16c_kernels *chosen = nst_nchw16c_choose();

#ifdef __x86_64__
    if (chosen == &nst_nchw16c_avx512)
        return &nst_flow_kernels_avx512;
    if (chosen == &nst_nchw16c_avx2)
        return &nst_flow_kernels_avx2;
#endif
    return chosen ? &nst_flow_kernels_base : NULL;
}

const struct nst_video_kernels *nst_video_kernels_choose(void)
{
#ifdef __x86_64__
    const struct nst_nchw16c_kernels *chosen = nst_nchw16c_choose();

    if (chosen == &nst_nchw16c_avx512)
        return &nst_video_kernels_avx512;
    if (chosen == &nst_nchw16c_avx2)
        return &nst_video_kernels_avx2;
#endif
    return &nst_video_kernels_base;
}
