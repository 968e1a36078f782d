/* SPDX-License-Identifier: MIT */
/*
 * tokens.h - the file of --tokens. Each line is
 *     NAME ROLE TOKEN [QUOTA=N]...
 * with the role user or operator, the token itself or sha256:HEX, and the quotas
 * waiting, running, bytes and work-per-day. A word that begins with # begins a comment.
 */
#ifndef NST_SERVE_HTTP_TOKENS_H
#define NST_SERVE_HTTP_TOKENS_H

#include <stdbool.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/http/cookie.h"
#include "serve/identity.h"

struct serve_token {
    char name[SERVE_MAX_OWNER + 1];
    bool is_operator;
    struct serve_quota quota;       /* operators: none */
    char digest[SERVE_DIGEST_SIZE]; /* the SHA-256 of the token */
};

struct serve_tokens;

/* Read a file. quota is what a user has whose line says nothing else. *out belongs to
 * the caller. NST_ERR_IO, NST_ERR_ARG: no such file, or a line is wrong. */
enum nst_status serve_tokens_read(struct serve_tokens **out, const char *path,
                                  const struct serve_quota *quota, struct nst_err *err);
/* The one token in the first line of a file, which is the operator's. As above. */
enum nst_status serve_tokens_read_one(struct serve_tokens **out, const char *path,
                                      struct nst_err *err);
void serve_tokens_free(struct serve_tokens *t);

/* True if the file has tokens themselves and everybody may read it. */
bool serve_tokens_are_exposed(const struct serve_tokens *t);

/* The entry of a token, compared in constant time, or of a name; NULL if there is none.
 */
const struct serve_token *serve_tokens_find(const struct serve_tokens *t,
                                            const char *token);
const struct serve_token *serve_tokens_named(const struct serve_tokens *t,
                                             const char *name);

/* Set one quota from "NAME=N", N a whole number with an optional K, M, G or T.
 * Otherwise *error is a new string, which says what is wrong. */
bool serve_quota_set(struct serve_quota *quota, const char *text, char **error);

#endif
