/* SPDX-License-Identifier: MIT */
/*
 * webhook.h - tells a server that a client named of the end of its task. The URL is
 * kept in hooks/ID.json until it was told, so that it survives a restart. Only public
 * addresses are contacted, in threads of their own.
 */
#ifndef NST_SERVE_WEBHOOK_H
#define NST_SERVE_WEBHOOK_H

#include "serve/http/server.h"

/* Read --webhook-secret-file, and start the thread; without the option nothing happens.
 * Call it once the queue is open. NST_ERR_ARG, NST_ERR_IO. */
enum nst_status serve_webhook_open(const struct serve_settings *s, struct nst_err *err);
void serve_webhook_close(void);

/* Take the member webhook out of the body of a request: *url is a new string, or NULL.
 * False if it is not valid: *response is the error. */
bool serve_webhook_take(json_t *body, char **url, struct serve_response *response);

/* Keep the URL for a task that is about to be queued; NULL is fine. False: errno. */
bool serve_webhook_store(const char *task_id, const char *url);
/* The task was not queued. */
void serve_webhook_forget(const char *task_id);

#endif
