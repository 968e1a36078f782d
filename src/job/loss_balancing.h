/* SPDX-License-Identifier: MIT */
/*
 * loss_balancing.h - loss weights that follow the losses (--adaptive weights): a loss
 * that is higher than it was some steps ago gets more weight.
 */
#ifndef NST_JOB_LOSS_BALANCING_H
#define NST_JOB_LOSS_BALANCING_H

#include <stdbool.h>
#include <stdint.h>

#include "optim/serialise.h"

/* A loss that is higher than it was this many steps ago gets this much more weight, but
 * never more than that many times what it had. */
#define NST_BALANCING_WINDOW 10
#define NST_BALANCING_GROWTH 1.1
#define NST_BALANCING_MAX_GROWTH 4

/* One of the two losses. */
struct nst_balanced_loss {
    double weight, initial_weight;        /* now, and as it was */
    double history[NST_BALANCING_WINDOW]; /* its latest values */
};

struct nst_loss_balancing {
    struct nst_balanced_loss content, style;
    int64_t steps; /* since a weight was changed */
    bool changed;  /* since the last evaluation: the iterate has another loss */
};

void nst_loss_balancing_init(struct nst_loss_balancing *b, double content_weight,
                             double style_weight);

/* Note the losses of a step. The one that has more weight now, or NULL. */
const struct nst_balanced_loss *nst_loss_balancing_step(struct nst_loss_balancing *b,
                                                        double content_loss,
                                                        double style_loss);

/* False if the visitor said so, or what it brought is none. */
bool nst_loss_balancing_serialise(struct nst_loss_balancing *b, nst_serialise_fn *visit,
                                  void *ctx);

#endif
