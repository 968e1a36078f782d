/* SPDX-License-Identifier: MIT */
/* address.h - the client's address and protocol, which a proxy may tell. */
#ifndef NST_SERVE_HTTP_ADDRESS_H
#define NST_SERVE_HTTP_ADDRESS_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>

/* The client's address as a key: of IPv6 the /64 prefix, which one client owns. "" on a
 * Unix socket. behind_proxy: the last element of X-Forwarded-For, if it is one. */
void serve_client_address(struct MHD_Connection *c, bool behind_proxy,
                          char address[INET6_ADDRSTRLEN]);

/* True if a proxy says that the client uses TLS: X-Forwarded-Proto. */
bool serve_client_uses_tls(struct MHD_Connection *c, bool behind_proxy);

#endif
