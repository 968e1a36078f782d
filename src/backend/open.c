/* SPDX-License-Identifier: MIT */
/* open.c - the table of backends: opens one by name. */
#include "config.h"

#include "backend/backend.h"
#include "backend/cuda/cuda.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const struct nst_backend_ops *const backends[] = {&nst_backend_cpu,
                                                         &nst_backend_scalar,
#ifdef HAVE_BLAS
                                                         &nst_backend_blas,
#endif
#ifdef HAVE_CUDA
                                                         &nst_backend_cuda,
#endif
                                                         NULL};

#ifndef HAVE_CUDA
int nst_cuda_device_count(struct nst_err *err)
{
    nst_err_set(err, NST_ERR_IO,
                "this nst was built without CUDA (configure --with-cuda)");
    return 0;
}

enum nst_status nst_cuda_device(int i, struct nst_cuda_device *out, struct nst_err *err)
{
    (void)i;
    *out = (struct nst_cuda_device){.major = 0};
    nst_cuda_device_count(err);
    return NST_ERR_IO;
}

int nst_cuda_driver_version(void)
{
    return 0;
}
#endif

enum nst_status nst_backend_open(struct nst_backend **out, const char *name,
                                 const struct nst_backend_config *config,
                                 struct nst_err *err)
{
    struct nst_backend_config c = *config;
    cpu_set_t set;

    *out = NULL;
    if (!name)
        name = getenv("NST_BACKEND");
    if (!name || !*name)
        name = backends[0]->name;
    if (!c.threads)
        c.threads = sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0
                        ? CPU_COUNT(&set)
                        : 1;
    for (int i = 0; backends[i]; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i]->open(out, &c, err);
    if (strcmp(name, "cuda") == 0)
        return nst_cuda_device_count(err), NST_ERR_IO;
    if (strcmp(name, "blas") == 0)
        return nst_err_set(
            err, NST_ERR_ARG,
            "this nst was built without the backend blas (configure --with-blas)");
    return nst_err_set(err, NST_ERR_ARG,
                       "'%s' is not a backend: cpu, blas, cuda or scalar", name);
}
