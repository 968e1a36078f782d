/* SPDX-License-Identifier: MIT */
/*
 * auth.h - access control: who sends a request (identity.h), the Host and Origin
 * headers, and limits per client address.
 *
 * A request has a token in the Authorization header, or one of two signed cookies: that
 * of a sign-in, which ends with its token, or without tokens that of a visitor.
 */
#ifndef NST_SERVE_HTTP_AUTH_H
#define NST_SERVE_HTTP_AUTH_H

#include <stdbool.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/http/response.h"
#include "serve/identity.h"
#include "serve/settings.h"

/* Read the tokens, and the key in the data folder, which must exist; s is borrowed.
 * NST_ERR_IO, NST_ERR_ARG (no such file, or a token is wrong: tokens.h). */
enum nst_status serve_auth_open(const struct serve_settings *s, struct nst_err *err);
void serve_auth_close(void);

/* Read the tokens again. On an error the old ones stay. Thread-safe. */
enum nst_status serve_auth_reload(struct nst_err *err);

/* The address of the client, as in struct serve_identity. */
void serve_auth_address(struct MHD_Connection *c, char address[INET6_ADDRSTRLEN]);

/* Check a request and set *who sends it; who->address is set already, and the rest is
 * zero. False: *response is the error. is_public: no
 * token is needed; is_mutation: the request changes something, so the rate limit
 * applies. */
bool serve_auth_check(struct MHD_Connection *c, bool is_public, bool is_mutation,
                      struct serve_identity *who, struct serve_response *response);

/* Count a request that costs as much as a mutation. False: there are too many, and
 * *response is the error. */
bool serve_auth_take_rate(const struct serve_identity *who,
                          struct serve_response *response);

/* True if the service has tokens. */
bool serve_auth_has_tokens(void);

/* Check a token that *who sends, and set whose it is. *cookie is the value of a
 * Set-Cookie header, a new string, for some seconds or, with 0, until the browser ends.
 * False: *response is the error. */
bool serve_auth_sign_in(struct MHD_Connection *c, const char *token, int64_t seconds,
                        struct serve_identity *who, char **cookie,
                        struct serve_response *response);
/* The Set-Cookie header that ends a sign-in, a new string. */
char *serve_auth_sign_out(struct MHD_Connection *c);

/* Without tokens, set or renew the visitor's cookie. */
void serve_auth_greet(struct MHD_Connection *c, const struct serve_identity *who,
                      struct serve_response *response);

#endif
