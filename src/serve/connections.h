/* SPDX-License-Identifier: MIT */
/*
 * connections.h - connections, of which libmicrohttpd only sees whether they are idle:
 * who sends a byte now and then must not keep one for ever.
 */
#ifndef NST_SERVE_CONNECTIONS_H
#define NST_SERVE_CONNECTIONS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define SERVE_HEADER_TIMEOUT 20 /* from its last answer to its next request */
#define SERVE_NO_DEADLINE INT64_MAX

struct serve_connection;

/* Begin to end those that take too long, and to have streams say a word now and then.
 * False if there is no thread for it. */
bool serve_connections_open(void);
void serve_connections_close(void);

/* MHD_NotifyConnectionCallback */
void serve_connection_notify(void *cls, struct MHD_Connection *c, void **context,
                             enum MHD_ConnectionNotificationCode code);
struct serve_connection *serve_connection_get(struct MHD_Connection *c);

/* Was it refused before it had a request (request_filter.h)? What still comes is none.
 */
bool serve_connection_rejected(const struct serve_connection *p);

/* It has so many seconds from now, or SERVE_NO_DEADLINE ends. */
void serve_connection_set_deadline(struct serve_connection *p, int64_t seconds);

#endif
