/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/blocked.h"
#include "kernels/vectors.h"

#define SET(isa)                                                                       \
    extern const struct nst_blocked_kernels nst_blocked_##isa;                         \
    extern const struct nst_vector_kernels nst_vectors_##isa;
#ifdef __x86_64__
SET(avx512)
SET(avx2)
#endif
SET(base)

const struct nst_blocked_kernels *const *nst_blocked_available(void)
{
    static const struct nst_blocked_kernels *const all[] = {
#ifdef __x86_64__
        &nst_blocked_avx512, &nst_blocked_avx2,
#endif
        &nst_blocked_base, NULL};
    int skip = 0;

#ifdef __x86_64__
    /* Each set is compiled for a whole level of the architecture. */
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        skip = 1;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi2"))
        skip = 2;
#endif
    return all + skip;
}

const struct nst_blocked_kernels *nst_blocked_choose(void)
{
    const struct nst_blocked_kernels *const *have = nst_blocked_available();
    const char *wanted = getenv("NST_CPU");

    if (!wanted || !*wanted)
        return have[0];
    for (; *have; have++)
        if (strcmp((*have)->name, wanted) == 0)
            return *have;
    return NULL;
}

enum nst_status nst_blocked_refuse(struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_ARG,
                       "NST_CPU='%s' is not an instruction set of this machine",
                       getenv("NST_CPU"));
}

const struct nst_vector_kernels *nst_vectors_choose(void)
{
    const struct nst_blocked_kernels *chosen = nst_blocked_choose();

#ifdef __x86_64__
    if (chosen == &nst_blocked_avx512)
        return &nst_vectors_avx512;
    if (chosen == &nst_blocked_avx2)
        return &nst_vectors_avx2;
#endif
    return chosen ? &nst_vectors_base : NULL;
}
