/* SPDX-License-Identifier: MIT */
/*
 * report.h - what a run tells its caller: messages, steps and the trace. A reporter
 * follows a picture through its scales and frames, which so appear as one run.
 */
#ifndef NST_RUN_REPORT_H
#define NST_RUN_REPORT_H

#include "record/provenance.h"
#include "run/run.h"

/* Pass a message, made from a printf format, to events->message(). */
void nst_run_message(const struct nst_run_events *events, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether events->stop() asks to stop. */
bool nst_run_should_stop(const struct nst_run_events *events);

struct nst_reporter {
    const struct nst_run_events *events;
    const struct nst_batch_item *item;
    void *progress;          /* from events->picture_started() */
    struct nst_trace *trace; /* or NULL */
    bool quiet;              /* no messages about weights */
    bool started;            /* events->optimisation_started() was called */
    /* of the scales and frames before: */
    int64_t evaluations, iterations;
    double seconds;
    int64_t steps_done, steps_planned; /* before the current scale; of all scales */
    double fraction, share; /* of the work: done before, and in the current scale */
    int frame, frames;      /* as in struct nst_evaluation */
};

/* Set-up is done; the first evaluation follows. */
void nst_report_started(struct nst_reporter *r);
/* An evaluation of a job, counted for the whole run. */
struct nst_evaluation nst_report_total(const struct nst_reporter *r,
                                       const struct nst_evaluation *e);
/* Trace an evaluation, once it is known whether it was accepted. */
void nst_report_evaluation(const struct nst_reporter *r,
                           const struct nst_evaluation *e);
/* After each step: e is the new iterate; done of planned steps of the job are complete.
 */
void nst_report_step(const struct nst_reporter *r, const struct nst_evaluation *e,
                     int64_t done, int64_t planned);
/* --adaptive changed the weight of a loss after e. */
void nst_report_weight(const struct nst_reporter *r, const struct nst_evaluation *e,
                       const char *loss, double from, double to);

#endif
