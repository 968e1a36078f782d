/* SPDX-License-Identifier: MIT */
/* checkpoint_internal.h - the state of a run, to a checkpoint (checkpoint.h) and back.
 */
#ifndef NST_RECORD_CHECKPOINT_INTERNAL_H
#define NST_RECORD_CHECKPOINT_INTERNAL_H

#include "optim/serialise.h"
#include "record/checkpoint.h"

/* Write what serialise() shows of owner, the same both times that it is asked, to path,
 * whole or not at all: the file that was there stays until then, and for good if
 * serialise() returns false. NST_ERR_IO. */
enum nst_status nst_checkpoint_write(const char *path, const struct nst_params *p,
                                     bool (*serialise)(void *owner,
                                                       nst_serialise_fn *visit,
                                                       void *ctx),
                                     void *owner, struct nst_err *err);

/* nst_serialise_fn, its ctx being the checkpoint: bring in what was written under that
 * name. False if it is not there, or is not as much. */
bool nst_checkpoint_read_array(void *ctx, const char *name, enum nst_dtype type,
                               void *data, size_t count);

#endif
