/* SPDX-License-Identifier: MIT */
/*
 * picture_run.h - one picture of a batch, from its file to its result and their
 * records.
 */
#ifndef NST_RUN_PICTURE_RUN_H
#define NST_RUN_PICTURE_RUN_H

#include "job/plan.h"
#include "run/batch.h"
#include "run/run.h"
#include "run/styles.h"

/* Who makes pictures, one after the other; everything is borrowed. */
struct nst_picture_runner {
    const struct nst_params *params;
    struct nst_engine *engine;
    struct nst_styles_shared *styles;
    const struct nst_run_events *events;

    void *ctx;
    /* All is ready, and the picture will take that much memory, which is given back
     * when nst_picture_run() returns. */
    void (*reserve_memory)(void *ctx, const struct nst_plan *plan);
};

enum nst_outcome {
    NST_OUTCOME_DONE,
    NST_OUTCOME_STOPPED,   /* done with what there was */
    NST_OUTCOME_CANCELLED, /* stopped before there was any: all is as it was */
    NST_OUTCOME_SKIPPED,   /* the result is there (--skip-done) */
    NST_OUTCOME_FAILED,    /* and err says why */
    NST_OUTCOME_FATAL,     /* the same, and all others would fail as well */
};

enum nst_outcome nst_picture_run(const struct nst_picture_runner *runner,
                                 const struct nst_batch_item *item,
                                 struct nst_err *err);

#endif
