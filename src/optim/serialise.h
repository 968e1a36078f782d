/* SPDX-License-Identifier: MIT */
/*
 * serialise.h - serialisation of optimiser state between two steps. The visitor is
 * called for each array and either saves or restores it.
 */
#ifndef NST_OPTIM_SERIALISE_H
#define NST_OPTIM_SERIALISE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/safetensors.h"

/* data: count elements of F32, F64 or I64, borrowed for the call. False on failure. */
typedef bool nst_serialise_fn(void *ctx, const char *name, enum nst_dtype type,
                              void *data, size_t count);

#endif
