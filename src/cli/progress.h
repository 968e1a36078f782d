/* SPDX-License-Identifier: MIT */
/*
 * progress.h - shows the progress of a run on standard error: a bar redrawn in place,
 * plain lines at intervals, or JSON lines for programs, which may also go to a file.
 */
#ifndef NST_CLI_PROGRESS_H
#define NST_CLI_PROGRESS_H

#include <stdio.h>

#include "nst.h"

struct nst_progress;
struct nst_progress_batch;

/*
 * parallel: how many pictures of the batch run at a time, which then share a bar. kind
 * auto is a bar on a terminal (except TERM=dumb) and plain lines elsewhere. Plain lines
 * name the picture if there are several. file gets JSON lines, whatever the kind;
 * borrowed, or NULL. Free with nst_progress_batch_end().
 */
struct nst_progress_batch *nst_progress_batch_new(enum nst_progress_kind kind,
                                                  FILE *file,
                                                  const struct nst_batch *pictures,
                                                  int parallel);
/* Print a line in place of a visible bar; the bar is redrawn below it. */
void nst_progress_message(struct nst_progress_batch *b, const char *line);
/* Count one more picture as processed. */
void nst_progress_batch_advance(struct nst_progress_batch *b,
                                const struct nst_batch_item *picture,
                                enum nst_outcome outcome);
/* Leave a visible bar and go to the next line. */
void nst_progress_batch_end_bar(struct nst_progress_batch *b);
void nst_progress_batch_end(struct nst_progress_batch *b);

/* Start a picture. planned: steps to come; 0: unknown. Free with nst_progress_end().
 * Pictures may run on different threads. */
struct nst_progress *nst_progress_new(struct nst_progress_batch *b,
                                      const struct nst_batch_item *picture,
                                      int64_t planned);

/* Report done of planned steps; e is the latest evaluation. */
void nst_progress_step(struct nst_progress *p, const struct nst_evaluation *e,
                       int64_t done, int64_t planned);

/* Show the last state and free p. result is NULL if the run failed. */
void nst_progress_end(struct nst_progress *p, const struct nst_job_result *result);

#endif
