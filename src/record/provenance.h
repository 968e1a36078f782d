/* SPDX-License-Identifier: MIT */
/*
 * provenance.h - what a run leaves behind besides its picture: a trace of its
 * evaluations, a line of history, and the JSON text that goes into the picture's
 * metadata.
 */
#ifndef NST_RECORD_PROVENANCE_H
#define NST_RECORD_PROVENANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/job.h"

/* One run, finished or stopped; everything is borrowed. */
struct nst_provenance {
    const struct nst_params *params;
    const char *content, *output;    /* as the user named them */
    const struct nst_engine *engine; /* with the networks that were used */
    const char *inputs;              /* of nst_provenance_inputs() */
    int width, height;               /* of the result */
    int frames;                      /* that were made; 0 of a picture */
    const struct nst_job_result *result;
};

/* The pictures and packs that a run by p of that content reads, and what is in them, as
 * JSON: a new string. */
char *nst_provenance_inputs(const struct nst_params *p, const char *content);

/*
 * Was the picture that says comment of its making (NULL: nothing) made to the end by
 * this version, from the same inputs, by the same networks, with what r's params ask
 * for? Tiles and curvature pairs may have been the plan's. r's result and threads are
 * not looked at.
 */
bool nst_provenance_matches(const struct nst_provenance *r, const char *comment);

/*
 * The run as one line of JSON for the picture's metadata: a new string. It holds what
 * decides the picture and the losses it has, and nothing that differs from run to run
 * (times, threads, places), so that equal runs give equal files.
 */
char *nst_provenance_metadata(const struct nst_provenance *r);

/* The run as a line for the history (record/history.h), with whole paths, and what it
 * took: a new string. */
char *nst_provenance_history_line(const struct nst_provenance *r);

struct nst_trace;

/* NST_ERR_IO. *out belongs to the caller: nst_trace_close(). */
enum nst_status nst_trace_open(struct nst_trace **out, const char *path,
                               struct nst_err *err);
void nst_trace_evaluation(struct nst_trace *t, const struct nst_evaluation *e);
/* Write the last line, unless final is NULL, and close. NST_ERR_IO if any line could
 * not be written. t of NULL is fine. */
enum nst_status nst_trace_close(struct nst_trace *t, const struct nst_evaluation *final,
                                struct nst_err *err);

#endif
