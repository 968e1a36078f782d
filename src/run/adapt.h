/* SPDX-License-Identifier: MIT */
/*
 * adapt.h - --adaptive: adapts parameters to the complexity of the pictures, and loss
 * weights during the run: a loss that is higher than some steps ago gets more weight.
 */
#ifndef NST_RUN_ADAPT_H
#define NST_RUN_ADAPT_H

#include "optim/serialise.h"
#include "run/run.h"
#include "run/styles.h"

/* If p asks for it, halve Adam's learning rate for a complex content, and take 5/3 of
 * the iterations (500 instead of 300), also per scale, for a complex style. Reports the
 * changes unless p is quiet. Errors of nst_style_set_picture(). */
enum nst_status nst_adapt_params(struct nst_params *p,
                                 const struct nst_picture *content,
                                 struct nst_style_set *styles,
                                 const struct nst_run_events *events,
                                 struct nst_err *err);

/* A loss that is higher than WINDOW steps ago has its weight multiplied by GROWTH, up
 * to MAX_GROWTH times its initial weight. */
#define NST_BALANCING_WINDOW 10
#define NST_BALANCING_GROWTH 1.1
#define NST_BALANCING_MAX_GROWTH 4

struct nst_balanced_loss {
    double weight, initial_weight;        /* current and first */
    double history[NST_BALANCING_WINDOW]; /* latest values, a ring */
};

struct nst_loss_balancing {
    struct nst_balanced_loss content, style;
    int64_t steps; /* since the last change of a weight */
    /* A weight changed after the last evaluation, so the iterate has another loss. */
    bool changed;
};

void nst_loss_balancing_init(struct nst_loss_balancing *b, double content_weight,
                             double style_weight);

/* Record the losses of a step. Returns the loss whose weight was raised, or NULL. */
const struct nst_balanced_loss *nst_loss_balancing_step(struct nst_loss_balancing *b,
                                                        double content_loss,
                                                        double style_loss);

/* False if the visitor fails or restores an invalid state. */
bool nst_loss_balancing_serialise(struct nst_loss_balancing *b, nst_serialise_fn *visit,
                                  void *ctx);

#endif
