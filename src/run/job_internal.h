/* SPDX-License-Identifier: MIT */
/* job_internal.h - the state of a job, and the functions that its files share. */
#ifndef NST_RUN_JOB_INTERNAL_H
#define NST_RUN_JOB_INTERNAL_H

#include "optim/adam.h"
#include "optim/lbfgs.h"
#include "optim/vector.h"
#include "run/adapt.h"
#include "run/job.h"
#include "run/plan.h"

/* Evaluations of the current step, whose acceptance is still unknown. */
#define MAX_PENDING 64

struct nst_job {
    const struct nst_params *p;
    const struct nst_plan *plan;
    int longest;                                  /* side of the picture */
    const struct nst_buffer *content, *keep_mask; /* NULL without a mask */
    struct nst_buffer *composite; /* the masked image for x; NULL without a mask */
    const float *content_host;
    struct nst_objective *objective;
    const struct nst_err *device_error; /* the backend's sticky error */
    struct nst_reporter *reporter;
    void (*save)(void *ctx, struct nst_job *j); /* or NULL */
    void *save_ctx;
    struct nst_vector_space v;
    const struct nst_vector_ops *ops;
    double start_time;     /* of nst_clock_seconds() */
    double elapsed_before; /* seconds of the resumed run */
    struct nst_buffer *x;  /* during the run */
    float *host_x;         /* during the run: the caller's x */
    /* x in device memory; NULL on a CPU */
    struct nst_buffer *device_x;
    struct nst_lbfgs *lbfgs; /* one of the two, during the run */
    struct nst_adam *adam;
    nst_serialise_fn *resume; /* or NULL */
    void *resume_ctx;
    double *resume_deviation;
    int64_t evaluations, iterations, saved_iteration; /* iteration of the last save */
    double saved_loss; /* loss of x for this save; NaN until computed */
    struct nst_loss_balancing balance;
    struct nst_job_limits limits;
    struct nst_evaluation pending[MAX_PENDING];
    int pending_count;
    struct nst_evaluation first, latest; /* latest: the iterate */
};

/* Seconds since the run began, including those of a resumed run. */
double nst_job_elapsed(const struct nst_job *j);

/* to = content + (1 - keep) (x - content); without x, to *= 1 - keep. */
static inline void nst_job_apply_mask(const struct nst_job *j,
                                      const struct nst_buffer *x, struct nst_buffer *to)
{
    j->ops->blend(j->v.be, j->v.n, to, x, j->content, j->keep_mask);
}

/* Store the losses of the image for the vector x in *e; other fields stay unchanged. */
void nst_job_evaluate_iterate(struct nst_job *j, const struct nst_buffer *x,
                              struct nst_evaluation *e);

/* Copy a vector to j->host_x if the backend has memory of its own, and return the
 * host's copy; and copy a host vector to j->device_x. */
const float *nst_job_download(struct nst_job *j, struct nst_buffer *x);
void nst_job_upload(struct nst_job *j, const float *x);

/* job_serialise.c: restore the state if nst_job_resume() was called. NST_ERR_FORMAT. */
enum nst_status nst_job_restore(struct nst_job *j, struct nst_err *err);

/* job_optimise.c: minimise the objective from j->x, which becomes the result with the
 * keep mask applied. NST_ERR_MEM, NST_ERR_NUMERIC, NST_ERR_FORMAT. */
enum nst_status nst_job_optimise(struct nst_job *j, enum nst_job_end *end,
                                 struct nst_err *err);

#endif
