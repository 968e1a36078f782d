/* SPDX-License-Identifier: MIT */
/*
 * server.h - the HTTP server: dispatches requests to the handlers of a route table.
 * libmicrohttpd's threads do the network I/O. Handlers that block run in thread pools
 * while their connection is suspended.
 */
#ifndef NST_SERVE_HTTP_SERVER_H
#define NST_SERVE_HTTP_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/http/pools.h"
#include "serve/http/response.h"
#include "serve/http/upload.h"
#include "serve/identity.h"
#include "serve/settings.h"

enum serve_body { SERVE_BODY_NONE, SERVE_BODY_JSON, SERVE_BODY_FILE };

struct serve_request {
    const struct serve_settings *settings;
    const struct serve_route *route;
    struct MHD_Connection *connection;
    struct serve_identity identity;
    bool is_head;       /* HEAD, which is handled as GET */
    char argument[128]; /* the part of the path that matched * */
    const char *change; /* what a success has changed; NULL: as the route says */
    char created[128];  /* the ID of what the handler has created, or "" */
    json_t *body;       /* SERVE_BODY_JSON: an object */
    struct serve_upload *upload; /* SERVE_BODY_FILE */
};

/* A route: the method and path that select it, and how the request is handled. */
struct serve_route {
    const char *method, *path; /* one * in the path matches any text without / */
    struct serve_response (*handler)(struct serve_request *r);
    enum serve_body body;
    const char *field; /* SERVE_BODY_FILE: the name of the form field */
    enum serve_pool pool;
    bool uses_queue;    /* asks the queue, which may be on another machine */
    bool is_public;     /* needs no token */
    bool is_stream;     /* the response is endless: no deadline */
    const char *change; /* or NULL: what a success has changed, for the log */
};

/*
 * Start to serve the routes on a listening socket. The table ends with a route without
 * a method; s and routes are borrowed, and the caller closes the socket. NST_ERR_IO.
 */
enum nst_status serve_http_open(const struct serve_settings *s,
                                const struct serve_route *routes, int socket,
                                struct nst_err *err);
/* Accept no more connections and reject mutations with 503. owned: also shut the
 * socket down, so that clients are refused; otherwise they wait for the next server. */
void serve_http_quiesce(bool owned);
/* Stop the server; call serve_events_shutdown() and serve_sandbox_shutdown() first.
 * Requests that wait for a pool get a 503. */
void serve_http_close(void);

/* Serve a connected socket, which is taken over, as if a client had connected. Its
 * requests are neither counted nor in the access log. False: there are too many
 * connections. */
bool serve_http_connect(int fd);
/* The number of open connections. */
unsigned serve_http_connections(void);

/* Parse ?name= as an integer from min to max; *out is default_value without one. False
 * if it is not valid: *response is the error. */
bool serve_query_integer(struct serve_request *r, const char *name, int64_t min,
                         int64_t max, int64_t default_value, int64_t *out,
                         struct serve_response *response);

#endif
