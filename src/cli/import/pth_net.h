/* SPDX-License-Identifier: MIT */
/*
 * pth_net.h - the feed-forward networks of pytorch/examples' fast_neural_style in a
 * PyTorch checkpoint. Their pictures have values of 0 to 255.
 */
#ifndef NST_CLI_IMPORT_PTH_NET_H
#define NST_CLI_IMPORT_PTH_NET_H

#include "cli/import/pth_file.h"
#include "nst.h"

struct nst_pth_net; /* tensors of a network, to be read */

/* Whether the names of the file's tensors are those of such a network. */
bool nst_pth_net_is(const struct nst_pth_file *f);

/* Ask for the tensors of the network. *out belongs to the caller, after an error too:
 * nst_pth_net_free(). NST_ERR_FORMAT. */
enum nst_status nst_pth_net_want(struct nst_pth_net **out, struct nst_pth_file *f);
void nst_pth_net_free(struct nst_pth_net *n); /* NULL is fine */

/* Once the tensors are read: the same network for pictures of 0 to 1. *w belongs to the
 * caller: nst_net_weights_clear(). NST_ERR_MEM. */
enum nst_status nst_pth_net_convert(const struct nst_pth_net *n,
                                    struct nst_net_weights *w, struct nst_err *err);

#endif
