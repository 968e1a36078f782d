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

void nst_host_copy_window(struct nst_backend *be, const float *from,
                          struct nst_planes of, struct nst_window window, float *to,
                          struct nst_planes to_of, int to_top, int to_left)
{
    (void)be;
    for (int k = 0; k < 3; k++)
        for (int r = 0; r < window.height; r++) {
            size_t here = (size_t)k * (size_t)of.height + (size_t)(window.top + r);
            size_t there = (size_t)k * (size_t)to_of.height + (size_t)(to_top + r);

            memcpy(to + there * (size_t)to_of.width + to_left,
                   from + here * (size_t)of.width + window.left,
                   (size_t)window.width * sizeof *to);
        }
}

void nst_host_repeat(struct nst_backend *be, struct nst_program **program,
                     void (*work)(void *ctx), void *ctx)
{
    (void)be;
    (void)program;
    work(ctx);
}

void nst_host_forget(struct nst_backend *be, struct nst_program *program)
{
    (void)be;
    (void)program;
}
