/* SPDX-License-Identifier: MIT */
/*
 * quality.h - the figures of results (figures.h), computed once for each task and kept
 * in quality/ID.json.
 */
#ifndef NST_SERVE_QUALITY_H
#define NST_SERVE_QUALITY_H

#include "serve/figures.h"
#include "serve/http/server.h"

void serve_quality_open(const struct serve_settings *s);
/* Call serve_sandbox_shutdown() first. */
void serve_quality_close(void);

/* GET /api/tasks/ID/quality: the figures, or 202 while they are computed. */
struct serve_response serve_quality(struct serve_request *r);

/* The kept figures of a task, a new reference, or NULL. With original, only if they
 * compare the result with that picture, and with that style unless it is NULL. */
json_t *serve_quality_load(const char *id, const char *original, const char *style);

/* Keep the figures of a task; progress: its progress object, with its pictures. */
void serve_quality_store(const char *id, const json_t *progress, const json_t *figures);

#endif
