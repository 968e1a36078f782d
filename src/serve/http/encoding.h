/* SPDX-License-Identifier: MIT */
/* encoding.h - content codings: which one a client accepts, and gzip. */
#ifndef NST_SERVE_HTTP_ENCODING_H
#define NST_SERVE_HTTP_ENCODING_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "serve/http/response.h"

/* True if the request accepts the coding (RFC 9110, section 12.5.3). */
bool serve_accepts_encoding(struct MHD_Connection *c, const char *coding);

/* Compress to gzip at a level from 1 to 9: new bytes for g_free(), or NULL if they
 * would not be fewer. */
char *serve_gzip(const char *bytes, size_t size, int level, size_t *out_size);

/* Compress the response if its body is a long text and the client accepts gzip. No
 * response has a secret in its body (tokens are in headers), so its length tells
 * nothing to somebody who can add to the text (BREACH). */
void serve_response_compress(struct serve_response *response, struct MHD_Connection *c);

#endif
