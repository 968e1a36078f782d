/* SPDX-License-Identifier: MIT */
/*
 * job.h - stylises one picture: content, style and parameters in, result out.
 *
 * Pictures are planar floats; only the network comes from a file. Progress is reported
 * through callbacks. Everything runs on the calling thread.
 */
#ifndef NST_RUN_JOB_H
#define NST_RUN_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/image.h"
#include "optim/evaluation.h"
#include "optim/serialise.h"
#include "options/params.h"
#include "run/report.h"
#include "session/session.h"
#include "style/objective.h"

struct nst_job;  /* optimises one picture at one scale */
struct nst_plan; /* run/plan.h */

/* The numbers of steps and of evaluations after which a job ends. */
struct nst_job_limits {
    int64_t iterations, evaluations;
};

/*
 * Make a job for the pictures that plan was made for, and compute the targets of
 * content and style. p must be the parameters of the session. p, plan and content are
 * borrowed for the life of the job, style for the call. *out belongs to the caller:
 * nst_job_free(). Errors: NST_ERR_ARG (a picture too small for the layers),
 * NST_ERR_MEM.
 */
enum nst_status nst_job_new(struct nst_job **out, struct nst_session *s,
                            const struct nst_params *p, const struct nst_plan *plan,
                            struct nst_image content, const struct nst_style *style,
                            struct nst_err *err);
void nst_job_free(struct nst_job *j);

/*
 * Keep parts of the content. keep_mask (height x width of the content) says how much of
 * each pixel stays, from 0 to 1. The result is content + (1 - keep) (x - content); x is
 * optimised. keep_mask is borrowed for the life of the job. NST_ERR_MEM.
 */
enum nst_status nst_job_set_keep_mask(struct nst_job *j, const float *keep_mask,
                                      struct nst_err *err);

/* Add the temporal loss, weighted by p->temporal. target is borrowed for the life of
 * the job. NST_ERR_MEM. */
enum nst_status nst_job_set_temporal_target(struct nst_job *j,
                                            struct nst_temporal_target target,
                                            struct nst_err *err);

/*
 * Run the optimisation, once. x (3 x height x width of the content) holds the initial
 * image and receives the result, within 0..1. reporter learns of every step and says
 * when to stop. *result is filled on success only. Errors: NST_ERR_MEM, NST_ERR_NUMERIC
 * (the initial loss is not finite), NST_ERR_FORMAT (see nst_job_resume()).
 */
enum nst_status nst_job_run(struct nst_job *j, float *x, struct nst_job_limits limits,
                            struct nst_reporter *reporter,
                            struct nst_job_result *result, struct nst_err *err);

/* Let the run call save(ctx, j) every save_every steps and after the last one. */
void nst_job_set_save(struct nst_job *j, void (*save)(void *ctx, struct nst_job *j),
                      void *ctx);

/* The current image during the run: 3 x height x width of the content, borrowed until
 * the next step. It may share memory with the x of nst_job_run(). */
const float *nst_job_current_image(struct nst_job *j);

/* The weights of the losses of content and style, which --adaptive changes. */
void nst_job_weights(const struct nst_job *j, double *content, double *style);

/* Number of steps so far. */
int64_t nst_job_iterations(const struct nst_job *j);

/*
 * Visit the arrays of the job's state during the run (optim/serialise.h):
 * the function of nst_job_set_save() writes them, and nst_job_run() restores them after
 * nst_job_resume(). False if the visitor fails.
 */
bool nst_job_serialise(struct nst_job *j, nst_serialise_fn *visit, void *ctx);

/* Let nst_job_run() start from the state that visit() restores instead of its x. ctx
 * and deviation are borrowed until then. The run fails with NST_ERR_FORMAT if the state
 * is incomplete or its loss differs by 1 % or more. *deviation receives the relative
 * difference of the loss: 0, or a little on another processor. */
void nst_job_resume(struct nst_job *j, nst_serialise_fn *visit, void *ctx,
                    double *deviation);

/* Store the losses of any picture x of the job's size in *e; other fields stay. */
void nst_job_evaluate(struct nst_job *j, const float *x, struct nst_evaluation *e);

#endif
