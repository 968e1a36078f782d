/* SPDX-License-Identifier: MIT */
/*
 * tutorial.h - the optimiser of the PyTorch style-transfer tutorial, step for step.
 *
 * torch.optim.LBFGS with its defaults (learning rate 1, 20 iterations a call, 100
 * pairs, no line search) and a closure that first clamps the variables to [0, 1]
 * behind its back. It may diverge. It is here for comparison; lbfgs.h is what works.
 */
#ifndef NST_OPTIM_TUTORIAL_H
#define NST_OPTIM_TUTORIAL_H

#include "backend/backend.h"
#include "optim/optim.h"

struct nst_tutorial;

/* Vectors lie where be has its numbers. *out belongs to the caller:
 * nst_tutorial_free(). NST_ERR_ARG (n is 0), NST_ERR_MEM. */
enum nst_status nst_tutorial_new(struct nst_tutorial **out, size_t n,
                                 struct nst_backend *be, struct nst_err *err);
/* Bytes of be's numbers that it takes. */
size_t nst_tutorial_bytes(const struct nst_backend *be, size_t n);
void nst_tutorial_free(struct nst_tutorial *t);

/* One optimizer.step(closure), up to 20 evaluations; false when f refused one. */
bool nst_tutorial_step(struct nst_tutorial *t, nst_evaluate_fn *f, void *ctx, float *x);

#endif
