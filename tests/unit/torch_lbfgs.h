/* SPDX-License-Identifier: MIT */
/*
 * torch_lbfgs.h - the optimiser of the PyTorch style-transfer tutorial, step for step,
 * to compare ours with.
 *
 * torch.optim.LBFGS with its defaults (learning rate 1, 20 iterations a call, 100
 * pairs, no line search) and a closure that clamps the variables to [0, 1] without
 * telling the optimiser. It may diverge.
 */
#ifndef NST_TESTS_TORCH_LBFGS_H
#define NST_TESTS_TORCH_LBFGS_H

#include "backend/backend.h"
#include "optim/optim.h"

struct torch_lbfgs;

/* Vectors are buffers of be. *out belongs to the caller: torch_lbfgs_free().
 * NST_ERR_ARG (n is 0), NST_ERR_MEM. */
enum nst_status torch_lbfgs_new(struct torch_lbfgs **out, size_t n,
                                struct nst_backend *be, struct nst_err *err);
void torch_lbfgs_free(struct torch_lbfgs *t);

/* One optimizer.step(closure), up to 20 evaluations. False if f returned false. */
bool torch_lbfgs_step(struct torch_lbfgs *t, nst_evaluate_fn *f, void *ctx,
                      struct nst_buffer *x);

#endif
