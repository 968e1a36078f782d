/* SPDX-License-Identifier: MIT */
/*
 * auth.h - who may ask: the bearer of the token, pages of this service alone, and
 * nobody too often.
 */
#ifndef NST_SERVE_AUTH_H
#define NST_SERVE_AUTH_H

#include <stdbool.h>
#include <sys/socket.h>

#include "nst.h"
#include "serve/response.h"
#include "serve/settings.h"

/* Read the token. NST_ERR_IO, NST_ERR_FORMAT (shorter than 16 characters). */
enum nst_status serve_auth_open(const struct serve_settings *s, struct nst_err *err);
void serve_auth_close(void);

/* May this request go on? If not, *response says why. is_public: anybody may ask this;
 * is_mutation: it is no mere look. */
bool serve_auth_check(struct MHD_Connection *c, bool is_public, bool is_mutation,
                      struct serve_response *response);

#endif
