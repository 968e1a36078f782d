/* SPDX-License-Identifier: MIT */
/*
 * runner.h - one attempt at a task: an nst child process (sandbox.h) that reports its
 * progress through a pipe.
 */
#ifndef NST_SERVE_QUEUE_RUNNER_H
#define NST_SERVE_QUEUE_RUNNER_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "serve/settings.h"

#define SERVE_PREVIEW_FILE "preview.jpg" /* in the task's work directory */

struct serve_progress {
    int64_t done, total; /* steps */
    int64_t preview;     /* done, when the latest preview was found; 0: there is none */
    int64_t frame;       /* of a film, from 1; or 0 */
    double content_loss, style_loss, eta, seconds; /* NaN: unknown */
};

/* Parse progress as JSON; without a number: 0, or NaN. eta_key: the name of eta. */
struct serve_progress serve_progress_parse(const json_t *j, const char *eta_key);

struct serve_attempt {
    const char *id, *result; /* result: path of the output file */
    const json_t *record;
    unsigned concurrency;        /* running attempts, including this one */
    atomic_bool cancelled, stop; /* kill at once; stop with a checkpoint */
    atomic_bool keep; /* stop after a step: the picture so far is the result */
    void (*on_progress)(void *ctx, const struct serve_progress *progress);
    void *ctx;
};

enum serve_exit {
    SERVE_EXIT_SUCCESS,
    SERVE_EXIT_FATAL,     /* would fail again */
    SERVE_EXIT_RETRYABLE, /* may succeed next time */
    SERVE_EXIT_NO_SPACE,  /* the disk is full: continues when there is room */
    SERVE_EXIT_STOPPED    /* stopped or cancelled on request */
};

struct serve_outcome {
    enum serve_exit exit;
    char *error;        /* a new string, or NULL */
    int64_t stopped_at; /* the last step of a result that was kept early, or 0 */
    int64_t frame;      /* of a film, at the end; or 0 */
    double content_loss, style_loss, seconds;
};

/* Run nst, from the task's checkpoint if there is one. Returns when the child has
 * exited; out->error belongs to the caller. */
void serve_attempt_run(struct serve_attempt *attempt, const struct serve_settings *s,
                       struct serve_outcome *out);

#endif
