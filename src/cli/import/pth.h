/* SPDX-License-Identifier: MIT */
/*
 * pth.h - reads the convolutions of a VGG19 from a PyTorch checkpoint (torch.save() of
 * a state dictionary): the zip format of PyTorch 1.6 and later, and the legacy format
 * before it, which torchvision's files use.
 */
#ifndef NST_CLI_IMPORT_PTH_H
#define NST_CLI_IMPORT_PTH_H

#include "nst.h"

/*
 * Read all convolutions that the file has. Nothing in the file is executed; anything
 * but tensors is an error. *out belongs to the caller: nst_weights_free(). NST_ERR_IO,
 * NST_ERR_FORMAT (also another network), NST_ERR_MEM; messages begin with the path.
 * Without libarchive: NST_ERR_IO.
 */
enum nst_status nst_pth_load(struct nst_weights **out, const char *path,
                             struct nst_err *err);

#endif
