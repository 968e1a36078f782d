/* SPDX-License-Identifier: MIT */
/* say.h - lines for the caller of a run. */
#ifndef NST_RUN_SAY_H
#define NST_RUN_SAY_H

#include "run/run.h"

/* Hand events->say() a line made from a printf format. */
void nst_say(const struct nst_run_events *events, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Does events->stop() say so? */
bool nst_asked_to_stop(const struct nst_run_events *events);

#endif
