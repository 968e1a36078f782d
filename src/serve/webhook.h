/* SPDX-License-Identifier: MIT */
/*
 * webhook.h - tells a server that a client named of the end of its task; hooks.h keeps
 * what is to be sent. Only public addresses are contacted, in threads of their own.
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

#endif
