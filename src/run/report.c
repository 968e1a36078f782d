/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/report.h"

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

void nst_report_started(struct nst_reporter *r)
{
    if (!r->started && r->events->optimisation_started)
        r->events->optimisation_started(r->events->ctx, r->item);
    r->started = true;
}

struct nst_evaluation nst_report_total(const struct nst_reporter *r,
                                       const struct nst_evaluation *e)
{
    struct nst_evaluation total = *e;

    total.evaluation += r->evaluations;
    total.iteration += r->iterations;
    total.seconds += r->seconds;
    total.frame = r->frame;
    total.frames = r->frames;
    return total;
}

void nst_report_evaluation(const struct nst_reporter *r, const struct nst_evaluation *e)
{
    struct nst_evaluation total = nst_report_total(r, e);

    if (r->trace)
        nst_trace_evaluation(r->trace, &total);
}

void nst_report_step(const struct nst_reporter *r, const struct nst_evaluation *e,
                     int64_t done, int64_t planned)
{
    struct nst_evaluation total = nst_report_total(r, e);

    total.fraction = r->fraction + r->share * (double)done / (double)planned;
    if (r->events->stepped)
        r->events->stepped(r->progress, &total, r->steps_done + done, r->steps_planned);
}

void nst_report_weight(const struct nst_reporter *r, const struct nst_evaluation *e,
                       const char *loss, double from, double to)
{
    if (!r->quiet)
        nst_run_message(
            r->events,
            "adaptive: the %s loss rose at step %lld; its weight goes from %g to %g",
            loss, (long long)nst_report_total(r, e).iteration, from, to);
}
