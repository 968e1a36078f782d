/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/backend.h"
#include "backend/cuda/cuda.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const struct nst_backend_ops *const backends[] = {&nst_backend_cpu,
                                                         &nst_backend_scalar,
#ifdef HAVE_CUDA
                                                         &nst_backend_cuda,
#endif
                                                         NULL};

const char *nst_precision_name(enum nst_precision precision)
{
    static const char *const names[] = {"auto", "fp32", "tf32", "fp16"};

    return names[precision];
}

#ifndef HAVE_CUDA
int nst_cuda_device_count(struct nst_err *err)
{
    nst_err_set(err, NST_ERR_ARG,
                "this nst was built without CUDA (configure --with-cuda)");
    return 0;
}

enum nst_status nst_cuda_device(int i, struct nst_cuda_device *out, struct nst_err *err)
{
    (void)i;
    *out = (struct nst_cuda_device){.major = 0};
    nst_cuda_device_count(err);
    return NST_ERR_ARG;
}

int nst_cuda_driver_version(void)
{
    return 0;
}
#endif

static int available_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1)
        return 1;
    return CPU_COUNT(&set);
}

enum nst_status nst_backend_open(struct nst_backend **out, const char *name,
                                 const struct nst_backend_config *config,
                                 struct nst_err *err)
{
    struct nst_backend_config c = *config;

    *out = NULL;
    if (!name)
        name = getenv("NST_BACKEND");
    if (!name || !*name)
        name = backends[0]->name;
    if (!c.threads)
        c.threads = available_cpus();
    for (int i = 0; backends[i]; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i]->open(out, &c, err);
    if (strcmp(name, "cuda") == 0)
        return nst_cuda_device_count(err), NST_ERR_ARG;
    return nst_err_set(err, NST_ERR_ARG, "'%s' is not a backend: cpu, cuda or scalar",
                       name);
}

enum nst_status nst_backend_to_device(struct nst_backend *be, const float *host,
                                      size_t n, const float **device,
                                      struct nst_err *err)
{
    void *buffer;
    enum nst_status st;

    *device = host;
    if (!be->device_memory)
        return NST_OK;
    st = be->ops->buffer_alloc(be, &buffer, n * sizeof *host, err);
    if (st != NST_OK)
        return st;
    be->ops->buffer_upload(be, buffer, host, n * sizeof *host);
    *device = buffer;
    return NST_OK;
}

void nst_backend_release(struct nst_backend *be, const float *host, const float *device)
{
    if (device != host)
        be->ops->buffer_free(be, (void *)device);
}

enum nst_status nst_backend_error(const struct nst_backend *be, struct nst_err *err)
{
    if (err && be->error.status != NST_OK)
        *err = be->error;
    return be->error.status;
}

enum nst_status nst_backend_require_fp32(const struct nst_backend_config *config,
                                         struct nst_err *err)
{
    if (config->precision == NST_PRECISION_AUTO ||
        config->precision == NST_PRECISION_FP32)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG, "precision %s is for GPUs: a CPU has fp32",
                       nst_precision_name(config->precision));
}
