/* SPDX-License-Identifier: MIT */
/* queue_redis.h - what front ends and workers share of the queue on Redis
 * (redis_scripts.h).
 */
#ifndef NST_SERVE_QUEUE_REDIS_H
#define NST_SERVE_QUEUE_REDIS_H

#include <hiredis/hiredis.h>

#include "serve/task.h"

/* The task of a row of a script, whose record is a new reference; false if it is none.
 */
bool serve_task_from_row(struct serve_task *t, const redisReply *row);

/* Remove what a task that is over has left: the folder of work and, unless it was
 * completed, a result. Nothing of one that is not over. */
void serve_redis_cleanup_task(const char *id);
/* The same of all that are due. */
void serve_redis_cleanup(void);

/* A step as a JSON text, and back. */
char *serve_progress_text(const struct serve_progress *progress);

#endif
