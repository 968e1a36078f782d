/* SPDX-License-Identifier: MIT */
/*
 * runner.h - one attempt at a task: an nst of its own (sandbox.h), whose progress is
 * read from a pipe.
 */
#ifndef NST_SERVE_RUNNER_H
#define NST_SERVE_RUNNER_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "serve/settings.h"

#define SERVE_PREVIEW_FILE "preview.jpg" /* in the task's folder of work */

struct serve_progress {
    int64_t done, total;
    double content_loss, style_loss, eta, seconds; /* NaN: not known yet */
};

struct serve_attempt {
    const char *id, *result; /* result: path of the file to be made */
    const json_t *record;
    unsigned concurrency;        /* how many are made now, this one too */
    atomic_bool cancelled, stop; /* end at once; end with a checkpoint */
    void (*on_progress)(void *ctx, const struct serve_progress *progress);
    void *ctx;
};

enum serve_exit {
    SERVE_EXIT_SUCCESS,
    SERVE_EXIT_FATAL,     /* it would fail again */
    SERVE_EXIT_RETRYABLE, /* it may not */
    SERVE_EXIT_STOPPED    /* it was asked to */
};

struct serve_outcome {
    enum serve_exit exit;
    char *error; /* a new string; NULL if there is nothing to say */
    double content_loss, style_loss, seconds;
};

/* Make the picture, from its checkpoint if there is one. Returns when the child is
 * gone. */
void serve_attempt_run(struct serve_attempt *attempt, const struct serve_settings *s,
                       struct serve_outcome *out);

#endif
