/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/backend.h"

const char *nst_precision_name(enum nst_precision precision)
{
    static const char *const names[] = {"auto", "fp32", "tf32", "fp16"};

    return names[precision];
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
