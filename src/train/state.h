/* SPDX-License-Identifier: MIT */
/*
 * state.h - checkpoints of a training: the state of the trainer, and the options, which
 * must be the same when it is resumed.
 */
#ifndef NST_TRAIN_STATE_H
#define NST_TRAIN_STATE_H

#include "train/train.h"
#include "train/trainer.h"

/* What a checkpoint has beside the state of the trainer. */
struct nst_train_progress {
    int64_t step, steps, skipped; /* done; in all, 0 while unknown */
    int64_t photos;               /* fingerprint of the photographs */
};

/* Write the checkpoint, atomically. NST_ERR_IO. */
enum nst_status nst_train_state_write(const char *path,
                                      const struct nst_train_config *c,
                                      struct nst_train_progress *progress,
                                      struct nst_trainer *t, struct nst_err *err);
/* Restore it. NST_ERR_ARG: no such file, or it was made with other options or
 * photographs. NST_ERR_FORMAT. */
enum nst_status nst_train_state_read(const char *path, const struct nst_train_config *c,
                                     struct nst_train_progress *progress,
                                     struct nst_trainer *t, struct nst_err *err);
/* The options that decide the result, as JSON; a new string. */
char *nst_train_state_options(const struct nst_train_config *c);

#endif
