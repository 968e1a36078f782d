/* SPDX-License-Identifier: MIT */
/* task.h - one task, however the queue keeps it: what the API tells of it, and what
 * becomes of it after an attempt. */
#ifndef NST_SERVE_TASK_H
#define NST_SERVE_TASK_H

#include <glib.h>

#include "serve/runner.h"
#include "serve/tasks.h"

struct serve_task {
    char id[SERVE_TASK_ID_LENGTH + 1];
    int64_t number; /* tasks are made in this order */
    enum serve_state state;
    json_t *record; /* of serve_request_parse(), and what came of it */
    unsigned version, attempts;
    struct serve_progress progress; /* while it runs */
};

/* A step of which nothing is known. */
extern const struct serve_progress serve_progress_unknown;

/* Seconds since 1970. */
double serve_now(void);

/* Is it as an id is? */
bool serve_task_is_valid_id(const char *id);
/* The state called so; SERVE_STATES if there is none, or name is NULL. */
enum serve_state serve_state_parse(const char *name);
bool serve_state_is_final(enum serve_state state);

/* Has a record all that is relied on? */
bool serve_task_is_valid_record(json_t *record);

/* A text of the record, or NULL. */
const char *serve_task_text(const struct serve_task *t, const char *key);

/* Where its result goes: new strings, the second one the file's name. */
char *serve_task_result_path(const char *id, char **name);
/* Remove a result that is not to be, and its thumbnail. */
void serve_task_remove_result(const char *id);

/* How far it is, as the API tells it: a new reference. */
json_t *serve_task_progress_json(const struct serve_task *t);
/* Add what the history has of it to a history by content. */
void serve_task_add_to_history(json_t *by_content, const struct serve_task *t);

/* Its result is there: the record says so. */
void serve_task_set_completed(struct serve_task *t);
/*
 * Write down in the record what became of an attempt. The state that
 * follows; SERVE_QUEUED, with the attempt taken back if it was none, for one more.
 */
enum serve_state serve_task_finish_attempt(struct serve_task *t,
                                           const struct serve_outcome *o,
                                           bool cancelled, int64_t retries);

/* Log that it ended so. */
void serve_task_log_state(const struct serve_task *t, enum serve_state state);

/* Add the uploads that it is of to a set of strings. */
void serve_task_collect_uploads(GHashTable *used, const json_t *record);
/* Is this one of them? */
bool serve_task_uses_upload(const json_t *record, const char *upload);
/* Is it one of its styles? */
bool serve_task_uses_style(const json_t *record, const char *style);

#endif
