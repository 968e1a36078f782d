/* SPDX-License-Identifier: MIT */
/*
 * connections.h - a deadline for each connection. libmicrohttpd only closes idle
 * connections; a client that sends a byte now and then could keep one for ever.
 */
#ifndef NST_SERVE_HTTP_CONNECTIONS_H
#define NST_SERVE_HTTP_CONNECTIONS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define SERVE_HEADER_TIMEOUT 20 /* seconds from a response to the next request */
#define SERVE_NO_DEADLINE INT64_MAX

struct serve_connection;

/* Start the thread that closes expired connections and sends heartbeats on event
 * streams. False if the thread cannot be created. */
bool serve_connections_open(void);
void serve_connections_close(void);

/* MHD_NotifyConnectionCallback */
void serve_connection_notify(void *cls, struct MHD_Connection *c, void **context,
                             enum MHD_ConnectionNotificationCode code);
struct serve_connection *serve_connection_get(struct MHD_Connection *c);

/* Set the deadline to seconds from now, or to none: SERVE_NO_DEADLINE. */
void serve_connection_set_deadline(struct serve_connection *p, int64_t seconds);

#endif
