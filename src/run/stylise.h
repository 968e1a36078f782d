/* SPDX-License-Identifier: MIT */
/*
 * stylise.h - stylises one picture at its scales (run/pyramid.h), one after the other.
 * Each scale is a job that starts from the result of the previous one.
 */
#ifndef NST_RUN_STYLISE_H
#define NST_RUN_STYLISE_H

#include "image/picture.h"
#include "run/plan.h"
#include "run/pyramid.h"
#include "run/run.h"
#include "run/styles.h"
#include "run/temporal.h"

struct nst_stylise_args {
    struct nst_session *session;
    struct nst_reporter *reporter;      /* its fields for the current scale are set */
    const struct nst_params *effective; /* with the plan applied, adapted */
    const struct nst_params *recorded;  /* not adapted: saved in a checkpoint */
    const struct nst_plan *plan;        /* of the last scale */
    struct nst_baseline baseline;       /* memory of the pictures */
    const struct nst_picture *content;
    const struct nst_batch_item *item;     /* its paths are saved in a checkpoint */
    struct nst_style_set *styles;          /* pictures are freed after the last use */
    const struct nst_picture *init_image;  /* initial image; NULL: content or noise */
    const struct nst_picture *keep_mask;   /* white where content stays; or NULL */
    const struct nst_coherence *coherence; /* to the previous frame; or NULL */
    /* receive the weights of the losses at the end; or NULL */
    double *content_weight, *style_weight;
};

/*
 * Stylise. *rgb, 3 x height x width of the content and within 0..1, belongs to the
 * caller: free(). Errors as for nst_job_new() and nst_job_run(); then *rgb is NULL.
 */
enum nst_status nst_stylise(const struct nst_stylise_args *s, float **rgb,
                            struct nst_job_result *result, struct nst_err *err);

#endif
