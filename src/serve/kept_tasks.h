/* SPDX-License-Identifier: MIT */
/*
 * kept_tasks.h - the tasks that this process keeps: a file each, which is written
 * before anybody is told, and their order, so that a page of the history costs what is
 * on it. Who calls sees to it that nobody else does meanwhile (queue_local.c).
 */
#ifndef NST_SERVE_KEPT_TASKS_H
#define NST_SERVE_KEPT_TASKS_H

#include <glib.h>

#include "serve/task.h"

/* Lists of tasks, each in the order in which they were added. */
enum serve_kept_list {
    SERVE_KEPT_OPEN, /* those that are not over */
    SERVE_KEPT_OVER,
    SERVE_KEPT_COMPLETED, /* some of these */
    SERVE_KEPT_LISTS
};

struct serve_kept {
    struct serve_task is; /* its record is what is on the disk */
    struct serve_making making;
    GSequenceIter *in[SERVE_KEPT_LISTS]; /* NULL where it is not */
};

void serve_kept_open(const struct serve_settings *s);
void serve_kept_close(void);

/* The task of a file of tasks/, in the state that it was left in; NULL, and a word in
 * the log, if the file is none. */
struct serve_kept *serve_kept_read(const char *file);
/* A new one, which waits; the record is taken over. NULL: errno. */
struct serve_kept *serve_kept_add(const char *id, json_t *record);
struct serve_kept *serve_kept_find(const char *id);

/* Write down what changed. NST_ERR_IO. */
enum nst_status serve_kept_write(struct serve_kept *t, struct nst_err *err);
/* Its state is another. That it cannot be written down is worth a word in the log: a
 * service that is killed then does it again. */
void serve_kept_turn(struct serve_kept *t, enum serve_state state);

/* Forget one that is over, with all of its files. */
void serve_kept_forget(struct serve_kept *t);
/* The oldest that are over go when there are too many. */
void serve_kept_drop_oldest(void);

/* Of struct serve_kept. */
GSequence *serve_kept_in(enum serve_kept_list list);
void serve_kept_each(enum serve_kept_list list,
                     void (*tell)(void *ctx, struct serve_kept *t), void *ctx);

struct serve_counts *serve_kept_counts(void);

#endif
