/* SPDX-License-Identifier: MIT */
/*
 * task.h - a run of nst, or an estimate, on a thread of its own, so that the plug-in
 * can show progress and answer the user meanwhile. All functions are for the main
 * thread.
 */
#ifndef NST_GIMP_TASK_H
#define NST_GIMP_TASK_H

#include <glib.h>

#include "nst.h"

struct nst_gimp_task;

/* A picture for the screen. */
struct nst_gimp_preview {
    guchar *rgb; /* 3 bytes per pixel; g_free() */
    int width, height;
};

/*
 * Start a run by *p, which is taken over, of a picture in memory; keep may have no
 * data. All samples are borrowed until the end. The result replaces the picture unless
 * p asks for an estimate.
 */
struct nst_gimp_task *nst_gimp_task_start(struct nst_params *p,
                                          const struct nst_samples *picture,
                                          const struct nst_samples *keep,
                                          const struct nst_samples *result);

/* Whether the run has ended. */
gboolean nst_gimp_task_is_finished(struct nst_gimp_task *t);

/* The part of the work that is done, 0 to 1. */
double nst_gimp_task_fraction(struct nst_gimp_task *t);

/* Take the latest preview; false if there is none since the last call. */
gboolean nst_gimp_task_preview(struct nst_gimp_task *t, struct nst_gimp_preview *out);

/* Ask the run to end; nothing is written. */
void nst_gimp_task_cancel(struct nst_gimp_task *t);

/* Wait for the end and free the task. *cancelled, unless NULL, tells whether it was
 * cancelled, *estimate, unless NULL, gets what a dry run found. Errors of nst_run(). */
enum nst_status nst_gimp_task_finish(struct nst_gimp_task *t, gboolean *cancelled,
                                     struct nst_estimate *estimate,
                                     struct nst_err *err);

#endif
