/* SPDX-License-Identifier: MIT */
/* styles.h - the styles of a training: pictures or style packs, read for its losses. */
#ifndef NST_TRAIN_STYLES_H
#define NST_TRAIN_STYLES_H

#include "net/net_file.h"
#include "session/session.h"
#include "train/scales.h"
#include "train/train.h"

/* The loss of the configured styles, with the network of the session, which outlives
 * it. *out belongs to the caller. The texts of *file about the painting become those of
 * the only style, if that is a pack. NST_ERR_ARG (no such style, or another network's),
 * NST_ERR_IO, NST_ERR_FORMAT, NST_ERR_MEM. */
enum nst_status nst_train_styles_loss(struct nst_train_scales **out,
                                      const struct nst_train_config *c,
                                      struct nst_session *session,
                                      struct nst_net_file *file, struct nst_err *err);

#endif
