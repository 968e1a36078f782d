/* SPDX-License-Identifier: MIT */
/* task.h - one task, for any queue: its JSON in the API, and its state after an
 * attempt. */
#ifndef NST_SERVE_QUEUE_TASK_H
#define NST_SERVE_QUEUE_TASK_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "serve/identity.h"
#include "serve/queue/runner.h"

#define SERVE_TASK_ID_LENGTH 32 /* hexadecimal digits */
#define SERVE_TASK_NAME_SIZE (SERVE_TASK_ID_LENGTH + sizeof ".webp")

enum serve_state {
    SERVE_QUEUED,
    SERVE_RUNNING,
    SERVE_COMPLETED,
    SERVE_FAILED,
    SERVE_CANCELLED,
    SERVE_STATES
};

extern const char *const serve_state_names[SERVE_STATES];

struct serve_task {
    char id[SERVE_TASK_ID_LENGTH + 1];
    int64_t number; /* order of creation */
    enum serve_state state;
    json_t *record; /* from serve_request_parse(), with the sender and outcome added */
    unsigned version, attempts;
    unsigned position, waiting; /* its place in the queue; 0: it does not wait */
    bool no_space;              /* its last attempt ended because the disk was full */
    struct serve_progress progress; /* while it runs */
};

extern const struct serve_progress serve_progress_unknown;

/* Give a task its id and, in its record, the time of its creation, its "owner", its
 * "party" in the queue and that party's limit, "max_running". */
void serve_task_create(json_t *record, const struct serve_identity *who,
                       char id[SERVE_TASK_ID_LENGTH + 1]);
/* The party of a task; "" for one of an older version. */
const char *serve_task_party(const struct serve_task *t);
/* Whether who sees the task. */
bool serve_task_seen_by(const struct serve_task *t, const struct serve_identity *who);

bool serve_task_is_valid_id(const char *id);
/* SERVE_STATES if name is unknown or NULL. */
enum serve_state serve_state_parse(const char *name);
bool serve_state_is_final(enum serve_state state);

/* True if the record has the fields that other code relies on. */
bool serve_task_is_valid_record(json_t *record);

/* A string of the record, borrowed, or NULL. */
const char *serve_task_text(const struct serve_task *t, const char *key);

/* The path of the result of a record and, in *name, its file name: new strings. */
char *serve_task_result_path(const char *id, const json_t *record, char **name);
/* The file name of a result that exists, a new string, or NULL. */
char *serve_task_result_name(const char *id);
/* Open the latest preview, or the result, for reading; -1 if there is none. name gets a
 * file name with the extension, in SERVE_TASK_NAME_SIZE bytes. */
int serve_task_open_preview(const char *id, char *name, uint64_t *size);
/* Remove the result, its thumbnail, its figures and its link. */
void serve_task_remove_result(const char *id);

/* The API's progress object, a new reference. */
json_t *serve_task_progress_json(const struct serve_task *t);
/* If the state is final and the task has a webhook, keep what that is to send. */
void serve_task_keep_end(const struct serve_task *t, enum serve_state state);
/* Append the task's history entry to the list of its content picture, whose key is the
 * stem of its file name. The stem is generated and random, so no two uploads share it.
 */
void serve_task_add_to_history(json_t *by_content, const struct serve_task *t);

/* Add the name of the existing result and the end time to the record. */
void serve_task_set_completed(struct serve_task *t);
/*
 * Store the outcome of an attempt in the record and return the next state: SERVE_QUEUED
 * for a retry, or after a stop or a full disk, which do not count as an attempt.
 */
enum serve_state serve_task_finish_attempt(struct serve_task *t,
                                           const struct serve_outcome *o,
                                           bool cancelled, int64_t retries);

/* Seconds since the creation. */
double serve_task_age(const struct serve_task *t);

/* Log the final state. */
void serve_task_log_state(const struct serve_task *t, enum serve_state state);

/* Add the uploads that a task uses (content and masks) to a set of names. */
void serve_task_collect_uploads(GHashTable *used, const json_t *record);
bool serve_task_uses_upload(const json_t *record, const char *upload);
bool serve_task_uses_style(const json_t *record, const char *style);

#endif
