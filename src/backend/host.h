/* SPDX-License-Identifier: MIT */
/*
 * host.h - what all backends on the CPU have in common: their numbers are the process's
 * own memory.
 */
#ifndef NST_BACKEND_HOST_H
#define NST_BACKEND_HOST_H

#include "backend/backend.h"

enum nst_status nst_host_numbers_new(struct nst_backend *be, void **out, size_t bytes,
                                     struct nst_err *err);
void nst_host_numbers_free(struct nst_backend *be, void *numbers);
void nst_host_copy(struct nst_backend *be, void *to, const void *from, size_t bytes);

#define NST_HOST_OPERATORS                                                             \
    .numbers_new = nst_host_numbers_new, .numbers_free = nst_host_numbers_free,        \
    .put = nst_host_copy, .get = nst_host_copy

#endif
