/* SPDX-License-Identifier: MIT */
/*
 * redis.h - a pool of connections to the Redis server of the queue. A call takes at
 * most two timeouts of SERVE_REDIS_SECONDS, one to connect and one for the reply. While
 * Redis is unreachable, calls fail at once; reconnection backs off exponentially, up to
 * one second. Thread-safe.
 */
#ifndef NST_SERVE_QUEUE_REDIS_H
#define NST_SERVE_QUEUE_REDIS_H

#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "nst.h"

#define SERVE_REDIS_SECONDS 2

/* Set the server: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]. Call it once; the
 * first call that needs a connection connects. NST_ERR_ARG. */
enum nst_status serve_redis_open(const char *url, struct nst_err *err);
/* Call it when no other thread uses Redis any more. */
void serve_redis_close(void);

/* True if the last call got a reply. */
bool serve_redis_reachable(void);

/* Run a script (redis_scripts.h) with string arguments, terminated by NULL. The reply
 * belongs to the caller: freeReplyObject(). NULL if Redis is unreachable or replies
 * with an error, which is logged. A script whose reply was lost with a connection runs
 * again. */
redisReply *serve_redis_eval(const char *script, ...) __attribute__((sentinel));

/* Subscribe to a channel until *stopping. Calls on_message() for each message, and with
 * NULL after each (re)connection, when messages may have been missed. */
void serve_redis_subscribe(const char *channel, void (*on_message)(const char *message),
                           const atomic_bool *stopping);

#endif
