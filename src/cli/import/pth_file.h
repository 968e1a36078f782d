/* SPDX-License-Identifier: MIT */
/*
 * pth_file.h - reads tensors of a PyTorch checkpoint (torch.save() of a state
 * dictionary): the zip format of PyTorch 1.6 and later, and the legacy format before
 * it. Nothing in the file is executed; anything but tensors is an error.
 */
#ifndef NST_CLI_IMPORT_PTH_FILE_H
#define NST_CLI_IMPORT_PTH_FILE_H

#include <stdint.h>

#include "cli/import/pickle.h"
#include "nst.h"

struct nst_pth_file; /* during nst_pth_file_read() */

/* The names of the dictionary's tensors, count of them; borrowed. */
const char *const *nst_pth_file_tensors(const struct nst_pth_file *f, size_t *count);

/*
 * Let the floats of a tensor be read into *to, a new array that belongs to the caller.
 * size and rank become its shape. NST_ERR_FORMAT: there is no contiguous tensor of
 * floats of that name with sides of at most 4096; NST_ERR_ARG: too many were asked for.
 */
enum nst_status nst_pth_file_want(struct nst_pth_file *f, const char *name, float **to,
                                  int64_t size[4], int *rank);

/* NST_ERR_FORMAT: PATH: NAME: WHAT. */
enum nst_status nst_pth_file_error(const struct nst_pth_file *f, const char *name,
                                   const char *what);

/*
 * Read the file at path. choose() calls nst_pth_file_want() for the tensors it needs,
 * of the file's dictionary of tensors, or of the first one in its dictionary:
 * checkpoints have the state of an optimiser beside that of the model. NST_ERR_ARG (no
 * such file), NST_ERR_IO, NST_ERR_FORMAT, NST_ERR_MEM, and errors of choose(); messages
 * begin with the path.
 */
enum nst_status nst_pth_file_read(const char *path,
                                  enum nst_status (*choose)(void *ctx,
                                                            struct nst_pth_file *f,
                                                            struct nst_err *err),
                                  void *ctx, struct nst_err *err);

#endif
