/* SPDX-License-Identifier: MIT */
/* events.h - progress as server-sent events: a connection that waits for changes. */
#ifndef NST_SERVE_EVENTS_H
#define NST_SERVE_EVENTS_H

#include "serve/answer.h"

/* The progress of that task, from now to its end; 503 if so many are told already. */
struct serve_answer serve_events(struct MHD_Connection *c, const char *id, size_t most);

/* The task has changed; NULL: any may have. */
void serve_events_changed(const char *id);
/* Say a word to all that wait, so that those who have gone are noticed. */
void serve_events_beat(void);
/* No more of them. */
void serve_events_end(void);

#endif
