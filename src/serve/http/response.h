/* SPDX-License-Identifier: MIT */
/*
 * response.h - HTTP responses: a status and a response of libmicrohttpd, with the
 * security headers for browsers.
 */
#ifndef NST_SERVE_HTTP_RESPONSE_H
#define NST_SERVE_HTTP_RESPONSE_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serve_response {
    unsigned status; /* HTTP */
    struct MHD_Response *mhd;
};

/* Set the origin that may read responses (CORS), or NULL. Call it once, at the start.
 */
void serve_response_allow_origin(const char *origin);

/* j is taken over. */
struct serve_response serve_response_json(unsigned status, json_t *j);
/* {"error": "..."} */
struct serve_response serve_response_error(unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with Retry-After. */
struct serve_response serve_response_retry_after(unsigned status, unsigned seconds,
                                                 const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* 503 with Retry-After: the queue is unreachable. */
struct serve_response serve_response_unavailable(void);
/* text, from malloc(), is taken over. */
struct serve_response serve_response_text(const char *type, char *text);
/* bytes, from malloc(), is taken over. */
struct serve_response serve_response_data(const char *type, void *bytes, size_t size);
/* A file; fd is taken over. may_change: the response must not be cached. */
struct serve_response serve_response_file(int fd, uint64_t size, const char *type,
                                          bool may_change);

/* Add the media type and the common headers; returns r. */
struct MHD_Response *serve_response_add_headers(struct MHD_Response *r,
                                                const char *type);

#endif
