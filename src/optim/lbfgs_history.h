/* SPDX-License-Identifier: MIT */
/*
 * lbfgs_history.h - the curvature pairs of L-BFGS.
 *
 * A pair is a step s = x' - x and the change y = g' - g of the gradient over it. The
 * history stores the m latest: 2 m n floats.
 */
#ifndef NST_OPTIM_LBFGS_HISTORY_H
#define NST_OPTIM_LBFGS_HISTORY_H

#include <stdbool.h>

#include "optim/serialise.h"
#include "optim/vector.h"

struct nst_lbfgs_history;

/* v is borrowed as long as the history lives. *out belongs to the caller:
 * nst_lbfgs_history_free(). NST_ERR_ARG (n is 0, or m not 1 to NST_MAX_PAIRS),
 * NST_ERR_MEM. */
enum nst_status nst_lbfgs_history_new(struct nst_lbfgs_history **out,
                                      const struct nst_vector_space *v, int m,
                                      struct nst_err *err);
void nst_lbfgs_history_free(struct nst_lbfgs_history *h);

/* The slot of the next pair, for the caller to fill before nst_lbfgs_history_push(). If
 * the history is full, the oldest pair is dropped. Borrowed. */
struct nst_lbfgs_pair {
    struct nst_buffer *s, *y;
};
struct nst_lbfgs_pair nst_lbfgs_history_next(struct nst_lbfgs_history *h);
/* Swap the next slot's y with *other, a vector of the same length. */
void nst_lbfgs_history_swap_y(struct nst_lbfgs_history *h, struct nst_buffer **other);

/* Add the pair in the next slot if sy = s.y > min_sy; yy = y.y. False if not added. */
bool nst_lbfgs_history_push(struct nst_lbfgs_history *h, double sy, double yy,
                            double min_sy);
void nst_lbfgs_history_clear(struct nst_lbfgs_history *h);
/* Save or restore the pairs, oldest first. False if the visitor fails or restores more
 * than m. */
bool nst_lbfgs_history_serialise(struct nst_lbfgs_history *h, nst_serialise_fn *visit,
                                 void *ctx);

/* The pairs for ops->direction(); borrowed until the history changes. */
struct nst_ring nst_lbfgs_history_ring(const struct nst_lbfgs_history *h);

#endif
