/* SPDX-License-Identifier: MIT */
/*
 * serialise.h - what of a minimiser outlasts a step, part by part, so that it can be
 * written down and taken up again: whoever visits it copies the numbers out, or in.
 */
#ifndef NST_OPTIM_SERIALISE_H
#define NST_OPTIM_SERIALISE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/safetensors.h"

/* count numbers at data, for the call: F32, F64 or I64. False if the visitor cannot go
 * on. */
typedef bool nst_serialise_fn(void *ctx, const char *name, enum nst_dtype type,
                              void *data, size_t count);

#endif
