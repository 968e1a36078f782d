/* SPDX-License-Identifier: MIT */
/* events.h - progress as server-sent events: a connection that waits for changes. */
#ifndef NST_SERVE_EVENTS_H
#define NST_SERVE_EVENTS_H

#include "serve/response.h"

/* The progress of that task, from now to its end; 503 if so many are told already. */
struct serve_response serve_events(struct MHD_Connection *c, const char *id,
                                   size_t max_streams);

/* The task has changed; NULL: any may have. */
void serve_events_changed(const char *id);
/* Say a word to all that wait, so that those who have gone are noticed. */
void serve_events_heartbeat(void);
/* No more of them. */
void serve_events_shutdown(void);

#endif
