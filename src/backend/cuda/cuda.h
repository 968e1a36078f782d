/* SPDX-License-Identifier: MIT */
/*
 * cuda.h - lists the CUDA devices. A build without CUDA has these functions, too, and
 * reports no devices.
 */
#ifndef NST_BACKEND_CUDA_CUDA_H
#define NST_BACKEND_CUDA_CUDA_H

#include <stddef.h>

#include "base/err.h"

struct nst_cuda_device {
    char name[256];
    int major, minor;           /* compute capability */
    size_t memory, free_memory; /* bytes */
};

/* The number of usable devices; if it is 0, *err has the reason. */
int nst_cuda_device_count(struct nst_err *err);
/* Properties of device i. Errors: NST_ERR_IO (the driver reports an error). */
enum nst_status nst_cuda_device(int i, struct nst_cuda_device *out,
                                struct nst_err *err);
/* Newest CUDA version of the driver, as 1000 major + 10 minor; 0: no driver. */
int nst_cuda_driver_version(void);

#endif
