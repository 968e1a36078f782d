/* SPDX-License-Identifier: MIT */
/*
 * tasks.h - the pictures that clients want made: a queue, and threads that each run one
 * nst at a time, here or in workers (queue.h). What a task is and what became of it is
 * kept before anybody is told, so that a service that is killed goes on where it was.
 *
 * All functions may be called by any thread.
 */
#ifndef NST_SERVE_TASKS_H
#define NST_SERVE_TASKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "nst.h"
#include "serve/settings.h"

#define SERVE_TASK_ID_LENGTH 32 /* hexadecimal digits */
#define SERVE_MAX_TASKS 64      /* at once */

enum serve_state {
    SERVE_QUEUED,
    SERVE_RUNNING,
    SERVE_COMPLETED,
    SERVE_FAILED,
    SERVE_CANCELLED,
    SERVE_STATES
};

extern const char *const serve_state_names[SERVE_STATES];

/* Read the tasks that there are, and begin to work. on_change() is called after each
 * change of one, with nothing locked. NST_ERR_IO. */
enum nst_status serve_tasks_open(const struct serve_settings *s,
                                 void (*on_change)(const char *id),
                                 struct nst_err *err);

/* Take and begin no more. */
void serve_tasks_drain(void);
/* How many are being made. */
unsigned serve_tasks_running(void);
/* What is not over writes its checkpoint, and waits for the next start. */
void serve_tasks_stop(void);
/* After all who ask. */
void serve_tasks_close(void);
/* Is what keeps the queue there? What follows says that it is away, or NULL, if not. */
bool serve_tasks_reachable(void);

enum serve_add_status {
    SERVE_ADD_OK,
    SERVE_ADD_QUEUE_FULL, /* the queue */
    SERVE_ADD_SHUTTING_DOWN,
    SERVE_ADD_DISK_FULL,
    SERVE_ADD_IO_ERROR,
    SERVE_ADD_UNAVAILABLE
};

/* Queue a task of serve_request_parse(), whose reference is taken over. */
enum serve_add_status serve_tasks_add(json_t *record,
                                      char id[SERVE_TASK_ID_LENGTH + 1]);

/* How far it is, as the API tells it: a new reference, or NULL; errno is ENOENT if
 * there is none. *version changes with it, and *is_final says that it will not any
 * more; both may be NULL.
 */
json_t *serve_tasks_progress(const char *id, unsigned *version, bool *is_final);

/* Cancel it: what runs ends at once. */
enum serve_cancel_status {
    SERVE_CANCEL_OK,
    SERVE_CANCEL_FINISHED,
    SERVE_CANCEL_UNKNOWN,
    SERVE_CANCEL_UNAVAILABLE
};
enum serve_cancel_status serve_tasks_cancel(const char *id);

/* Its latest preview, open for reading, and a name with its ending, of
 * SERVE_TASK_ID_LENGTH + 5 bytes; -1 if there is none. */
int serve_tasks_preview(const char *id, char *name, uint64_t *size);

/* How far all are that are not over, the oldest first: a new reference. */
json_t *serve_tasks_list(void);

/* Tasks that were completed, newest first, from the first-th on and at most so many, by
 * the content they were made of: a new reference. *total: how many there are. */
json_t *serve_tasks_history(size_t offset, size_t limit, size_t *total);

/* Forget what is over of that content, with all pictures. */
enum serve_delete_status {
    SERVE_DELETE_OK,
    SERVE_DELETE_BUSY,
    SERVE_DELETE_UNKNOWN,
    SERVE_DELETE_UNAVAILABLE
};
enum serve_delete_status serve_tasks_delete(const char *content);

/* Is there a task, not over, with that style? */
enum serve_style_status {
    SERVE_STYLE_UNUSED,
    SERVE_STYLE_IN_USE,
    SERVE_STYLE_UNAVAILABLE
};
enum serve_style_status serve_tasks_style_status(const char *style);

/* Remove uploads that no task is of: those as old as that, and all but the newest. */
void serve_tasks_sweep(int64_t max_age, size_t max_files);

struct serve_counts {
    unsigned current[SERVE_STATES];
    uint64_t ended[SERVE_STATES]; /* since the start, or that of the queue on Redis */
    uint64_t retries;
    double seconds; /* of tasks completed */
};
void serve_tasks_count(struct serve_counts *out);

#endif
