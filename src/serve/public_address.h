/* SPDX-License-Identifier: MIT */
/* public_address.h - whether an address is on the public Internet. */
#ifndef NST_SERVE_PUBLIC_ADDRESS_H
#define NST_SERVE_PUBLIC_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False for private, loopback, link-local, multicast, reserved and unknown addresses,
 * also if an IPv6 address contains one of them. */
bool serve_address_is_public(const struct sockaddr *address);

#endif
