/* SPDX-License-Identifier: MIT */
/* What takes the place of pth.c in a build without libarchive. */
#include "config.h"

#include "cli/import/pth.h"

#include <stddef.h>

enum nst_status nst_pth_load(struct nst_weights **vgg, struct nst_net_weights *net,
                             const char *path, struct nst_err *err)
{
    *vgg = NULL;
    *net = (struct nst_net_weights){.count = 0};
    return nst_err_set(
        err, NST_ERR_IO,
        "%s: PyTorch checkpoints need libarchive, and this nst-model was "
        "built without it; rebuild it (configure --with-archive) or "
        "convert the file with a build that has it",
        path);
}
