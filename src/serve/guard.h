/* SPDX-License-Identifier: MIT */
/*
 * guard.h - who may ask: the bearer of the token, pages of this service alone, and
 * nobody too often.
 */
#ifndef NST_SERVE_GUARD_H
#define NST_SERVE_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

#include "nst.h"
#include "serve/answer.h"
#include "serve/settings.h"

/* Read the token. NST_ERR_IO, NST_ERR_FORMAT (shorter than 16 characters). */
enum nst_status serve_guard_open(const struct serve_settings *s, struct nst_err *err);
void serve_guard_close(void);

/* May this request go on? If not, *answer says why. open: anybody may ask this;
 * changes: it is no mere look. */
bool serve_guard_admits(struct MHD_Connection *c, bool open, bool changes,
                        struct serve_answer *answer);

#endif
