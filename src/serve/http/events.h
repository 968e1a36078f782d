/* SPDX-License-Identifier: MIT */
/* events.h - progress as server-sent events, on connections suspended between them. */
#ifndef NST_SERVE_HTTP_EVENTS_H
#define NST_SERVE_HTTP_EVENTS_H

#include "serve/http/response.h"

/* Stream the progress of a task to its end; 503 if max_streams are open already. */
struct serve_response serve_events(struct MHD_Connection *c, const char *id,
                                   size_t max_streams);

/* Wake the streams of a task that changed; NULL: any task may have. */
void serve_events_changed(const char *id);
/* Send a comment on every waiting stream, to detect clients that disconnected. */
void serve_events_heartbeat(void);
/* End all streams. */
void serve_events_shutdown(void);

#endif
