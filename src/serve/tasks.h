/* SPDX-License-Identifier: MIT */
/*
 * tasks.h - the queue of style-transfer tasks. Threads in this process or in workers
 * (queue.h) run one nst each at a time. Changes are stored before a client learns of
 * them, so that a service that is killed continues after a restart. Thread-safe.
 */
#ifndef NST_SERVE_TASKS_H
#define NST_SERVE_TASKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/settings.h"

#define SERVE_TASK_ID_LENGTH 32 /* hexadecimal digits */
#define SERVE_MAX_TASKS 64      /* running at the same time */

enum serve_state {
    SERVE_QUEUED,
    SERVE_RUNNING,
    SERVE_COMPLETED,
    SERVE_FAILED,
    SERVE_CANCELLED,
    SERVE_STATES
};

extern const char *const serve_state_names[SERVE_STATES];

/* Load the tasks and start to process them. on_change() is called after each change of
 * a task, without locks held; NULL: any may have changed. NST_ERR_IO. */
enum nst_status serve_tasks_open(const struct serve_settings *s,
                                 void (*on_change)(const char *id),
                                 struct nst_err *err);

/* Accept and start no more tasks. */
void serve_tasks_drain(void);
unsigned serve_tasks_running(void);
/* Stop running tasks with a checkpoint; unfinished tasks continue after a restart. */
void serve_tasks_stop(void);
/* Call it when no other thread uses the tasks any more. */
void serve_tasks_close(void);
/* False: the functions below return ..._UNAVAILABLE or NULL. */
bool serve_tasks_reachable(void);

enum serve_add_status {
    SERVE_ADD_OK,
    SERVE_ADD_QUEUE_FULL,
    SERVE_ADD_SHUTTING_DOWN,
    SERVE_ADD_DISK_FULL,
    SERVE_ADD_IO_ERROR,
    SERVE_ADD_UNAVAILABLE
};

/* Queue a task; the record of serve_request_parse() is taken over. */
enum serve_add_status serve_tasks_add(json_t *record,
                                      char id[SERVE_TASK_ID_LENGTH + 1]);

/* The API's progress object, a new reference; NULL: errno is ENOENT if there is no such
 * task. *version grows with every change; *is_final: there will be no more changes.
 * Both may be NULL. */
json_t *serve_tasks_progress(const char *id, unsigned *version, bool *is_final);

/* Cancel a task; nst is killed if it runs. */
enum serve_cancel_status {
    SERVE_CANCEL_OK,
    SERVE_CANCEL_FINISHED,
    SERVE_CANCEL_UNKNOWN,
    SERVE_CANCEL_UNAVAILABLE
};
enum serve_cancel_status serve_tasks_cancel(const char *id);

/* Open the latest preview, or the result, for reading; -1 if there is none. name gets a
 * file name with the extension, in SERVE_TASK_ID_LENGTH + 5 bytes. */
int serve_tasks_preview(const char *id, char *name, uint64_t *size);

/* The progress of all unfinished tasks, oldest first: a new reference. */
json_t *serve_tasks_list(void);

/* A page of the completed tasks, newest first, grouped by content picture: a new
 * reference. *total: the number of completed tasks. */
json_t *serve_tasks_history(size_t offset, size_t limit, size_t *total);

/* Delete the finished tasks of a content picture, with all their pictures. */
enum serve_delete_status {
    SERVE_DELETE_OK,
    SERVE_DELETE_BUSY,
    SERVE_DELETE_UNKNOWN,
    SERVE_DELETE_UNAVAILABLE
};
enum serve_delete_status serve_tasks_delete(const char *content);

/* Whether an unfinished task uses a style. */
enum serve_style_status {
    SERVE_STYLE_UNUSED,
    SERVE_STYLE_IN_USE,
    SERVE_STYLE_UNAVAILABLE
};
enum serve_style_status serve_tasks_style_status(const char *style);

/* Remove uploads that no task uses, as serve_store_sweep(). */
void serve_tasks_sweep(int64_t max_age, size_t max_files);

struct serve_counts {
    unsigned current[SERVE_STATES];
    uint64_t ended[SERVE_STATES]; /* since the start; in Redis: since its first task */
    uint64_t retries;
    double seconds; /* total duration of completed tasks */
};
void serve_tasks_count(struct serve_counts *out);

#endif
