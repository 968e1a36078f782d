/* SPDX-License-Identifier: MIT */
/*
 * queue.h - the queue of style-transfer tasks, which run as one nst each: in threads of
 * this process (local.c), or in workers (worker.c) that share a queue in Redis with the
 * front ends (redis_queue.c). Changes are stored before a client learns of them, so
 * that a service that is killed continues after a restart. Thread-safe.
 */
#ifndef NST_SERVE_QUEUE_QUEUE_H
#define NST_SERVE_QUEUE_QUEUE_H

#include "nst.h"
#include "serve/identity.h"
#include "serve/metric_text.h"
#include "serve/queue/task.h"

#define SERVE_MAX_TASKS 64 /* running at the same time */

enum serve_add_status {
    SERVE_ADD_OK,
    SERVE_ADD_QUEUE_FULL,
    SERVE_ADD_PARTY_FULL, /* the party has as many waiting tasks as it may */
    SERVE_ADD_WORK_USED,  /* the work of the day does not suffice */
    SERVE_ADD_SHUTTING_DOWN,
    SERVE_ADD_DISK_FULL,
    SERVE_ADD_IO_ERROR,
    SERVE_ADD_UNAVAILABLE
};

enum serve_cancel_status {
    SERVE_CANCEL_OK,
    SERVE_CANCEL_FINISHED,
    SERVE_CANCEL_UNKNOWN,
    SERVE_CANCEL_UNAVAILABLE
};

enum serve_stop_status {
    SERVE_STOP_OK,
    SERVE_STOP_QUEUED,
    SERVE_STOP_FINISHED,
    SERVE_STOP_UNKNOWN,
    SERVE_STOP_UNAVAILABLE
};

enum serve_delete_status {
    SERVE_DELETE_OK,
    SERVE_DELETE_BUSY,
    SERVE_DELETE_UNKNOWN,
    SERVE_DELETE_UNAVAILABLE
};

enum serve_style_status {
    SERVE_STYLE_UNUSED,
    SERVE_STYLE_IN_USE,
    SERVE_STYLE_UNAVAILABLE
};

struct serve_counts {
    unsigned current[SERVE_STATES];
    uint64_t ended[SERVE_STATES]; /* since the start; in Redis: since its first task */
    uint64_t retries;
    double seconds; /* total duration of completed tasks */
    /* of serve_task_bounds: from the creation of a task to its first start; of each
     * attempt, however it ended */
    struct serve_histogram wait, run;
};

/* Where a task stands in the queue. */
struct serve_place {
    unsigned position, waiting; /* 1: the next one; of so many */
};

/* What a party uses. */
struct serve_usage {
    unsigned waiting, running; /* tasks */
    int64_t work;              /* of the tasks created today (UTC) */
};

struct serve_queue {
    /* Load the tasks and start to process them: serve_queue_open(). */
    enum nst_status (*open)(const struct serve_settings *s,
                            void (*on_change)(const char *id), struct nst_err *err);
    /* Call it every second: it continues what waited for disk space. May be NULL. */
    void (*tick)(void);
    /* Accept and start no more tasks. */
    void (*drain)(void);
    /* The number of tasks that run in this process. */
    unsigned (*running)(void);
    /* Stop running tasks with a checkpoint; unfinished tasks continue after a restart.
     */
    void (*stop)(void);
    /* Call it when no other thread uses the queue any more. */
    void (*close)(void);

    /* The members below are NULL in a worker, which serves no requests. who: they act
     * as if there were only the tasks that who sees (owners.h); NULL: all. */

    /* False: the functions below return ..._UNAVAILABLE or NULL. */
    bool (*reachable)(void);

    /* Queue a task that serve_task_create() has prepared; the record is taken over. The
     * quotas of who apply. SERVE_ADD_OK: *place is its place. */
    enum serve_add_status (*add)(const struct serve_identity *who, const char *id,
                                 json_t *record, struct serve_place *place);

    /* The API's progress object, a new reference; NULL: errno is ENOENT if there is no
     * such task. *version grows with every change; *is_final: there will be no more
     * changes. Both may be NULL. */
    json_t *(*progress)(const struct serve_identity *who, const char *id,
                        unsigned *version, bool *is_final);

    /* Cancel a task; nst is killed if it runs. */
    enum serve_cancel_status (*cancel)(const struct serve_identity *who,
                                       const char *id);

    /* End a running task after its current step, with the picture so far as its result.
     */
    enum serve_stop_status (*stop_and_keep)(const struct serve_identity *who,
                                            const char *id);

    /* Delete a finished task with its result. SERVE_DELETE_BUSY: it is not finished. */
    enum serve_delete_status (*delete_task)(const struct serve_identity *who,
                                            const char *id);

    /* The progress of all unfinished tasks, oldest first: a new reference. */
    json_t *(*list)(const struct serve_identity *who);

    /* The progress of the latest tasks in one state, newest first: a new reference. */
    json_t *(*list_state)(const struct serve_identity *who, enum serve_state state,
                          size_t limit);

    /* A page of the completed tasks, newest first, grouped by content picture: a new
     * reference. *total: the number of completed tasks. */
    json_t *(*history)(const struct serve_identity *who, size_t offset, size_t limit,
                       size_t *total);

    /* Delete the finished tasks of a content picture, with all their pictures; the
     * content picture too, unless it is of somebody else's tasks as well. */
    enum serve_delete_status (*delete_content)(const struct serve_identity *who,
                                               const char *content);

    /* Whether an unfinished task uses a style. */
    enum serve_style_status (*style_status)(const char *style);

    /* Remove uploads that no task uses, as serve_store_sweep(). */
    void (*sweep)(int64_t max_age, size_t max_files);

    void (*count)(struct serve_counts *out);

    /* What a party of the queue uses. False: the queue is unreachable. */
    bool (*usage)(const char *party, struct serve_usage *out);
};

extern const struct serve_queue serve_queue_local, serve_queue_redis, serve_worker;

/* The queue of this process, once serve_queue_open() was called. */
extern const struct serve_queue *serve_queue;

/* Choose the queue by the settings and open it. on_change() is called after each change
 * of a task, without locks held; NULL: any may have changed. NST_ERR_IO. */
enum nst_status serve_queue_open(const struct serve_settings *s,
                                 void (*on_change)(const char *id),
                                 struct nst_err *err);

#endif
