/* SPDX-License-Identifier: MIT */
/*
 * lbfgs.h - limited-memory BFGS within the box [lower, upper]^n that cannot diverge.
 *
 * A projected method. Each step fixes the variables at a bound whose descent direction
 * leaves the box, computes the L-BFGS direction of the others from the curvature
 * restricted to them, projects it into the box, and runs a line search for a point that
 * satisfies the Wolfe conditions as far as the box allows. So every iterate is inside
 * the box, none is worse than the one before, a value that is not finite is never
 * accepted, and the pairs are differences of visited points. The active set follows
 * Bertsekas 1982; the problem is the one of Byrd, Lu, Nocedal and Zhu 1995, without
 * their Cauchy point and its sorting.
 */
#ifndef NST_OPTIM_LBFGS_H
#define NST_OPTIM_LBFGS_H

#include "backend/backend.h"
#include "optim/optim.h"
#include "optim/serialise.h"

struct nst_lbfgs;

/*
 * Create an optimiser of n variables with m curvature pairs. Vectors are buffers of be.
 * *out belongs to the caller: nst_lbfgs_free().
 * NST_ERR_ARG (n is 0, or m not 1 to NST_MAX_PAIRS), NST_ERR_MEM (2 m n + 3 n floats
 * do not fit).
 */
enum nst_status nst_lbfgs_new(struct nst_lbfgs **out, size_t n, int m,
                              struct nst_box box, struct nst_backend *be,
                              struct nst_err *err);
/* Bytes of its buffers on be. */
size_t nst_lbfgs_bytes(const struct nst_backend *be, size_t n, int m);
void nst_lbfgs_free(struct nst_lbfgs *l); /* NULL is fine */

/*
 * One step from x, which becomes the new iterate. The first call only clamps x to the
 * box and evaluates it as the first iterate. If its value or gradient is not finite,
 * the result is NST_STEP_CONVERGED with accepted -1 and one evaluation.
 */
struct nst_step nst_lbfgs_step(struct nst_lbfgs *l, nst_evaluate_fn *f, void *ctx,
                               struct nst_buffer *x);

/* Tell that the function has changed a little: the next step only evaluates x again, as
 * the first step did. The pairs stay. */
void nst_lbfgs_restart(struct nst_lbfgs *l);

/* Save or restore the state between two steps, except x. False if the visitor fails. */
bool nst_lbfgs_serialise(struct nst_lbfgs *l, nst_serialise_fn *visit, void *ctx);

#endif
