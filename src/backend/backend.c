/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/backend.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const struct nst_backend_ops *const backends[] = {&nst_backend_cpu,
                                                         &nst_backend_scalar, NULL};

const struct nst_backend_ops *const *nst_backends(void)
{
    return backends;
}

static int processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1)
        return 1;
    return CPU_COUNT(&set);
}

enum nst_status nst_backend_open(struct nst_backend **out, const char *name,
                                 int threads, struct nst_err *err)
{
    *out = NULL;
    if (!name)
        name = getenv("NST_BACKEND");
    if (!name || !*name)
        name = backends[0]->name;
    for (int i = 0; backends[i]; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i]->open(out, threads ? threads : processors(), err);
    return nst_err_set(err, NST_ERR_ARG, "'%s' is not a backend: cpu or scalar", name);
}
