/* SPDX-License-Identifier: MIT */
/*
 * task_table.h - the tasks that this process keeps: a file each, which is written
 * before anybody is told, and their order, so that a page of the history costs what is
 * on it. Who calls sees to it that nobody else does meanwhile (queue_local.c).
 */
#ifndef NST_SERVE_TASK_TABLE_H
#define NST_SERVE_TASK_TABLE_H

#include <glib.h>

#include "serve/task.h"

/* Lists of tasks, each in the order in which they were added. */
enum serve_table_list {
    SERVE_LIST_ACTIVE, /* those that are not over */
    SERVE_LIST_FINISHED,
    SERVE_LIST_COMPLETED, /* some of these */
    SERVE_LISTS
};

struct serve_table_entry {
    struct serve_task task; /* its record is what is on the disk */
    struct serve_attempt attempt;
    GSequenceIter *position[SERVE_LISTS]; /* NULL where it is not */
};

void serve_table_open(const struct serve_settings *s);
void serve_table_close(void);

/* The task of a file of tasks/, in the state that it was left in; NULL, and a word in
 * the log, if the file is none. */
struct serve_table_entry *serve_table_load(const char *file);
/* A new one, which waits; the record is taken over. NULL: errno. */
struct serve_table_entry *serve_table_add(const char *id, json_t *record);
struct serve_table_entry *serve_table_find(const char *id);

/* Write down what changed. NST_ERR_IO. */
enum nst_status serve_table_save(struct serve_table_entry *t, struct nst_err *err);
/* Its state is another. That it cannot be written down is worth a word in the log: a
 * service that is killed then does it again. */
void serve_table_set_state(struct serve_table_entry *t, enum serve_state state);

/* Forget one that is over, with all of its files. */
void serve_table_remove(struct serve_table_entry *t);
/* The oldest that are over go when there are too many. */
void serve_table_evict(void);

/* Of struct serve_table_entry. */
GSequence *serve_table_sequence(enum serve_table_list list);
void serve_table_foreach(enum serve_table_list list,
                         void (*visit)(void *ctx, struct serve_table_entry *t),
                         void *ctx);

struct serve_counts *serve_table_counts(void);

#endif
