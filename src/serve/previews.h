/* SPDX-License-Identifier: MIT */
/*
 * previews.h - uploads in a style, made on request and small, so that people can choose
 * a style by what it does to their picture. They are kept in previews/ of the data
 * folder, as STEM-HASH.jpg: the stem of the upload, and what was asked.
 */
#ifndef NST_SERVE_PREVIEWS_H
#define NST_SERVE_PREVIEWS_H

#include "serve/http/server.h"

/* GET /api/preview?content=NAME&style=NAME[:WEIGHT],...&size=PIXELS. One is made at a
 * time, after all tasks, and not for a client that is gone. */
struct serve_response serve_get_preview(struct serve_request *r);

/* Remove previews of uploads that are gone, and the oldest beyond a limit. */
void serve_previews_sweep(void);

#endif
