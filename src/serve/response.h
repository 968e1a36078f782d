/* SPDX-License-Identifier: MIT */
/*
 * response.h - what a request is answered with: a status and a response of
 * libmicrohttpd, with the headers that keep a browser from doing what it should not.
 */
#ifndef NST_SERVE_RESPONSE_H
#define NST_SERVE_RESPONSE_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serve_response {
    unsigned status; /* of HTTP */
    struct MHD_Response *mhd;
};

/* Pages of another origin that may read answers, or NULL. Once, before any answer. */
void serve_response_allow_origin(const char *origin);

/* j is taken over. */
struct serve_response serve_response_json(unsigned status, json_t *j);
/* {"error": "..."} */
struct serve_response serve_response_error(unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, of which a client may try again after some seconds. */
struct serve_response serve_response_retry_after(unsigned status, unsigned seconds,
                                                 const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The queue is away (tasks.h): the same. */
struct serve_response serve_response_unavailable(void);
/* What goes over the line for such an error, where there is no request of
 * libmicrohttpd's to answer: a new string, which says that the connection ends. */
char *serve_response_raw_error(unsigned status, const char *text, bool with_body);
/* text, of malloc(), is taken over. */
struct serve_response serve_response_text(const char *type, char *text);
/* The same of bytes that are no text. */
struct serve_response serve_response_data(const char *type, void *bytes, size_t size);
/* A file that never changes, or one that does; closes fd. */
struct serve_response serve_response_file(int fd, uint64_t size, const char *type,
                                          bool may_change);

/* A response with the headers that all have, and this media type. */
struct MHD_Response *serve_response_add_headers(struct MHD_Response *r,
                                                const char *type);

#endif
