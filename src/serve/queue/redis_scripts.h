/* SPDX-License-Identifier: MIT */
/*
 * redis_scripts.h - the queue on Redis, as Lua scripts for serve_redis_eval(), made of
 * the files *.lua. Each script is atomic. It may run again if its reply was lost.
 *
 * Keys:
 *   nst:queue         stream of the tasks that have started and are unfinished, field
 *                     id; in its consumer group "workers" they are pending, a consumer
 *                     per process. An older version puts waiting tasks here as well:
 *                     they start before all others.
 *   nst:task:ID       hash of a task:
 *                       state, number, attempts, record (JSON), content (its picture)
 *                       owner    "" if it is everybody's
 *                       party    who shares the queue with others: an owner or an
 *                                address. Tasks of an older version have neither.
 *                       version  incremented by every change
 *                       entry    its entry in nst:queue, once it has started
 *                       holder   random name of the attempt that owns the task
 *                       step     latest progress (JSON), while it runs
 *                       keep     1: its worker ends it with the picture so far
 *                       ends     number of times it finished, for audit: 0, then 1
 *   nst:wait:PARTY    sorted set of its tasks that have not started, by number
 *   nst:parties       sorted set of the parties with such tasks, by turn (fair.h)
 *   nst:turn          the last turn
 *   nst:party:PARTY   hash, while it has unfinished tasks: queued, running (numbers of
 *                     tasks), max_running (its limit; 0: none)
 *   nst:spent:DAY     hash: the work of tasks created on a day since 1970 (UTC), by
 *                     party; kept for two days
 *   nst:moves         how often the places in the queue have changed
 *   nst:next          the last number assigned
 *   nst:open, nst:over, nst:completed
 *                     sorted sets of unfinished, finished and completed tasks, by
 *                     number; completed tasks are in nst:over as well
 *   nst:completed:OWNER
 *                     the completed tasks of an owner; nst:completed: has everybody's
 *   nst:over:PARTY    the finished tasks of a party, by number
 *   nst:kept          sorted set of the parties by the number of these. If there are
 *                     too many, the oldest of the largest party is deleted.
 *   nst:owned         exists once these have the tasks of an older version as well
 *   nst:content:NAME  set of the tasks of a picture
 *   nst:counts        hash: tasks in each state; ended:STATE, retries, seconds; wait:N
 *                     and run:N, buckets of durations, and wait:sum, run:sum
 *   nst:untidy        sorted set of tasks whose files must be removed, by due time
 *
 * Channels: nst:changes publishes the id of each task that changed, "" if the places of
 * all waiting tasks have; nst:work publishes "" when a task may start, or the id of a
 * task that was cancelled or shall stop.
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

/* NAME.lua has the arguments and the reply of each. */
extern const char serve_script_add[];
extern const char serve_script_get[];
extern const char serve_script_history[];
extern const char serve_script_range[];
extern const char serve_script_order[];
extern const char serve_script_usage[];
extern const char serve_script_cancel[];
extern const char serve_script_delete[];
extern const char serve_script_delete_task[];
extern const char serve_script_stop[];
extern const char serve_script_count[];
/* for workers */
extern const char serve_script_claim[];
extern const char serve_script_heartbeat[];
extern const char serve_script_finish[];
extern const char serve_script_release[];
extern const char serve_script_observe[];
extern const char serve_script_cleanup_due[];
extern const char serve_script_cleanup_done[];

#endif
