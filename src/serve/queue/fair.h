/* SPDX-License-Identifier: MIT */
/*
 * fair.h - the order in which waiting tasks start. Tasks belong to parties: an owner,
 * or an address. The next task is the oldest of the party with the fewest running
 * tasks, in turn among those with as few; a party goes to the end of the turn when one
 * of its tasks starts or ends. So each party with waiting tasks comes after at most one
 * task of every other. Not thread-safe.
 */
#ifndef NST_SERVE_QUEUE_FAIR_H
#define NST_SERVE_QUEUE_FAIR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct serve_fair_queue;
struct serve_fair_party;

/* A task, part of the caller's structure, which starts as zero. */
struct serve_fair_task {
    struct serve_fair_party *party; /* NULL: neither waits nor runs */
    GList link;
    bool waits;
    unsigned position; /* for serve_fair_position() */
};

struct serve_fair_queue *serve_fair_new(void);
/* Forgets the tasks; they belong to the caller. NULL is fine. */
void serve_fair_free(struct serve_fair_queue *q);

/* Let a task wait, behind the others of its party. max_running: the party's limit of
 * running tasks from now on; 0: none. */
void serve_fair_add(struct serve_fair_queue *q, struct serve_fair_task *t,
                    const char *party, int64_t max_running);
/* The next task, which now runs; NULL if none may start. */
struct serve_fair_task *serve_fair_start(struct serve_fair_queue *q);
/* A running task waits again, before the others of its party. */
void serve_fair_retry(struct serve_fair_queue *q, struct serve_fair_task *t);
/* A task neither waits nor runs any more; does nothing if it did not before. */
void serve_fair_remove(struct serve_fair_queue *q, struct serve_fair_task *t);

/* The place of a task among those that wait, 1 for the next; 0 if it does not wait. The
 * limits of running tasks and tasks that come later may change it. */
unsigned serve_fair_position(struct serve_fair_queue *q, struct serve_fair_task *t);

/* The number of waiting tasks; and the tasks of one party. */
unsigned serve_fair_waiting(const struct serve_fair_queue *q);
void serve_fair_count(const struct serve_fair_queue *q, const char *party,
                      unsigned *waiting, unsigned *running);
/* Visit all waiting tasks, in no order. */
void serve_fair_foreach(const struct serve_fair_queue *q,
                        void (*visit)(struct serve_fair_task *t));

#endif
