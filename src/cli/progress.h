/* SPDX-License-Identifier: MIT */
/*
 * progress.h - how far a run is, on standard error: a bar redrawn in place, plain lines
 * now and then, or JSON lines for programs.
 */
#ifndef NST_CLI_PROGRESS_H
#define NST_CLI_PROGRESS_H

#include "nst.h"

struct nst_progress;
struct nst_progress_batch;

/*
 * Of that many pictures, side by side or one after the other. kind: auto is a bar on a
 * terminal, unless it is a dumb one, and plain lines elsewhere. Pictures side by side
 * share a bar; plain lines and JSON say which of several they are about. Free with
 * nst_progress_batch_end().
 */
struct nst_progress_batch *nst_progress_batch_new(enum nst_progress_kind kind,
                                                  size_t pictures, int parallel);
/* Say a line, in place of a bar that is there; the next one is drawn below it. */
void nst_progress_message(struct nst_progress_batch *b, const char *line);
/* One picture more is behind us. */
void nst_progress_batch_advance(struct nst_progress_batch *b);
void nst_progress_batch_end(struct nst_progress_batch *b);

/* The picture called so (borrowed) begins; planned: steps to come. Free with
 * nst_progress_end(). Pictures may be on different threads. */
struct nst_progress *nst_progress_new(struct nst_progress_batch *b, const char *picture,
                                      int64_t planned);

/* done of planned steps are made, and e is where the optimisation stands. */
void nst_progress_step(struct nst_progress *p, const struct nst_evaluation *e,
                       int64_t done, int64_t planned);

/* Leave the last state on the screen. result is NULL if the run failed. */
void nst_progress_end(struct nst_progress *p, const struct nst_job_result *result);

#endif
