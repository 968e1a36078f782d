/* SPDX-License-Identifier: MIT */
/*
 * trainer.h - trains a feed-forward network, step by step: the loss of a batch of
 * photographs, its gradient by the parameters, and a step of Adam (optim/adam.h has the
 * paper). Knows nothing of files.
 */
#ifndef NST_TRAIN_TRAINER_H
#define NST_TRAIN_TRAINER_H

#include "net/parameters.h"
#include "optim/serialise.h"
#include "train/scales.h"

struct nst_trainer;

#define NST_TRAIN_MAX_MOVE 8

struct nst_trainer_config {
    int size, batch; /* side of the photographs; their number in a step */
    struct nst_train_weights weights;
    /* Weight of the mean squared difference between what is painted of a photograph and
     * of the same one, moved and with noise, after moving it back; 0: no such term. */
    double stability;
};

/* A photograph of a batch, 3 x size x size, and the same one moved down and right by 0
 * to NST_TRAIN_MAX_MOVE pixels and with noise: moved[i][j] is rgb[i - down][j - right].
 * moved may be NULL: no stability term for this photograph. */
struct nst_train_example {
    const float *rgb, *moved;
    int down, right;
};

struct nst_train_step {
    struct nst_train_losses losses; /* means over the batch */
    double stability;               /* likewise, over those that have the term */
    double total;                   /* weighted sum */
    double gradient_norm;
    bool skipped; /* the gradient was not finite: no parameter changed */
};

/* Start from these weights, which are copied. loss belongs to the caller and outlives
 * the trainer. *out belongs to the caller: nst_trainer_free() (NULL is fine).
 * NST_ERR_ARG (the backend cannot train), NST_ERR_MEM. */
enum nst_status nst_trainer_new(struct nst_trainer **out, struct nst_backend *be,
                                struct nst_train_scales *loss,
                                const struct nst_net_weights *w,
                                const struct nst_trainer_config *config,
                                struct nst_err *err);
void nst_trainer_free(struct nst_trainer *t);

/* One step with this learning rate, on config.batch examples. */
struct nst_train_step nst_trainer_step(struct nst_trainer *t,
                                       const struct nst_train_example *batch,
                                       double rate);

/* The average of the weights over the latest steps, which jitters less than they do;
 * before the first step, the weights themselves. Borrowed until the next call. */
const float *nst_trainer_average(struct nst_trainer *t);

/* Save or restore the state between two steps. False if the visitor fails. */
bool nst_trainer_serialise(struct nst_trainer *t, nst_serialise_fn *visit, void *ctx);

#endif
