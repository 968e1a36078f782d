/* SPDX-License-Identifier: MIT */
/*
 * cookie.h - signed cookies: TEXT.EXPIRY.SIGNATURE. The signature is an HMAC with a key
 * that the data folder keeps, so that all services on one folder know it.
 */
#ifndef NST_SERVE_HTTP_COOKIE_H
#define NST_SERVE_HTTP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/identity.h"

#define SERVE_DIGEST_SIZE 65 /* 64 hexadecimal digits of a SHA-256, and a NUL */

struct serve_cookie {
    char text[SERVE_MAX_OWNER + 1];
    int64_t expiry; /* seconds since 1970 */
    char signature[SERVE_DIGEST_SIZE];
};

/* Read the key in DIR/key; the first service makes it. NST_ERR_IO. */
enum nst_status serve_key_open(const char *dir, struct nst_err *err);

/* The HMAC of "KIND\nTEXT", as hexadecimal digits. A signature of one kind is none of
 * another. */
void serve_key_sign(char out[SERVE_DIGEST_SIZE], const char *kind, const char *text);

/* Compare two digests in constant time. */
bool serve_digest_equal(const char *a, const char *b);

/* The value of a cookie for a text, a new string. secret: ends the cookie when it
 * changes. */
char *serve_cookie_make(const char *kind, const char *text, const char *secret,
                        int64_t expiry);
/* Split the value of a cookie (may be NULL). False: it is none, or expired at the time
 * now. */
bool serve_cookie_parse(struct serve_cookie *c, const char *value, int64_t now);
/* True if serve_cookie_make() made it with this kind and secret. */
bool serve_cookie_is_genuine(const struct serve_cookie *c, const char *kind,
                             const char *secret);

#endif
