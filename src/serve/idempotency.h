/* SPDX-License-Identifier: MIT */
/*
 * idempotency.h - the header Idempotency-Key: a request that a client repeats within a
 * day with the same key gets the same task. Each key is a file in keys/, which is
 * locked while its request is handled; it names the request's body and the task.
 */
#ifndef NST_SERVE_IDEMPOTENCY_H
#define NST_SERVE_IDEMPOTENCY_H

#include "serve/http/server.h"

struct serve_key {
    char *name, *body; /* the file; the checksum of the body. NULL: no key */
    int fd;
};

/* Look up the request's key. True if a task must be created: then call
 * serve_key_end(). False: *response is that of the earlier request, or an error. */
bool serve_key_begin(struct serve_key *k, struct serve_request *r,
                     struct serve_response *response);
/* Note the task before it is queued, so that no repetition can queue another one.
 * False: errno. */
bool serve_key_store(const struct serve_key *k, const char *task_id);
/* Forget the key if no task was queued. */
void serve_key_end(struct serve_key *k, bool queued);

/* Remove keys that are older than a day. */
void serve_keys_sweep(void);

#endif
