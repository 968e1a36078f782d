/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/host.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum nst_status nst_host_numbers_new(struct nst_backend *be, void **out, size_t bytes,
                                     struct nst_err *err)
{
    float *floats;
    enum nst_status st = nst_floats_new(
        &floats, (bytes + sizeof *floats - 1) / sizeof *floats, 1, 1, err);

    (void)be;
    *out = floats;
    return st;
}

void nst_host_numbers_free(struct nst_backend *be, void *numbers)
{
    (void)be;
    free(numbers);
}

void nst_host_copy(struct nst_backend *be, void *to, const void *from, size_t bytes)
{
    (void)be;
    if (to != from)
        memcpy(to, from, bytes);
}
