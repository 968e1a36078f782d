/* SPDX-License-Identifier: MIT */
/* usage.h - what an owner uses of the service, and the refusals beyond his quota. */
#ifndef NST_SERVE_USAGE_H
#define NST_SERVE_USAGE_H

#include <jansson.h>

#include "serve/http/response.h"
#include "serve/identity.h"
#include "serve/queue/queue.h"
#include "serve/settings.h"

/* Pixels of a square of the result's longest side, times the steps at all scales: a
 * bound for the work of a task, from its record. */
int64_t serve_usage_work(const json_t *record);

/* Whether the owner may keep so many bytes more. False: *response is the error. */
bool serve_usage_allows_bytes(const struct serve_identity *who, uint64_t bytes,
                              struct serve_response *response);

/* The response for a task that the quota refuses: status is SERVE_ADD_PARTY_FULL or
 * SERVE_ADD_WORK_USED, work that of the task. */
struct serve_response serve_usage_refusal(const struct serve_identity *who,
                                          const struct serve_settings *s,
                                          enum serve_add_status status, int64_t work);

/*
 * {"waiting": {"used", "limit"}, "running": ..., "bytes": ..., "work": ...}, a new
 * reference; work is today's (UTC); without a limit, it is null. NULL if the queue is
 * unreachable.
 */
json_t *serve_usage_json(const struct serve_identity *who,
                         const struct serve_settings *s);

#endif
