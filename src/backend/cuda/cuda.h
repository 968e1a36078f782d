/* SPDX-License-Identifier: MIT */
/*
 * cuda.h - what the rest of the program sees of the CUDA backend: nst_backend_cuda, and
 * which devices there are. Also there in a build without it: no devices then.
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

/* How many devices can be used; 0 with the reason in *err if none. */
int nst_cuda_device_count(struct nst_err *err);
/* The i-th of them. NST_ERR_IO (the driver refuses). */
enum nst_status nst_cuda_device(int i, struct nst_cuda_device *out,
                                struct nst_err *err);
/* The newest CUDA that the driver supports, as 1000 major + 10 minor; 0: no driver. */
int nst_cuda_driver_version(void);

#endif
