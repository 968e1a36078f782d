/* SPDX-License-Identifier: MIT */
/*
 * checkpoint.h - saves a run to resume it later: its options as metadata, and its state
 * as arrays, in a safetensors file.
 */
#ifndef NST_RECORD_CHECKPOINT_H
#define NST_RECORD_CHECKPOINT_H

#include "options/params.h"

struct nst_checkpoint; /* open for reading */

/* *out belongs to the caller: nst_checkpoint_close(). Messages begin with the path.
 * NST_ERR_ARG (no such file), NST_ERR_IO, NST_ERR_FORMAT. */
enum nst_status nst_checkpoint_open(struct nst_checkpoint **out, const char *path,
                                    struct nst_err *err);
void nst_checkpoint_close(struct nst_checkpoint *c); /* NULL is fine */

/* Set p to the options of the saved run. NST_ERR_FORMAT. */
enum nst_status nst_checkpoint_apply(const struct nst_checkpoint *c,
                                     struct nst_params *p, struct nst_err *err);
/* Set also the styles and the output of p, if wanted, to those of the saved run.
 * *content is the path of its image, a new string, or NULL: not known. NST_ERR_FORMAT.
 */
enum nst_status nst_checkpoint_apply_files(const struct nst_checkpoint *c,
                                           struct nst_params *p, bool styles,
                                           bool output, char **content,
                                           struct nst_err *err);
/* NST_ERR_ARG if p differs from the saved recipe; only its duration may differ. */
enum nst_status nst_checkpoint_check(const struct nst_checkpoint *c,
                                     const struct nst_params *p, struct nst_err *err);

#endif
