/* SPDX-License-Identifier: MIT */
/*
 * optim.h - the interface between optimisers and their callers. An optimiser knows a
 * function and vectors of n floats, backend buffers, but no pictures.
 */
#ifndef NST_OPTIM_OPTIM_H
#define NST_OPTIM_OPTIM_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/vector_ops.h"

/*
 * Evaluate the function at x: write its value to *f, its gradient to g (n floats) and
 * vectors->measure() of g and d (d may be NULL) to *m. The callback measures because it
 * may use the result, too. False stops the optimiser: nothing was written.
 */
typedef bool nst_evaluate_fn(void *ctx, const struct nst_buffer *x,
                             const struct nst_buffer *d, double *f,
                             struct nst_buffer *g, struct nst_measures *m);

enum nst_step_status {
    NST_STEP_TAKEN,     /* x is a new iterate */
    NST_STEP_CONVERGED, /* x stays: no lower point was found */
    NST_STEP_STOPPED    /* x stays: the function returned false */
};

struct nst_step {
    enum nst_step_status status;
    int evaluations; /* in this step */
    int accepted;    /* index, from 0, of the one at the new iterate; -1: x stays */
};

#endif
