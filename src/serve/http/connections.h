/* SPDX-License-Identifier: MIT */
/*
 * connections.h - a deadline for each connection. libmicrohttpd only closes idle
 * connections; a client that sends a byte now and then could keep one for ever. The
 * deadline of a response moves on while the client reads: a large picture may take
 * hours over a slow line, but a client that reads nothing is cut.
 */
#ifndef NST_SERVE_HTTP_CONNECTIONS_H
#define NST_SERVE_HTTP_CONNECTIONS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define SERVE_HEADER_TIMEOUT 20 /* seconds from a response to the next request */

struct serve_connection;

/* Start the thread that closes expired connections and sends heartbeats on event
 * streams. A client that reads too little of its response for send_timeout seconds is
 * cut. False if the thread cannot be created. */
bool serve_connections_open(int64_t send_timeout);
void serve_connections_close(void);

/* MHD_NotifyConnectionCallback */
void serve_connection_notify(void *cls, struct MHD_Connection *c, void **context,
                             enum MHD_ConnectionNotificationCode code);
struct serve_connection *serve_connection_get(struct MHD_Connection *c);

/* A request begins: its response must begin within seconds. */
void serve_connection_request(struct serve_connection *p, int64_t seconds);
/* Its response begins. endless: an event stream, without deadline. */
void serve_connection_respond(struct serve_connection *p, struct MHD_Connection *c,
                              bool endless);
/* The response is handed to the kernel: the next request must begin within
 * SERVE_HEADER_TIMEOUT after the client has taken it. idle_seconds: libmicrohttpd's
 * timeout for that request. */
void serve_connection_complete(struct serve_connection *p, struct MHD_Connection *c,
                               unsigned idle_seconds);

#endif
