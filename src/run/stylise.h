/* SPDX-License-Identifier: MIT */
/*
 * stylise.h - one picture made at its scales (job/pyramid.h), one after the other: at
 * each a job of its own, which starts from what the one before made.
 */
#ifndef NST_RUN_STYLISE_H
#define NST_RUN_STYLISE_H

#include "run/temporal.h"
#include "run/run.h"
#include "run/styles.h"
#include "image/picture.h"
#include "job/plan.h"
#include "job/pyramid.h"

struct nst_stylise_args {
    struct nst_engine *engine;
    const struct nst_run_events *events; /* say() is called */
    const struct nst_params *effective;  /* with the plan applied, and adapted */
    const struct nst_params *params;     /* not adapted: what a checkpoint holds */
    const struct nst_plan *plan;         /* of the last scale */
    struct nst_baseline baseline;        /* the pictures below, and more */
    const struct nst_picture *content;
    struct nst_style_set *styles;         /* pictures are dropped once all is taken */
    const struct nst_picture *init_image; /* to start from; NULL for content or noise */
    const struct nst_picture *keep_mask;  /* white where content stays; or NULL */
    const struct nst_coherence *coherence; /* of a frame: the one before it; or NULL */
};

/*
 * Stylise. events see all the scales as one run: evaluations, steps and seconds go on
 * counting. *rgb, 3 x height x width of the content and within 0..1, belongs to the
 * caller: free(). Errors as of nst_job_new() and nst_job_run(); then *rgb is NULL.
 */
enum nst_status nst_stylise(const struct nst_stylise_args *s,
                            const struct nst_job_events *events, float **rgb,
                            struct nst_job_result *result, struct nst_err *err);

#endif
