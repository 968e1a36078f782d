/* SPDX-License-Identifier: MIT */
/*
 * making.h - one picture of a batch, from its file to its result and their records.
 */
#ifndef NST_RUN_MAKING_H
#define NST_RUN_MAKING_H

#include "job/plan.h"
#include "run/batch.h"
#include "run/run.h"
#include "run/styles.h"

/* Who makes pictures, one after the other; everything is borrowed. */
struct nst_maker {
    const struct nst_params *params;
    struct nst_engine *engine;
    struct nst_styles_shared *styles;
    const struct nst_run_events *events;

    void *ctx;
    /* All is ready, and the picture will take that much memory, which is given back
     * when nst_make() returns. */
    void (*take_memory)(void *ctx, const struct nst_plan *plan);
};

enum nst_made {
    NST_MADE_DONE,
    NST_MADE_STOPPED,  /* done with what there was */
    NST_MADE_LEFT,     /* stopped before there was any: all is as it was */
    NST_MADE_SKIPPED,  /* the result is there (--skip-done) */
    NST_MADE_FAILED,   /* and err says why */
    NST_MADE_HOPELESS, /* the same, and all others would fail as well */
};

enum nst_made nst_make(const struct nst_maker *m, const struct nst_item *item,
                       struct nst_err *err);

#endif
