/* SPDX-License-Identifier: MIT */
/*
 * provenance.h - records of a run: a trace of its evaluations, a line of history, and
 * JSON text for the picture's metadata.
 */
#ifndef NST_RECORD_PROVENANCE_H
#define NST_RECORD_PROVENANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "optim/evaluation.h"
#include "options/params.h"
#include "session/session.h"

/* One run, finished or stopped; everything is borrowed. */
struct nst_provenance {
    const struct nst_params *params;
    const char *content, *output;      /* as named by the user */
    const struct nst_session *session; /* with the networks used */
    const char *inputs;                /* of nst_provenance_inputs() */
    int width, height;                 /* of the result */
    int frames;                        /* number of frames; 0: a picture */
    const struct nst_job_result *result;
};

/* path made absolute; "-" and names of style packs and networks stay. A new string. */
char *nst_provenance_absolute_path(const char *path);

/* The styles, output and content of a run by p as a JSON list of [OPTION, VALUE]; that
 * of content is ["", PATH]. content and output may be NULL. A new string. */
char *nst_provenance_arguments(const struct nst_params *p, const char *content,
                               const char *output);

/* Input files and their SHA-256 of a run by p on content, as JSON: a new string. */
char *nst_provenance_inputs(const struct nst_params *p, const char *content);

/*
 * Whether a picture with this metadata comment (or NULL) is the complete result of this
 * version for the same inputs, networks and options. Tiles and curvature pairs chosen
 * by the plan may differ. r's result and threads are not compared.
 */
bool nst_provenance_matches(const struct nst_provenance *r, const char *comment);

/*
 * The file name of the content image that a picture with this comment (or NULL) was
 * made from, if the bytes of that file differ from those of r's: a new string, "" if
 * the record names no files, else NULL. *sha256 gets their digest, a new string.
 */
char *nst_provenance_other_content(const struct nst_provenance *r, const char *comment,
                                   char **sha256);

/*
 * The run as one line of JSON for the picture's metadata: a new string. It holds what
 * determines the picture, and its losses, but nothing that differs between equal runs
 * (times, threads, directories), so equal runs give equal files. Unless --metadata is
 * keep, it does not name the inputs.
 */
char *nst_provenance_metadata(const struct nst_provenance *r);

/* The run as a line for the history (record/history.h), with absolute paths, time and
 * memory: a new string. */
char *nst_provenance_history_line(const struct nst_provenance *r);

struct nst_trace;

/* NST_ERR_IO. *out belongs to the caller: nst_trace_close(). */
enum nst_status nst_trace_open(struct nst_trace **out, const char *path,
                               struct nst_err *err);
void nst_trace_evaluation(struct nst_trace *t, const struct nst_evaluation *e);
/* Write the last line, unless final is NULL, and close. NST_ERR_IO if any write failed.
 * t may be NULL. */
enum nst_status nst_trace_close(struct nst_trace *t, const struct nst_evaluation *final,
                                struct nst_err *err);

#endif
