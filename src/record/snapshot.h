/* SPDX-License-Identifier: MIT */
/* snapshot.h - the state of a run, to a checkpoint (checkpoint.h) and back. */
#ifndef NST_RECORD_SNAPSHOT_H
#define NST_RECORD_SNAPSHOT_H

#include "optim/state.h"
#include "record/checkpoint.h"

/* Write what state() shows of owner, the same both times that it is asked, to path,
 * whole or not at all: the file that was there stays until then, and for good if
 * state() returns false. NST_ERR_IO. */
enum nst_status nst_checkpoint_write(const char *path, const struct nst_params *p,
                                     bool (*state)(void *owner, nst_state_visit *visit,
                                                   void *ctx),
                                     void *owner, struct nst_err *err);

/* nst_state_visit, its ctx being the checkpoint: bring in what was written under that
 * name. False if it is not there, or is not as much. */
bool nst_checkpoint_read(void *ctx, const char *name, enum nst_number type, void *data,
                         size_t count);

#endif
