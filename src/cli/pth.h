/* SPDX-License-Identifier: MIT */
/*
 * pth.h - the convolutions of a VGG19 from a PyTorch checkpoint (torch.save() of a
 * state dictionary): the zip files of PyTorch 1.6 and later, and the plain ones before
 * them, as torchvision's are.
 */
#ifndef NST_CLI_PTH_H
#define NST_CLI_PTH_H

#include <stdbool.h>

#include "nst.h"

/* Does the file begin as one of them? False too if it cannot be read. */
bool nst_pth_detect(const char *path);

/* Read as many convolutions as there are, up to convs. *out belongs to the caller:
 * nst_weights_free(). Nothing in the file is executed; what is no tensor is an error.
 * NST_ERR_IO, NST_ERR_FORMAT, NST_ERR_MEM; messages begin with the path. */
enum nst_status nst_pth_load(struct nst_weights **out, const char *path, int convs,
                             struct nst_err *err);

#endif
