/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/say.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_SIZE 2048

bool nst_asked_to_stop(const struct nst_run_events *events)
{
    return events->stop && events->stop(events->ctx);
}

void nst_say(const struct nst_run_events *events, const char *fmt, ...)
{
    char line[LINE_SIZE];
    va_list ap;

    if (!events->say)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    nst_one_line(line);
    events->say(events->ctx, line);
}
