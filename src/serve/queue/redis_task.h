/* SPDX-License-Identifier: MIT */
/* redis_task.h - code that front ends and workers of a Redis queue share. */
#ifndef NST_SERVE_QUEUE_REDIS_TASK_H
#define NST_SERVE_QUEUE_REDIS_TASK_H

#include <hiredis/hiredis.h>

#include "serve/queue/task.h"

#define SERVE_REDIS_ALL "*" /* in a script: who sees all tasks */

/* who as an argument of scripts: borrowed. NULL sees all tasks. */
const char *serve_redis_who(const struct serve_identity *who);

/* True if the reply, which may be NULL, is this string. */
bool serve_redis_is(const redisReply *r, const char *text);

/* Parse a row of redis_scripts.h, with its place from get.lua if there is one;
 * t->record is a new reference. False: not a task. */
bool serve_task_from_row(struct serve_task *t, const redisReply *row);

/* Remove the work directory of a finished or deleted task and, unless it completed, its
 * result. Does nothing while the task is unfinished. */
void serve_redis_cleanup_task(const char *id);
/* Clean up all tasks that are due in nst:untidy. */
void serve_redis_cleanup(void);

/* Progress as JSON text, a new string. */
char *serve_progress_text(const struct serve_progress *progress);

#endif
