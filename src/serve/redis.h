/* SPDX-License-Identifier: MIT */
/*
 * redis.h - connections to the Redis that keeps the queue. None of these functions
 * takes longer than two timeouts of SERVE_REDIS_SECONDS, for connecting and for the
 * answer; while Redis is known to be away they fail at once, and it is tried again with
 * a pause that doubles, up to a second.
 *
 * All functions may be called by any thread.
 */
#ifndef NST_SERVE_REDIS_H
#define NST_SERVE_REDIS_H

#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "nst.h"

#define SERVE_REDIS_SECONDS 2

/* Where it is: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]. Once; connects when
 * there is need. NST_ERR_ARG. */
enum nst_status serve_redis_open(const char *url, struct nst_err *err);
/* After all threads that use it. */
void serve_redis_close(void);

/* Did it answer when it was last asked? */
bool serve_redis_reachable(void);

/* Run a script (redis_scripts.h) with these arguments, texts, up to NULL. Its answer,
 * for freeReplyObject(); NULL if there is none: that it is away has been logged. A
 * script whose answer was lost with a connection is run again. */
redisReply *serve_redis_eval(const char *script, ...) __attribute__((sentinel));

/* Tell of each message of a channel, and of NULL when some may have been missed, until
 * *stopping. */
void serve_redis_subscribe(const char *channel, void (*on_message)(const char *message),
                           const atomic_bool *stopping);

#endif
