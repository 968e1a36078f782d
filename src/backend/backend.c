/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/backend.h"

const char *nst_precision_name(enum nst_precision precision)
{
    static const char *const names[] = {"auto", "fp32", "tf32", "fp16"};

    return names[precision];
}

enum nst_status nst_backend_to_device(struct nst_backend *be, const float *host,
                                      size_t n, const struct nst_buffer **device,
                                      struct nst_err *err)
{
    struct nst_buffer *buffer;
    enum nst_status st;

    *device = NULL;
    if (!be->device_memory) {
        *device = (const struct nst_buffer *)host;
        return NST_OK;
    }
    st = be->ops->buffer_alloc(be, &buffer, n * sizeof *host, err);
    if (st != NST_OK)
        return st;
    be->ops->buffer_upload(be, buffer, host, n * sizeof *host);
    *device = buffer;
    return NST_OK;
}

void nst_backend_update(struct nst_backend *be, const float *host, size_t n,
                        const struct nst_buffer *device)
{
    if (be->device_memory)
        be->ops->buffer_upload(be, (struct nst_buffer *)device, host, n * sizeof *host);
}

void nst_backend_release(struct nst_backend *be, const struct nst_buffer *device)
{
    if (be->device_memory)
        be->ops->buffer_free(be, (struct nst_buffer *)device);
}

struct nst_buffer *nst_backend_wrap(const struct nst_backend *be, void *host)
{
    return be->device_memory ? NULL : host;
}

void *nst_backend_unwrap(const struct nst_backend *be, struct nst_buffer *buffer)
{
    return be->device_memory ? NULL : buffer;
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
