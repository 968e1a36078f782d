/* SPDX-License-Identifier: MIT */
/*
 * progress.h - how far a run is, on standard error: a bar redrawn in place, plain lines
 * now and then, or JSON lines for programs.
 */
#ifndef NST_CLI_PROGRESS_H
#define NST_CLI_PROGRESS_H

#include "job/job.h"

struct nst_progress;

/* kind: auto is a bar on a terminal and plain lines elsewhere. label: what the plain
 * lines begin with, borrowed. planned: steps to come. Free with nst_progress_end(). */
struct nst_progress *nst_progress_new(enum nst_progress_kind kind, const char *label,
                                      int64_t planned);

/* done of planned steps are made, and e is where the optimisation stands. */
void nst_progress_step(struct nst_progress *p, const struct nst_evaluation *e,
                       int64_t done, int64_t planned);

/* Leave the last state on the screen. result is NULL if the run failed. */
void nst_progress_end(struct nst_progress *p, const struct nst_job_result *result);

#endif
