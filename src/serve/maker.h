/* SPDX-License-Identifier: MIT */
/*
 * maker.h - one attempt at a task: an nst of its own (child.h), whose progress is read
 * from a pipe.
 */
#ifndef NST_SERVE_MAKER_H
#define NST_SERVE_MAKER_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "serve/settings.h"

#define SERVE_PREVIEW "preview.jpg" /* in the task's folder of work */

struct serve_step {
    int64_t done, total;
    double content_loss, style_loss, eta, seconds; /* NaN: not known yet */
};

struct serve_making {
    const char *id, *result; /* result: path of the file to be made */
    const json_t *record;
    unsigned share;              /* how many are made now, this one too */
    atomic_bool cancelled, stop; /* end at once; end with a checkpoint */
    void (*tell)(void *ctx, const struct serve_step *step);
    void *ctx;
};

enum serve_end {
    SERVE_MADE,
    SERVE_REFUSED, /* it would fail again */
    SERVE_CRASHED, /* it may not */
    SERVE_STOPPED  /* it was asked to */
};

struct serve_outcome {
    enum serve_end end;
    char *error; /* a new string; NULL if there is nothing to say */
    double content_loss, style_loss, seconds;
};

/* Make the picture, from its checkpoint if there is one. Returns when the child is
 * gone. */
void serve_make(struct serve_making *m, const struct serve_settings *s,
                struct serve_outcome *out);

#endif
