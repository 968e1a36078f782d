/* SPDX-License-Identifier: MIT */
/*
 * local_runner.h - the state of the queue in this process, and its threads, each of
 * which runs one task at a time. local.c has the requests of clients.
 */
#ifndef NST_SERVE_QUEUE_LOCAL_RUNNER_H
#define NST_SERVE_QUEUE_LOCAL_RUNNER_H

#include <pthread.h>

#include "serve/queue/queue.h"
#include "serve/queue/room.h"
#include "serve/queue/task_table.h"

struct serve_local {
    const struct serve_settings *settings;
    void (*on_change)(const char *id);
    pthread_t threads[SERVE_MAX_TASKS];
    unsigned thread_count, running;

    pthread_mutex_t lock; /* protects running, the table and the members below */
    pthread_cond_t not_empty;
    struct serve_fair_queue *queue; /* the tasks that wait, and those that run */
    struct serve_room room;
    bool draining, stopping; /* start no more tasks; stop running tasks */
};

extern struct serve_local serve_local;

/* The members of serve_queue. */
enum nst_status serve_local_open(const struct serve_settings *s,
                                 void (*on_change)(const char *id),
                                 struct nst_err *err);
void serve_local_tick(void);
void serve_local_drain(void);
unsigned serve_local_running(void);
void serve_local_stop(void);
void serve_local_close(void);

/* Let a task wait for its turn. The lock is held. */
void serve_local_enqueue(struct serve_table_entry *t);
/* Cancel a task and remove its files. The lock is held. */
void serve_local_set_cancelled(struct serve_table_entry *t);
/* The places in the queue have changed. The lock is held; call
 * serve_local_tell_places() later. */
void serve_local_change_places(void);
/* Tell the clients of waiting tasks. The lock is not held. */
void serve_local_tell_places(void);

#endif
