/* SPDX-License-Identifier: MIT */
/*
 * pth.h - reads networks from PyTorch checkpoints: a VGG19, or a feed-forward network
 * of pytorch/examples' fast_neural_style (of any width, with any number of blocks).
 */
#ifndef NST_CLI_IMPORT_PTH_H
#define NST_CLI_IMPORT_PTH_H

#include "nst.h"

/*
 * Read the network at path into *vgg, which belongs to the caller (nst_weights_free()),
 * or into *net (nst_net_weights_clear()); the other becomes empty. Nothing in the file
 * is executed; anything but tensors is an error. Pictures go through *net as RGB of 0
 * to
 * 1. NST_ERR_IO, NST_ERR_FORMAT (also another network), NST_ERR_MEM; messages begin
 * with the path. Without libarchive: NST_ERR_IO.
 */
enum nst_status nst_pth_load(struct nst_weights **vgg, struct nst_net_weights *net,
                             const char *path, struct nst_err *err);

#endif
