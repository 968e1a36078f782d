/* SPDX-License-Identifier: MIT */
/*
 * state.h - what of a minimiser outlasts a step, part by part, so that it can be
 * written down and taken up again: whoever visits it copies the numbers out, or in.
 */
#ifndef NST_OPTIM_STATE_H
#define NST_OPTIM_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/safetensors.h"

/* count numbers at data, for the call: F32, F64 or I64. False if the visitor cannot go
 * on. */
typedef bool nst_state_visit(void *ctx, const char *name, enum nst_number type,
                             void *data, size_t count);

#endif
