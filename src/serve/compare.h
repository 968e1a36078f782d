/* SPDX-License-Identifier: MIT */
/* compare.h - the figures of nst-compare, of pictures that are here. */
#ifndef NST_SERVE_COMPARE_H
#define NST_SERVE_COMPARE_H

#include "serve/http.h"

/* POST /api/compare: {"task_id"}, or {"original", "result", "style"}. */
struct serve_response serve_compare(struct serve_request *r);

#endif
