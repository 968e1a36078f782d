/* SPDX-License-Identifier: MIT */
/* task_routes.h - the handlers of requests that create, show, stop and delete tasks. */
#ifndef NST_SERVE_TASK_ROUTES_H
#define NST_SERVE_TASK_ROUTES_H

#include "serve/http/server.h"

struct serve_response serve_post_transfer(struct serve_request *r);
/* The unfinished tasks, or with ?state= the latest ones in that state. */
struct serve_response serve_get_tasks(struct serve_request *r);
struct serve_response serve_get_progress(struct serve_request *r);
struct serve_response serve_get_events(struct serve_request *r);
/* Cancel an unfinished task; delete a finished one. */
struct serve_response serve_delete_task(struct serve_request *r);
/* End a running task with the picture so far. */
struct serve_response serve_post_stop(struct serve_request *r);

#endif
