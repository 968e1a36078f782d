/* SPDX-License-Identifier: MIT */
/*
 * job.h - one picture from content, style and parameters to result.
 *
 * Knows no files but the network's: pictures come and go as planar floats, and what
 * happens on the way is told through callbacks. Runs on the thread that calls it.
 */
#ifndef NST_JOB_JOB_H
#define NST_JOB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/engine.h"
#include "job/evaluation.h"
#include "job/options.h"
#include "optim/serialise.h"
#include "style/objective.h"

struct nst_job;

struct nst_image {
    const float *rgb; /* 3 x height x width, sRGB, 0 to 1, borrowed */
    int height, width;
};

/* Each may be NULL. */
struct nst_job_events {
    void *ctx;
    /* All is ready, and the first evaluation comes next. */
    void (*started)(void *ctx);
    /* Every evaluation, in order, as soon as it is known whether it was accepted. */
    void (*evaluated)(void *ctx, const struct nst_evaluation *e);
    /* After a step: e is the new iterate, done of planned steps are behind us (under
     * --compat both count evaluations). */
    void (*stepped)(void *ctx, const struct nst_evaluation *e, int64_t done,
                    int64_t planned);
    /* Asked before each evaluation's step begins; true ends the run with what it has.
     */
    bool (*stop)(void *ctx);
    /* --adaptive changed a weight, after e. */
    void (*weight_changed)(void *ctx, const struct nst_evaluation *e, const char *loss,
                           double from, double to);
    /* Now is the time to write the job's state down: every save_every steps, and when
     * all are made. */
    void (*save)(void *ctx, struct nst_job *j);
};

/* struct nst_job is one picture to be made. */
struct nst_plan; /* job/plan.h */

/*
 * Take what is to be kept of the content and the style, the pictures that plan was made
 * for. p must be the parameters that the engine was made for. p and content are
 * borrowed as long as the job lives, the style for the call. *out belongs to the
 * caller: nst_job_free(). Errors: NST_ERR_ARG (a picture too small for the layers),
 * NST_ERR_MEM.
 */
enum nst_status nst_job_new(struct nst_job **out, struct nst_engine *e,
                            const struct nst_params *p, const struct nst_plan *plan,
                            struct nst_image content, const struct nst_style *style,
                            struct nst_err *err);
void nst_job_free(struct nst_job *j);

/*
 * Keep parts of the content: keep (height x width of it) says how much of each pixel
 * stays, from 0 to 1. The picture made is content + (1 - keep) (x - content), and x is
 * what is optimised. Borrowed as long as the job lives. NST_ERR_MEM.
 */
enum nst_status nst_job_set_keep_mask(struct nst_job *j, const float *keep_mask,
                                      struct nst_err *err);

/* Hold the picture to the frame before, with the weight that p asks for; borrowed as
 * long as the job lives. NST_ERR_MEM. */
enum nst_status nst_job_set_temporal_target(struct nst_job *j,
                                            struct nst_temporal_target target,
                                            struct nst_err *err);

/*
 * Stylise, once: x (3 x height x width of the content) is the picture to start from,
 * and becomes the result, within 0..1. *result is filled on success only. Errors:
 * NST_ERR_MEM, NST_ERR_NUMERIC (a loss that is not finite at the start).
 */
enum nst_status nst_job_run(struct nst_job *j, float *x,
                            const struct nst_job_events *events,
                            struct nst_job_result *result, struct nst_err *err);

/* While the job runs, the picture made so far: 3 x height x width of the content,
 * borrowed until the next step. It may lie in the x that the job runs on. */
const float *nst_job_current_image(struct nst_job *j);

/* And how many steps it took. */
int64_t nst_job_iterations(const struct nst_job *j);

/*
 * The job's state while it runs, in parts (optim/serialise.h): what events->save() may
 * write down, and what nst_job_run() takes up where nst_job_resume() was called before.
 * False if the visitor said so.
 */
bool nst_job_serialise(struct nst_job *j, nst_serialise_fn *visit, void *ctx);

/* nst_job_run() begins with the state that visit brings in, whatever its x holds; both
 * are borrowed until then. If it cannot be had, or is of a job with another loss, the
 * run fails: NST_ERR_FORMAT. *deviation becomes how much the loss here differs from the
 * one written down: 0, or a little on another processor. */
void nst_job_resume(struct nst_job *j, nst_serialise_fn *visit, void *ctx,
                    double *deviation);

/* The losses of any picture x of that size, into *e; the rest of it stays. */
void nst_job_evaluate(struct nst_job *j, const float *x, struct nst_evaluation *e);

#endif
