/* SPDX-License-Identifier: MIT */
/*
 * response.h - HTTP responses: a status and a response of libmicrohttpd, with the
 * security headers for browsers.
 */
#ifndef NST_SERVE_HTTP_RESPONSE_H
#define NST_SERVE_HTTP_RESPONSE_H

#include <glib.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/http/conditional.h"

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
    SERVE_REASON_CONDITION, /* of a range, or of a version */
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
    const char *text; /* its body, which belongs to mhd, if it may be compressed */
    uint64_t size;    /* bytes of the body, or SERVE_SIZE_UNKNOWN */
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
/* 200 with {"message": "..."} */
struct serve_response serve_response_message(const char *text);
/* 404: the request names something that does not exist. what: its kind. */
struct serve_response serve_response_unknown(const char *what, const char *name);
/* 503 with Retry-After: the queue is unreachable. */
struct serve_response serve_response_unavailable(void);
/* text, from malloc(), is taken over. */
struct serve_response serve_response_text(const char *type, char *text);
/* The same for a text that several responses share; a reference is taken over. */
struct serve_response serve_response_shared(const char *type, GRefString *text);

/* A request for a picture, and the type of the answer. */
struct serve_picture_request {
    struct MHD_Connection *connection;
    bool is_head;
    bool may_change; /* the same path may have other contents later */
    const char *type;
};

/* The whole picture, a range of it, or the error of a condition that the request sets;
 * see conditional.h. fd, a regular file, is taken over. */
struct serve_response serve_response_file(const struct serve_picture_request *p,
                                          int fd);
/* The same for bytes from malloc(), which are taken over. */
struct serve_response serve_response_bytes(const struct serve_picture_request *p,
                                           void *bytes, size_t size);
/* A response without contents for a selection that has none: 304, 412 or 416. size: of
 * the representation; cache: the Cache-Control header. */
struct serve_response serve_response_unselected(const struct serve_selection *s,
                                                const struct serve_validator *v,
                                                uint64_t size, const char *cache);
/* Add ETag, Last-Modified and Cache-Control. */
void serve_response_add_validator(struct MHD_Response *r,
                                  const struct serve_validator *v, const char *cache);

/* Add the media type, unless NULL, and the common headers; returns r. */
struct MHD_Response *serve_response_add_headers(struct MHD_Response *r,
                                                const char *type);

#endif
