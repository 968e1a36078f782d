/* SPDX-License-Identifier: MIT */
/*
 * redis_scripts.h - the queue on Redis, as scripts for serve_redis_eval(). Each is one
 * change that is made whole or not at all, by whichever front end or worker, and may be
 * run again when its answer was lost.
 *
 * Keys:
 *   nst:queue         stream of tasks that are not over, field id; its group "workers"
 *                     has delivered those that run, to consumers that are processes
 *   nst:task:ID       hash of a task:
 *                       state, number, attempts, record (JSON), content (its picture)
 *                       version  grows with every change
 *                       entry    its entry of nst:queue
 *                       holder   the attempt that may change it, a random name
 *                       step     the latest one (JSON), while it runs
 *                       ends     how often it ended, an audit: 0, then 1
 *   nst:next          the last number given
 *   nst:open, nst:over, nst:completed
 *                     sorted sets of tasks, by number; the third is part of the second
 *   nst:content:NAME  set of the tasks of a picture
 *   nst:counts        hash: how many are in each state; ended:STATE, retries, seconds
 *   nst:untidy        sorted set of tasks that files are to be removed of, by when
 * Channels: nst:changes has the id of each task that changed; nst:work says that a task
 * waits, or has the id of one that its holder has lost.
 *
 * States: queued -take-> running -end-> completed or failed
 *         running -release-> queued: it crashed, or its worker ends
 *         running -take-> running: its worker was not heard of for the lease
 *         queued or running -cancel-> cancelled; over -forget, or too old-> gone
 * A worker that runs a task keeps its entry of the group young (beat). Entries that are
 * as old as the lease go to who asks next (take), with a new holder, and whoever had
 * them before can change nothing any more, nor end it a second time. Entries that are
 * released are made very old, so that they are next.
 */
#ifndef NST_SERVE_REDIS_SCRIPTS_H
#define NST_SERVE_REDIS_SCRIPTS_H

#define SERVE_CHANNEL_CHANGES "nst:changes"
#define SERVE_CHANNEL_WORK "nst:work"

/* A row of a task is id, state, attempts, version, record, step. */

/* id, record, content, most that wait: "added" or "full" */
extern const char serve_script_add[];
/* id: its row, or nil */
extern const char serve_script_get[];
/* first, last: how many were completed, and rows of those, the newest first */
extern const char serve_script_history[];
/* sorted set, number, how many: the last of the numbers after that, and the rows */
extern const char serve_script_range[];
/* id, lease in seconds, most that are kept: "done", "over" or "unknown" */
extern const char serve_script_cancel[];
/* content: "forgotten", "busy" or "unknown" */
extern const char serve_script_delete[];
/* no argument: nst:counts */
extern const char serve_script_count[];

/* consumer, holder, lease in ms: a row, and the state it was in; or nil */
extern const char serve_script_claim[];
/* id, holder, consumer, step or "": 0 if it is held no more */
extern const char serve_script_heartbeat[];
/* id, holder, state, record, seconds, most that are kept: the same */
extern const char serve_script_finish[];
/* id, holder, attempts, how many retries that is: the same */
extern const char serve_script_release[];

/* no argument: ids of tasks whose files are to be looked at */
extern const char serve_script_cleanup_due[];
/* id, that state, seconds after which to look again or "": that was done */
extern const char serve_script_cleanup_done[];

#endif
