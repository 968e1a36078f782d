/* SPDX-License-Identifier: MIT */
/*
 * optim.h - what minimisers and those who call them share. Minimisers see vectors of
 * n floats, in a backend's numbers, and a function; they know no pictures.
 */
#ifndef NST_OPTIM_OPTIM_H
#define NST_OPTIM_OPTIM_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/vector_ops.h"

/*
 * Evaluate the function at x: its value to *f, its gradient to g (n floats), and what
 * vectors->measure() says of g and d, which may be NULL, to *m: here, since who
 * evaluates may want it, too. False means that no more evaluations may be made: nothing
 * was written, and the minimiser returns with what it has.
 */
typedef bool nst_evaluate_fn(void *ctx, const float *x, const float *d, double *f,
                             float *g, struct nst_measures *m);

enum nst_step_status {
    NST_STEP_TAKEN,     /* x is a new iterate */
    NST_STEP_CONVERGED, /* x stays: nothing lower can be found */
    NST_STEP_STOPPED    /* x stays: the function refused an evaluation */
};

struct nst_step {
    enum nst_step_status status;
    int evaluations; /* that this step made */
    int accepted;    /* which of them, from 0, is the new iterate; -1 when x stays */
};

#endif
