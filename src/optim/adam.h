/* SPDX-License-Identifier: MIT */
/*
 * adam.h - Adam (Kingma and Ba 2015, algorithm 1) within a box, with the average of the
 * iterates as the result (section 7.2 there).
 *
 * It takes one evaluation a step and never looks back, so a step may climb, and the
 * last iterate jitters; the average does not. For rough losses; the default, lbfgs.h,
 * goes lower where the loss is smooth.
 */
#ifndef NST_OPTIM_ADAM_H
#define NST_OPTIM_ADAM_H

#include "backend/backend.h"
#include "optim/optim.h"
#include "optim/serialise.h"

struct nst_adam;

/* n variables in the box, changed by about rate a step; vectors lie where be has its
 * numbers. *out belongs to the caller: nst_adam_free(). NST_ERR_MEM. */
enum nst_status nst_adam_new(struct nst_adam **out, size_t n, double rate,
                             struct nst_box box, struct nst_backend *be,
                             struct nst_err *err);
/* Bytes of numbers that it takes. */
size_t nst_adam_bytes(size_t n);
void nst_adam_free(struct nst_adam *a);

/*
 * Evaluate f at x and move x. NST_STEP_CONVERGED, x left as it is, when f or its
 * gradient is not finite; NST_STEP_STOPPED when f said no.
 */
struct nst_step nst_adam_step(struct nst_adam *a, nst_evaluate_fn *f, void *ctx,
                              float *x);

/* After a step: the average of the iterates, the late ones counting most; the start is
 * none of them. Borrowed until the next step: it lies where a gradient will. */
const float *nst_adam_average(struct nst_adam *a);

/* Its state between two steps, next to x itself. False if the visitor said so. */
bool nst_adam_serialise(struct nst_adam *a, nst_serialise_fn *visit, void *ctx);

#endif
