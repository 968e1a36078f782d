/* SPDX-License-Identifier: MIT */
/*
 * auth.h - access control: the bearer token, the Host and Origin headers, and a rate
 * limit per client address.
 */
#ifndef NST_SERVE_HTTP_AUTH_H
#define NST_SERVE_HTTP_AUTH_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/http/response.h"
#include "serve/identity.h"
#include "serve/settings.h"

/* Read the token file; s is borrowed. NST_ERR_IO, NST_ERR_ARG (no such file, or the
 * token is shorter than 16 characters, or too long). */
enum nst_status serve_auth_open(const struct serve_settings *s, struct nst_err *err);
void serve_auth_close(void);

/* The address of the client, as in struct serve_identity. */
void serve_auth_address(struct MHD_Connection *c, char address[INET6_ADDRSTRLEN]);

/* Check a request and set *who sends it. False: *response is the error. is_public: no
 * token is needed; is_mutation: the request changes something, so the rate limit
 * applies. */
bool serve_auth_check(struct MHD_Connection *c, bool is_public, bool is_mutation,
                      struct serve_identity *who, struct serve_response *response);

#endif
