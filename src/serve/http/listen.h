/* SPDX-License-Identifier: MIT */
/* listen.h - the listening socket, opened here or by systemd, and sd_notify(). */
#ifndef NST_SERVE_HTTP_LISTEN_H
#define NST_SERVE_HTTP_LISTEN_H

#include <stdbool.h>

#include "base/alloc.h"
#include "nst.h"

/*
 * Use the socket that systemd passed, or else listen on ADDRESS:PORT ([ADDRESS]:PORT
 * for IPv6) and set *owned. *name is a new string with the bound address; *local: only
 * this machine can reach it. NST_ERR_ARG (invalid address, systemd passed several
 * sockets), NST_ERR_IO.
 */
enum nst_status serve_listen(int *socket, bool *owned, const char *listen, char **name,
                             bool *local, struct nst_err *err);

/* Send a state such as "READY=1" to systemd; does nothing without systemd. */
void serve_notify(const char *state);

#endif
