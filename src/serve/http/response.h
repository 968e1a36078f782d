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

#define SERVE_SIZE_UNKNOWN UINT64_MAX

/* Why a request has a status of 400 or above, for /metrics. */
enum serve_reason {
    SERVE_REASON_NONE, /* in a response: as the status says */
    SERVE_REASON_HOST,
    SERVE_REASON_ORIGIN,
    SERVE_REASON_RATE,
    SERVE_REASON_QUEUE_FULL,
    SERVE_REASON_QUOTA,
    SERVE_REASON_BUSY,
    SERVE_REASON_SHUTTING_DOWN,
    SERVE_REASON_STYLES_FULL,
    /* of a status */
    SERVE_REASON_INVALID,
    SERVE_REASON_TOKEN,
    SERVE_REASON_FORBIDDEN,
    SERVE_REASON_NOT_FOUND,
    SERVE_REASON_METHOD,
    SERVE_REASON_CONFLICT,
    SERVE_REASON_TOO_LARGE,
    SERVE_REASON_HEAD_TOO_LARGE,
    SERVE_REASON_MEDIA_TYPE,
    SERVE_REASON_DISK_FULL,
    SERVE_REASON_UNAVAILABLE,
    SERVE_REASON_INTERNAL,
    SERVE_REASON_OTHER,
    SERVE_REASONS
};

extern const char *const serve_reason_names[SERVE_REASONS];

struct serve_response {
    unsigned status; /* HTTP */
    struct MHD_Response *mhd;
    uint64_t size; /* bytes of the body, or SERVE_SIZE_UNKNOWN */
    enum serve_reason reason;
};

/* The reason that the response has, or that of its status; SERVE_REASON_NONE below 400.
 */
enum serve_reason serve_response_reason(const struct serve_response *r);
/* r with a reason. */
struct serve_response serve_response_because(enum serve_reason reason,
                                             struct serve_response r);

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
