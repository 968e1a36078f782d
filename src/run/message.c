/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/message.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/line.h"

#define LINE_SIZE 2048

bool nst_run_should_stop(const struct nst_run_events *events)
{
    return events->stop && events->stop(events->ctx);
}

void nst_run_message(const struct nst_run_events *events, const char *fmt, ...)
{
    char line[LINE_SIZE];
    va_list ap;

    if (!events->message)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    nst_sanitise_line(line);
    events->message(events->ctx, line);
}
