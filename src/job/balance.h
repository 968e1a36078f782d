/* SPDX-License-Identifier: MIT */
/*
 * balance.h - loss weights that follow the losses (--adaptive weights): a loss that is
 * higher than it was some steps ago gets more weight.
 */
#ifndef NST_JOB_BALANCE_H
#define NST_JOB_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "optim/state.h"

/* A loss that is higher than it was this many steps ago gets this much more weight, but
 * never more than that many times what it had. */
#define NST_BALANCE_STEPS 10
#define NST_BALANCE_GROWTH 1.1
#define NST_BALANCE_MOST 4

/* One of the two losses. */
struct nst_weighed {
    double weight, least;           /* now, and as it was */
    double past[NST_BALANCE_STEPS]; /* its latest values */
};

struct nst_balance {
    struct nst_weighed content, style;
    int64_t steps; /* since a weight was changed */
    bool changed;  /* since the last evaluation: the iterate has another loss */
};

void nst_balance_begin(struct nst_balance *b, double content_weight,
                       double style_weight);

/* Note the losses of a step. The one that has more weight now, or NULL. */
const struct nst_weighed *nst_balance_step(struct nst_balance *b, double content_loss,
                                           double style_loss);

/* False if the visitor said so, or what it brought is none. */
bool nst_balance_state(struct nst_balance *b, nst_state_visit *visit, void *ctx);

#endif
