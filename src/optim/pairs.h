/* SPDX-License-Identifier: MIT */
/*
 * pairs.h - the curvature pairs of L-BFGS.
 *
 * A pair is a step s = x' - x and the change y = g' - g of the gradient over it. The
 * m latest are kept: 2 m n floats.
 */
#ifndef NST_OPTIM_PAIRS_H
#define NST_OPTIM_PAIRS_H

#include <stdbool.h>

#include "optim/state.h"
#include "optim/vector.h"

struct nst_pairs;

/* v is borrowed as long as the pairs live. *out belongs to the caller:
 * nst_pairs_free(). NST_ERR_ARG (n is 0, or m not 1 to NST_PAIRS_MOST), NST_ERR_MEM. */
enum nst_status nst_pairs_new(struct nst_pairs **out, const struct nst_vectors *v,
                              int m, struct nst_err *err);
void nst_pairs_free(struct nst_pairs *p);

/* Room for the next pair, to be filled before nst_pairs_push(); until then it may hold
 * anything. Of m pairs the oldest is given up for it. Borrowed. */
struct nst_pair {
    float *s, *y;
};
struct nst_pair nst_pairs_next(struct nst_pairs *p);
/* Exchange the room for y with *other, a vector of the same length. */
void nst_pairs_swap_y(struct nst_pairs *p, float **other);

/* Keep that pair, of which the products s.y and y.y are given, if s.y > least. False if
 * not kept. */
bool nst_pairs_push(struct nst_pairs *p, double sy, double yy, double least);
void nst_pairs_clear(struct nst_pairs *p);
/* The pairs, oldest first. False if the visitor said so, or brought more than m. */
bool nst_pairs_state(struct nst_pairs *p, nst_state_visit *visit, void *ctx);

/* What the direction is made of; borrowed until pairs come or go. */
struct nst_ring nst_pairs_ring(const struct nst_pairs *p);

#endif
