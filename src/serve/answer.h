/* SPDX-License-Identifier: MIT */
/*
 * answer.h - what a request is answered with: a status and a response of libmicrohttpd,
 * with the headers that keep a browser from doing what it should not.
 */
#ifndef NST_SERVE_ANSWER_H
#define NST_SERVE_ANSWER_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serve_answer {
    unsigned status; /* of HTTP */
    struct MHD_Response *response;
};

/* Pages of another origin that may read answers, or NULL. Once, before any answer. */
void serve_answer_allow(const char *origin);

/* j is taken over. */
struct serve_answer serve_answer_json(unsigned status, json_t *j);
/* {"error": "..."} */
struct serve_answer serve_answer_error(unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, of which a client may try again after some seconds. */
struct serve_answer serve_answer_later(unsigned status, unsigned seconds,
                                       const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The queue is away (tasks.h): the same. */
struct serve_answer serve_answer_away(void);
/* What goes over the line for such an error, where there is no request of
 * libmicrohttpd's to answer: a new string, which says that the connection ends. */
char *serve_answer_bytes(unsigned status, const char *text, bool with_body);
/* text, of malloc(), is taken over. */
struct serve_answer serve_answer_text(const char *type, char *text);
/* The same of bytes that are no text. */
struct serve_answer serve_answer_data(const char *type, void *bytes, size_t size);
/* A file that never changes, or one that does; closes fd. */
struct serve_answer serve_answer_file(int fd, uint64_t size, const char *type,
                                      bool changes);

/* A response with the headers that all have, and this media type. */
struct MHD_Response *serve_response(struct MHD_Response *r, const char *type);

#endif
