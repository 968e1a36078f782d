/* SPDX-License-Identifier: MIT */
/*
 * tutorial.h - the optimiser of the PyTorch style-transfer tutorial, step for step.
 *
 * torch.optim.LBFGS with its defaults (learning rate 1, 20 iterations a call, 100
 * pairs, no line search) and a closure that clamps the variables to [0, 1] without
 * telling the optimiser. It may diverge and serves for comparison; use lbfgs.h.
 */
#ifndef NST_OPTIM_TUTORIAL_H
#define NST_OPTIM_TUTORIAL_H

#include "backend/backend.h"
#include "optim/optim.h"

struct nst_tutorial;

/* Vectors are buffers of be. *out belongs to the caller: nst_tutorial_free().
 * NST_ERR_ARG (n is 0), NST_ERR_MEM. */
enum nst_status nst_tutorial_new(struct nst_tutorial **out, size_t n,
                                 struct nst_backend *be, struct nst_err *err);
/* Bytes of its buffers on be. */
size_t nst_tutorial_bytes(const struct nst_backend *be, size_t n);
void nst_tutorial_free(struct nst_tutorial *t);

/* One optimizer.step(closure), up to 20 evaluations. False if f returned false. */
bool nst_tutorial_step(struct nst_tutorial *t, nst_evaluate_fn *f, void *ctx, float *x);

#endif
