/* SPDX-License-Identifier: MIT */
/* checkpoint_internal.h - writes and reads the arrays of a checkpoint. */
#ifndef NST_RECORD_CHECKPOINT_INTERNAL_H
#define NST_RECORD_CHECKPOINT_INTERNAL_H

#include "optim/serialise.h"
#include "record/checkpoint.h"

/* What a checkpoint records of a run. Borrowed. */
struct nst_checkpoint_content {
    const struct nst_params *params;
    const char *content, *output; /* paths, or NULL */
    /* visits the arrays of owner: called twice, and must visit the same both times */
    bool (*serialise)(void *owner, nst_serialise_fn *visit, void *ctx);
    void *owner;
};

/* Write a checkpoint to path, atomically: an older file stays until the new one is
 * complete, and also if serialise() returns false. NST_ERR_IO. */
enum nst_status nst_checkpoint_write(const char *path,
                                     const struct nst_checkpoint_content *c,
                                     struct nst_err *err);

/* The version of nst that wrote it. */
const char *nst_checkpoint_version(const struct nst_checkpoint *c);

/* nst_serialise_fn with the checkpoint as ctx: read the array called name. False if it
 * is missing or has another type or size. */
bool nst_checkpoint_read_array(void *ctx, const char *name, enum nst_dtype type,
                               void *data, size_t count);

#endif
