/* SPDX-License-Identifier: MIT */
/*
 * hooks.h - the records of webhooks, hooks/ID.json: a line with the URL and, once the
 * task has ended, one with what is to be sent. A record outlives its task, which may be
 * deleted before the webhook is sent, and the service.
 */
#ifndef NST_SERVE_HOOKS_H
#define NST_SERVE_HOOKS_H

#include <stdbool.h>

#define SERVE_HOOK_FOLDER "hooks"

/* Keep the URL for a task that is about to be queued; NULL is fine. False: errno. */
bool serve_hook_store(const char *task_id, const char *url);
/* True if a webhook of the task is to be sent. */
bool serve_hook_exists(const char *task_id);
/* Keep what is to be sent, a JSON object on one line. Without a record, with one that
 * has an end, or while it is being sent, nothing happens. */
void serve_hook_end(const char *task_id, const char *text);
/* It was sent, or the task was not queued. */
void serve_hook_remove(const char *task_id);

/* Lock and read a record. *url and *text are new strings; *text is NULL as long as the
 * task has not ended, *url if the record is damaged. Returns the descriptor, which
 * holds the lock; -1: there is no record, or another process sends it. */
int serve_hook_open(const char *task_id, char **url, char **text);
/* True if the record is so new that its task may not be queued yet. */
bool serve_hook_is_young(const char *task_id);
/* Remove records that nobody has sent for a week: webhooks were switched off. */
void serve_hooks_sweep(void);

#endif
