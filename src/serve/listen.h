/* SPDX-License-Identifier: MIT */
/* listen.h - the socket of the service, its own or systemd's, and what systemd is told.
 */
#ifndef NST_SERVE_LISTEN_H
#define NST_SERVE_LISTEN_H

#include <stdbool.h>

#include "nst.h"

/*
 * A socket that listens on ADDRESS:PORT ([ADDRESS]:PORT for IPv6), or the one that was
 * handed over at the start, which is not its *owned; *name, a new string, is what it is
 * bound to, and *local whether only this machine reaches it. NST_ERR_ARG (no such
 * address, several sockets handed over), NST_ERR_IO.
 */
enum nst_status serve_listen(int *socket, bool *owned, const char *listen, char **name,
                             bool *local, struct nst_err *err);

/* "READY=1" and the like, to the one who started this; nothing without one. */
void serve_notify(const char *state);

#endif
