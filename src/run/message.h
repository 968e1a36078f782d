/* SPDX-License-Identifier: MIT */
/* message.h - messages to the caller of a run. */
#ifndef NST_RUN_MESSAGE_H
#define NST_RUN_MESSAGE_H

#include "run/run.h"

/* Pass a message, made from a printf format, to events->message(). */
void nst_run_message(const struct nst_run_events *events, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether events->stop() asks to stop. */
bool nst_run_should_stop(const struct nst_run_events *events);

#endif
