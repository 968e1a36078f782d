/* SPDX-License-Identifier: MIT */
/*
 * lbfgs.h - limited-memory BFGS within the box [lower, upper]^n that cannot blow up.
 *
 * A projected method. Each step fixes the variables that sit on a bound with the
 * gradient pushing outwards, takes the L-BFGS direction of the others from the
 * curvature restricted to them, cuts it off at the box, and searches along what is
 * left for a point that satisfies the Wolfe conditions as far as the box allows. So
 * every iterate is inside the box, none is worse than the one before it, a value that
 * is not finite is never taken, and the pairs are differences of points that were
 * really visited. The active-set idea is Bertsekas 1982; the problem is the one of
 * Byrd, Lu, Nocedal and Zhu 1995, whose Cauchy point and its sorting it does without.
 */
#ifndef NST_OPTIM_LBFGS_H
#define NST_OPTIM_LBFGS_H

#include "backend/backend.h"
#include "optim/optim.h"
#include "optim/serialise.h"

struct nst_lbfgs;

/*
 * Start a minimiser over n variables, keeping m pairs, whose vectors lie where be has
 * its numbers. *out belongs to the caller: nst_lbfgs_free().
 * NST_ERR_ARG (n is 0, or m not 1 to NST_MAX_PAIRS), NST_ERR_MEM (2 m n + 3 n floats
 * do not fit).
 */
enum nst_status nst_lbfgs_new(struct nst_lbfgs **out, size_t n, int m,
                              struct nst_box box, struct nst_backend *be,
                              struct nst_err *err);
/* Bytes of be's numbers that it takes. */
size_t nst_lbfgs_bytes(const struct nst_backend *be, size_t n, int m);
void nst_lbfgs_free(struct nst_lbfgs *l); /* NULL is fine */

/*
 * One step from x, which is replaced by the new iterate. The first call evaluates x
 * itself (brought into the box) and takes it as the first iterate.
 * Only an x whose value is not finite at the very start is reported as
 * NST_STEP_CONVERGED with accepted -1 and one evaluation: the caller sees the value.
 */
struct nst_step nst_lbfgs_step(struct nst_lbfgs *l, nst_evaluate_fn *f, void *ctx,
                               float *x);

/* The function is another one now, though a like one: the next step does nothing but
 * evaluate x anew, as the first did. The pairs stay. */
void nst_lbfgs_restart(struct nst_lbfgs *l);

/* Its state between two steps, next to x itself. False if the visitor said so. */
bool nst_lbfgs_serialise(struct nst_lbfgs *l, nst_serialise_fn *visit, void *ctx);

#endif
