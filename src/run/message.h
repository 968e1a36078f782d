/* SPDX-License-Identifier: MIT */
/* message.h - lines for the caller of a run. */
#ifndef NST_RUN_MESSAGE_H
#define NST_RUN_MESSAGE_H

#include "run/run.h"

/* Hand events->say() a line made from a printf format. */
void nst_run_message(const struct nst_run_events *events, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Does events->stop() say so? */
bool nst_run_should_stop(const struct nst_run_events *events);

#endif
