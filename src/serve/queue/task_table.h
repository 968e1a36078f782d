/* SPDX-License-Identifier: MIT */
/*
 * task_table.h - the tasks of the queue in this process. Each task has a file, which is
 * written before a client learns of a change. Sorted lists make the cost of a history
 * page independent of the number of tasks. Not thread-safe: local.c holds a lock.
 */
#ifndef NST_SERVE_QUEUE_TASK_TABLE_H
#define NST_SERVE_QUEUE_TASK_TABLE_H

#include <glib.h>

#include "serve/queue/fair.h"
#include "serve/queue/queue.h"

/* Lists of tasks, in the order of creation. */
enum serve_table_list {
    SERVE_LIST_ACTIVE, /* queued or running */
    SERVE_LIST_FINISHED,
    SERVE_LIST_COMPLETED, /* a subset of the finished ones */
    SERVE_LISTS
};

struct serve_table_entry {
    struct serve_task task; /* its record is the contents of the file */
    struct serve_attempt attempt;
    struct serve_fair_task place;         /* in the queue */
    GSequenceIter *position[SERVE_LISTS]; /* NULL: not in that list */
    bool unsaved;                         /* the file is older than the task */
};

void serve_table_open(const struct serve_settings *s);
void serve_table_close(void);

/* Load a task from a file in tasks/, in its last state. NULL, with a warning in the
 * log, if the file is not a task. */
struct serve_table_entry *serve_table_load(const char *file);
/* Add a queued task; the record is taken over. NULL: errno. */
struct serve_table_entry *serve_table_add(const char *id, json_t *record);
struct serve_table_entry *serve_table_find(const char *id);

/*
 * Write the task's file. If that fails, serve_table_save_pending() writes it later. A
 * task that must not run again then loses its old file, so that a service that is
 * killed in between does not continue it. A completed task keeps it: its result counts.
 */
void serve_table_save(struct serve_table_entry *t);
/* Write the files that could not be written before. */
void serve_table_save_pending(void);
/* Change the state and write the file. */
void serve_table_set_state(struct serve_table_entry *t, enum serve_state state);

/* Remove a finished task with its files. */
void serve_table_remove(struct serve_table_entry *t);
/* Remove finished tasks beyond the limit of the history: the oldest of the party that
 * has the most. */
void serve_table_evict(void);

/* serve_queue.history and serve_queue.delete_content */
json_t *serve_table_history(const struct serve_identity *who, size_t offset,
                            size_t limit, size_t *total);
enum serve_delete_status serve_table_delete_content(const struct serve_identity *who,
                                                    const char *content);

/* The task after t in a list, or the first one for NULL; NULL at the end. */
struct serve_table_entry *serve_table_next(enum serve_table_list list,
                                           const struct serve_table_entry *t);

/* serve_queue.list_state */
json_t *serve_table_list_state(const struct serve_identity *who, enum serve_state state,
                               size_t limit);

struct serve_counts *serve_table_counts(void);

#endif
