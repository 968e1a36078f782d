/* SPDX-License-Identifier: MIT */
/*
 * job_internal.h - what a job is made of, for who makes it and runs it (job.c), who
 * minimises (optimise.c) and who writes its state down (job_serialise.c).
 */
#ifndef NST_JOB_JOB_INTERNAL_H
#define NST_JOB_JOB_INTERNAL_H

#include <time.h>

#include "job/job.h"
#include "job/loss_balancing.h"
#include "job/plan.h"
#include "optim/adam.h"
#include "optim/lbfgs.h"
#include "optim/vector.h"

/* Evaluations whose fate is not known yet: those of the step in progress. */
#define MAX_PENDING 64

struct nst_job {
    const struct nst_params *p;
    const struct nst_plan *plan;
    int longest;                      /* side of the picture */
    const float *content, *keep_mask; /* vectors; keep: NULL if nothing is kept */
    float *composite;                 /* the picture that x stands for, if so */
    const float *content_host, *keep_mask_host;
    struct nst_objective *objective;
    const struct nst_err *device_error; /* of the device */
    const struct nst_job_events *events;
    struct nst_vector_space v;
    const struct nst_vector_ops *ops;
    struct timespec start_time;
    double elapsed_before; /* seconds of the run that this one goes on with */
    float *x, *host_x;     /* while it runs; host: x of who runs it */
    float *device_x; /* what x is where the backend has memory of its own, or NULL */
    struct nst_lbfgs *lbfgs; /* one of the two, while it runs */
    struct nst_adam *adam;
    nst_serialise_fn *resume; /* or NULL */
    void *resume_ctx;
    double *resume_deviation;
    int64_t evaluations, iterations, saved_iteration; /* saved: at that iteration */
    double saved_loss; /* of x while it is saved, once it was asked for; else NaN */
    struct nst_loss_balancing balance;
    int64_t budget; /* evaluations allowed */
    struct nst_evaluation pending[MAX_PENDING];
    int pending_count;
    struct nst_evaluation first, latest; /* latest: the iterate */
};

/* Since the run began, or the one that it goes on with. */
double nst_job_elapsed(const struct nst_job *j);

/* to = content + (1 - keep) (x - content); without x, to *= 1 - keep. */
static inline void nst_job_apply_mask(const struct nst_job *j, const float *x,
                                      float *to)
{
    j->ops->blend(j->v.be, j->v.n, to, x, j->content, j->keep_mask);
}

/* The losses of the picture that x, a vector, stands for, into *e; the rest stays. */
void nst_job_evaluate_iterate(struct nst_job *j, const float *x,
                              struct nst_evaluation *e);

/* A vector as the host sees it, in j->host_x, if the backend's memory is not the
 * host's; and what the host has there, back into own. */
const float *nst_job_download(struct nst_job *j, const float *x);
void nst_job_upload(struct nst_job *j, const float *x);

/* Take up the state that was asked to be resumed, if so. NST_ERR_FORMAT. */
enum nst_status nst_job_restore(struct nst_job *j, struct nst_err *err);

/* Minimise the objective from j->x on, which becomes the picture made, in place of
 * what stands for it. NST_ERR_MEM, NST_ERR_NUMERIC, NST_ERR_FORMAT. */
enum nst_status nst_job_optimise(struct nst_job *j, enum nst_job_end *end,
                                 struct nst_err *err);

#endif
