/* SPDX-License-Identifier: MIT */
/*
 * job_parts.h - what a job is made of, for who makes it and runs it (job.c), who
 * minimises (minimise.c) and who writes its state down (job_state.c).
 */
#ifndef NST_JOB_JOB_PARTS_H
#define NST_JOB_JOB_PARTS_H

#include <time.h>

#include "job/balance.h"
#include "job/job.h"
#include "job/plan.h"
#include "optim/adam.h"
#include "optim/lbfgs.h"
#include "optim/vector.h"

/* Evaluations whose fate is not known yet: those of the step in progress. */
#define PENDING_MAX 64

struct nst_job {
    const struct nst_params *p;
    const struct nst_plan *plan;
    int longest;                 /* side of the picture */
    const float *content, *keep; /* vectors; keep: NULL if nothing is kept */
    float *made;                 /* the picture that x stands for, if so */
    const float *content_host, *keep_host;
    struct nst_objective *objective;
    const struct nst_err *fault; /* of the device */
    const struct nst_job_events *events;
    struct nst_vectors v;
    const struct nst_vector_ops *ops;
    struct timespec begin;
    double earlier;  /* seconds of the run that this one goes on with */
    float *x, *host; /* while it runs; host: x of who runs it */
    float *own;      /* what x is where the backend has memory of its own, or NULL */
    struct nst_lbfgs *lbfgs; /* one of the two, while it runs */
    struct nst_adam *adam;
    nst_state_visit *resume; /* or NULL */
    void *resume_ctx;
    double *resume_off;
    int64_t evaluations, iterations, saved; /* saved: at that iteration */
    double loss; /* of x while it is saved, once it was asked for; else NaN */
    struct nst_balance balance;
    int64_t budget; /* evaluations allowed */
    struct nst_evaluation pending[PENDING_MAX];
    int pendings;
    struct nst_evaluation first, latest; /* latest: the iterate */
};

/* Since the run began, or the one that it goes on with. */
double nst_job_seconds(const struct nst_job *r);

/* to = content + (1 - keep) (x - content); without x, to *= 1 - keep. */
static inline void nst_job_blend(const struct nst_job *r, const float *x, float *to)
{
    r->ops->blend(r->v.be, r->v.n, to, x, r->content, r->keep);
}

/* The losses of the picture that x, a vector, stands for, into *e; the rest stays. */
void nst_job_losses(struct nst_job *r, const float *x, struct nst_evaluation *e);

/* A vector as the host sees it, in r->host, if the backend's memory is not the host's;
 * and what the host has there, back into own. */
const float *nst_job_shown(struct nst_job *r, const float *x);
void nst_job_take_in(struct nst_job *r, const float *x);

/* Take up the state that was asked to be resumed, if so. NST_ERR_FORMAT. */
enum nst_status nst_job_take_up(struct nst_job *r, struct nst_err *err);

/* Minimise the objective from r->x on, which becomes the picture made, in place of
 * what stands for it. NST_ERR_MEM, NST_ERR_NUMERIC, NST_ERR_FORMAT. */
enum nst_status nst_job_minimise(struct nst_job *r, enum nst_job_end *end,
                                 struct nst_err *err);

#endif
