/* SPDX-License-Identifier: MIT */
/* compare.h - image quality metrics of stored pictures, computed by nst-compare. */
#ifndef NST_SERVE_COMPARE_H
#define NST_SERVE_COMPARE_H

#include "serve/http/server.h"

/* POST /api/compare with the body {"task_id"} or {"original", "result", "style"}. */
struct serve_response serve_compare(struct serve_request *r);

#endif
