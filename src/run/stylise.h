/* SPDX-License-Identifier: MIT */
/*
 * stylise.h - one picture made at its scales (job/scales.h), one after the other: at
 * each a job of its own, which starts from what the one before made.
 */
#ifndef NST_RUN_STYLISE_H
#define NST_RUN_STYLISE_H

#include "run/film.h"
#include "run/run.h"
#include "run/styles.h"
#include "image/picture.h"
#include "job/plan.h"
#include "job/scales.h"

struct nst_stylising {
    struct nst_engine *engine;
    const struct nst_run_events *run; /* say() is called */
    const struct nst_params *p;       /* with the plan applied, and adapted */
    const struct nst_params *asked;   /* not adapted: what a checkpoint holds */
    const struct nst_plan *plan;      /* of the last scale */
    struct nst_held held;             /* the pictures below, and more */
    const struct nst_picture *content;
    struct nst_styles_read *styles;  /* pictures are dropped once all is taken */
    const struct nst_picture *init;  /* to start from; NULL for content or noise */
    const struct nst_picture *keep;  /* white where content stays; or NULL */
    const struct nst_follow *follow; /* of a frame: the one before it; or NULL */
};

/*
 * Stylise. events see all the scales as one run: evaluations, steps and seconds go on
 * counting. *rgb, 3 x height x width of the content and within 0..1, belongs to the
 * caller: free(). Errors as of nst_job_new() and nst_job_run(); then *rgb is NULL.
 */
enum nst_status nst_stylise(const struct nst_stylising *s,
                            const struct nst_job_events *events, float **rgb,
                            struct nst_job_result *result, struct nst_err *err);

#endif
