/* SPDX-License-Identifier: MIT */
/*
 * redis_scripts.h - the queue on Redis, as Lua scripts for serve_redis_eval(). Each
 * script is atomic. It may run again if its reply was lost.
 *
 * Keys:
 *   nst:queue         stream of unfinished tasks, field id; in its consumer group
 *                     "workers" the running tasks are pending, a consumer per process
 *   nst:task:ID       hash of a task:
 *                       state, number, attempts, record (JSON), content (its picture)
 *                       version  incremented by every change
 *                       entry    its entry in nst:queue
 *                       holder   random name of the attempt that owns the task
 *                       step     latest progress (JSON), while it runs
 *                       ends     number of times it finished, for audit: 0, then 1
 *   nst:next          the last number assigned
 *   nst:open, nst:over, nst:completed
 *                     sorted sets of unfinished, finished and completed tasks, by
 *                     number; completed tasks are in nst:over as well
 *   nst:content:NAME  set of the tasks of a picture
 *   nst:counts        hash: tasks in each state; ended:STATE, retries, seconds
 *   nst:untidy        sorted set of tasks whose files must be removed, by due time
 * Channels: nst:changes publishes the id of each task that changed; nst:work publishes
 * "" when a task is queued, or the id of a task that was cancelled.
 *
 * States: queued -claim-> running -finish-> completed or failed
 *         running -release-> queued: nst crashed, or the worker shuts down
 *         running -claim-> running: the worker sent no heartbeat for the lease
 *         queued or running -cancel-> cancelled; finished -delete, evict-> gone
 * A worker resets the idle time of its entries by heartbeats. An entry that was idle
 * for the lease goes to the next worker that claims, with a new holder; the previous
 * holder can no longer change or finish the task. A released entry gets a very long
 * idle time, so that it is claimed first.
 */
#ifndef NST_SERVE_QUEUE_REDIS_SCRIPTS_H
#define NST_SERVE_QUEUE_REDIS_SCRIPTS_H

#define SERVE_CHANNEL_CHANGES "nst:changes"
#define SERVE_CHANNEL_WORK "nst:work"

/*
 * Arguments: result. A row of a task is id, state, attempts, version, record, step.
 */

/* id, record, content, queue limit: "added" or "full" */
extern const char serve_script_add[];
/* id: its row, or nil */
extern const char serve_script_get[];
/* first, last (indices): number of completed tasks, then their rows, newest first */
extern const char serve_script_history[];
/* sorted set, number, limit: the largest number found, then rows after that number */
extern const char serve_script_range[];
/* id, lease in seconds, history limit: "done", "over" or "unknown" */
extern const char serve_script_cancel[];
/* content: "forgotten", "busy" or "unknown" */
extern const char serve_script_delete[];
/* no argument: nst:counts */
extern const char serve_script_count[];

/* consumer, holder, lease in ms: a row and the previous state, or nil */
extern const char serve_script_claim[];
/* id, holder, consumer, step or "": 1, or 0 if the holder has lost the task */
extern const char serve_script_heartbeat[];
/* id, holder, state, record, seconds, history limit: as heartbeat */
extern const char serve_script_finish[];
/* id, holder, attempts, retries to count (0 or 1): as heartbeat */
extern const char serve_script_release[];

/* no argument: ids of tasks whose cleanup is due */
extern const char serve_script_cleanup_due[];
/* id, state at the cleanup, "" or seconds until a retry: 1. Has no effect if the state
 * has changed since. */
extern const char serve_script_cleanup_done[];

#endif
