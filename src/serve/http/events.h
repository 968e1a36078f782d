/* SPDX-License-Identifier: MIT */
/* events.h - progress as server-sent events, on connections suspended between them. */
#ifndef NST_SERVE_HTTP_EVENTS_H
#define NST_SERVE_HTTP_EVENTS_H

#include "serve/http/response.h"

/* The state of what a stream reports, a new reference; NULL: errno is ENOENT if it is
 * gone, another value if it cannot be read now. *version grows with every change;
 * *is_final: there will be no more changes. */
typedef json_t *serve_events_source(const char *id, unsigned *version, bool *is_final);

/* Stream the states of id to the final one; 503 if max_streams are open already. */
struct serve_response serve_events(struct MHD_Connection *c, const char *id,
                                   serve_events_source *source, size_t max_streams);

/* Wake the streams of an id that changed; NULL: any may have. */
void serve_events_changed(const char *id);
/* Send a comment on every waiting stream, to detect clients that disconnected. */
void serve_events_heartbeat(void);
/* End all streams. */
void serve_events_shutdown(void);

#endif
