/* SPDX-License-Identifier: MIT */
/*
 * adam.h - Adam (Kingma and Ba 2015, algorithm 1) within a box, with the average of the
 * iterates as the result (section 7.2 there).
 *
 * A step takes one evaluation and has no line search. So the loss may rise and the last
 * iterate jitters; the average does not. For rough losses; the default, lbfgs.h,
 * reaches lower values of smooth ones.
 */
#ifndef NST_OPTIM_ADAM_H
#define NST_OPTIM_ADAM_H

#include "backend/backend.h"
#include "optim/optim.h"
#include "optim/serialise.h"

struct nst_adam;

/* n variables in the box, changed by about rate a step. Vectors are buffers of be. *out
 * belongs to the caller: nst_adam_free(). NST_ERR_MEM. */
enum nst_status nst_adam_new(struct nst_adam **out, size_t n, double rate,
                             struct nst_box box, struct nst_backend *be,
                             struct nst_err *err);
/* Bytes of its buffers. */
size_t nst_adam_bytes(size_t n);
void nst_adam_free(struct nst_adam *a);

/*
 * Evaluate f at x and update x. NST_STEP_CONVERGED: f or its gradient is not finite and
 * x is unchanged. NST_STEP_STOPPED: f returned false.
 */
struct nst_step nst_adam_step(struct nst_adam *a, nst_evaluate_fn *f, void *ctx,
                              struct nst_buffer *x);

/* After a step: the average of the iterates (late ones count most) without the starting
 * point. Borrowed until the next step, which reuses the buffer for the gradient. */
const struct nst_buffer *nst_adam_average(struct nst_adam *a);

/* Save or restore the state between two steps, except x. False if the visitor fails. */
bool nst_adam_serialise(struct nst_adam *a, nst_serialise_fn *visit, void *ctx);

#endif
