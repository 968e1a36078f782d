/* SPDX-License-Identifier: MIT */
/*
 * http.h - requests, from the socket to a route and back. libmicrohttpd's threads read
 * and write; what takes longer than a moment is done by a pool of others while its
 * connection waits.
 */
#ifndef NST_SERVE_HTTP_H
#define NST_SERVE_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "nst.h"
#include "serve/response.h"
#include "serve/settings.h"
#include "serve/upload.h"

enum serve_body { SERVE_BODY_NONE, SERVE_BODY_JSON, SERVE_BODY_FILE };

/* Who answers: what takes longer than a moment waits behind others of its kind alone.
 */
enum serve_pool {
    SERVE_POOL_NONE,
    SERVE_POOL_DISK,      /* it waits for the disk */
    SERVE_POOL_DECODE,    /* for a process (sandbox.h) that looks at a picture */
    SERVE_POOL_EXCLUSIVE, /* for one that has use for the whole machine, perhaps for
                             minutes */
    SERVE_POOLS
};

struct serve_request {
    const struct serve_settings *settings;
    const struct serve_route *route;
    struct MHD_Connection *connection;
    char argument[128];          /* what the route's path has a * for */
    json_t *body;                /* of SERVE_BODY_JSON */
    struct serve_upload *upload; /* of SERVE_BODY_FILE */
};

/* A kind of request. The paths of a table may share a beginning. */
struct serve_route {
    const char *method, *path; /* of which one part may be a *, any text but / */
    struct serve_response (*handler)(struct serve_request *r);
    enum serve_body body;
    const char *field; /* the form's, of SERVE_BODY_FILE */
    enum serve_pool pool;
    bool uses_queue; /* it asks the queue, which may be on another machine */
    bool is_public;  /* no token is needed */
    bool is_stream;  /* it has no end that could be waited for */
};

/*
 * Answer requests by the table, which ends with a route without a method, on that
 * socket, which stays the caller's. NST_ERR_IO.
 */
enum nst_status serve_http_open(const struct serve_settings *s,
                                const struct serve_route *routes, int socket,
                                struct nst_err *err);
/* Accept no more connections, and refuse what changes something. owned: the socket is
 * of no use to anybody else, and who connects is refused. */
void serve_http_quiesce(bool owned);
/* Streams have ended before: serve_events_shutdown(), and children:
 * serve_sandbox_shutdown(). What waits for a thread is told that the service ends. */
void serve_http_close(void);

/* How many were answered with a status of 100 * i. */
void serve_http_count(uint64_t responses[6]);

/* The value of ?name= as a number of that range, or otherwise if there is none; false
 * if it is no such number: *response. */
bool serve_query_integer(struct serve_request *r, const char *name, int64_t min,
                         int64_t max, int64_t default_value, int64_t *out,
                         struct serve_response *response);

#endif
