/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <math.h>

#include "job/job_parts.h"
#include "optim/tutorial.h"

static const struct nst_box unit = {0, 1};

/* nst_function: one evaluation, counted and noted. */
static bool evaluate(void *ctx, const float *x, const float *d, double *f, float *g,
                     struct nst_measures *m)
{
    struct nst_job *r = ctx;
    struct nst_losses losses;

    if (r->evaluations >= r->budget || r->pendings == PENDING_MAX)
        return false;
    if (r->keep)
        nst_job_blend(r, x, r->made);
    nst_objective_evaluate(r->objective, r->keep ? r->made : x, &losses, g);
    if (r->fault->status != NST_OK)
        return false;
    if (r->keep)
        nst_job_blend(r, NULL, g);
    *m = r->ops->measure(r->v.be, r->v.n, g, d);
    r->pending[r->pendings++] = (struct nst_evaluation){
        .evaluation = ++r->evaluations,
        .scale = r->longest,
        .content_loss = losses.content,
        .style_loss = losses.style,
        .total_loss = losses.total,
        .gradient_max = m->most,
        .gradient_norm = sqrt(m->square),
        .seconds = nst_job_seconds(r),
    };
    *f = losses.total;
    return true;
}

/* Tell what became of the pending evaluations: the accepted-th is the iterate. */
static void settle(struct nst_job *r, int accepted)
{
    for (int i = 0; i < r->pendings; i++) {
        struct nst_evaluation *e = &r->pending[i];

        e->accepted = i == accepted;
        e->iteration = r->iterations;
        if (e->accepted)
            r->latest = *e;
        if (e->evaluation == 1)
            r->first = *e;
        if (r->events && r->events->evaluated)
            r->events->evaluated(r->events->ctx, e);
    }
    r->pendings = 0;
}

static void stepped(struct nst_job *r)
{
    if (r->events && r->events->stepped)
        r->events->stepped(r->events->ctx, &r->latest, r->iterations, r->p->iterations);
}

static bool asked_to_stop(const struct nst_job *r)
{
    return r->events && r->events->stop && r->events->stop(r->events->ctx);
}

/* Is there a step left, and somebody who asks to go without it? */
static bool stops(const struct nst_job *r)
{
    return r->iterations < r->p->iterations && asked_to_stop(r);
}

/* After a step: let the weights follow the losses. */
static void balance(struct nst_job *r)
{
    struct nst_balance *b = &r->balance;
    const struct nst_weighed *w;

    if (r->p->adaptive < NST_ADAPTIVE_WEIGHTS)
        return;
    w = nst_balance_step(b, r->latest.content_loss, r->latest.style_loss);
    if (!w)
        return;
    if (r->events && r->events->reweighed)
        r->events->reweighed(r->events->ctx, &r->latest,
                             w == &b->content ? "content" : "style",
                             w->weight / NST_BALANCE_GROWTH, w->weight);
    nst_objective_weigh(r->objective, b->content.weight, b->style.weight);
    if (r->lbfgs)
        nst_lbfgs_anew(r->lbfgs);
}

static void save(struct nst_job *r, bool now)
{
    bool due = r->iterations > 0 && r->iterations % r->p->save_every == 0;

    if (!r->events || !r->events->save || r->iterations == r->saved || !(due || now))
        return;
    if (r->fault->status != NST_OK) /* what was saved before is worth more */
        return;
    r->saved = r->iterations;
    r->loss = NAN;
    r->events->save(r->events->ctx, r);
}

static enum nst_status not_finite(const struct nst_job *r, struct nst_err *err)
{
    return nst_err_set(
        err, NST_ERR_NUMERIC,
        "the loss of the starting picture (%g) or its gradient is not finite",
        r->first.total_loss);
}

/* One step, or the first evaluation, or one after the weights were changed, which are
 * no steps. False if it was the last. */
static bool step_lbfgs(struct nst_job *r, enum nst_job_end *end)
{
    bool anew = !r->first.evaluation || r->balance.changed;
    struct nst_step step = nst_lbfgs_step(r->lbfgs, evaluate, r, r->x);

    r->balance.changed = false;
    if (step.end == NST_STEP_TAKEN && !anew)
        r->iterations++;
    settle(r, step.accepted);
    if (step.end == NST_STEP_CONVERGED)
        *end = NST_JOB_CONVERGED;
    if (step.end != NST_STEP_TAKEN)
        return false;
    stepped(r);
    if (!anew)
        balance(r);
    save(r, false);
    if (stops(r))
        *end = NST_JOB_STOPPED;
    return *end != NST_JOB_STOPPED;
}

static enum nst_status run_lbfgs(struct nst_job *r, enum nst_job_end *end,
                                 struct nst_err *err)
{
    enum nst_status st =
        nst_lbfgs_new(&r->lbfgs, r->v.n, r->plan->curvature_pairs, unit, r->v.be, err);

    if (st != NST_OK)
        return st;
    st = nst_job_take_up(r, err);
    if (st == NST_OK) {
        while ((!r->first.evaluation || r->iterations < r->p->iterations) &&
               step_lbfgs(r, end))
            ;
        if (!isfinite(r->first.total_loss) || !isfinite(r->first.gradient_norm))
            st = not_finite(r, err);
    }
    if (st == NST_OK)
        save(r, true);
    nst_lbfgs_free(r->lbfgs);
    r->lbfgs = NULL;
    return st;
}

/* The result is the average, or the last iterate if that is better. */
static void end_adam(struct nst_job *r)
{
    struct nst_evaluation last = r->latest, average = r->latest;
    const float *to = nst_adam_average(r->adam);

    nst_job_losses(r, to, &average);
    nst_job_losses(r, r->x, &last);
    if (average.total_loss < last.total_loss)
        r->ops->copy(r->v.be, r->v.n, r->x, to);
    r->latest = average.total_loss < last.total_loss ? average : last;
    r->latest.iteration = r->iterations;
    r->latest.seconds = nst_job_seconds(r);
}

/* False if it was the last. */
static bool step_adam(struct nst_job *r, enum nst_job_end *end)
{
    struct nst_step step = nst_adam_step(r->adam, evaluate, r, r->x);

    settle(r, 0);
    if (step.end != NST_STEP_TAKEN)
        return false;
    r->iterations++;
    stepped(r);
    balance(r);
    r->balance.changed = false;
    save(r, false);
    if (stops(r))
        *end = NST_JOB_STOPPED;
    return *end != NST_JOB_STOPPED;
}

static enum nst_status run_adam(struct nst_job *r, enum nst_job_end *end,
                                struct nst_err *err)
{
    enum nst_status st =
        nst_adam_new(&r->adam, r->v.n, r->p->learning_rate, unit, r->v.be, err);

    if (st != NST_OK)
        return st;
    st = nst_job_take_up(r, err);
    if (st == NST_OK) {
        while (r->iterations < r->p->iterations && step_adam(r, end))
            ;
        if (r->iterations == 0 && r->first.evaluation)
            st = not_finite(r, err);
    }
    if (st == NST_OK && r->iterations > 0) {
        save(r, true);
        end_adam(r);
    }
    nst_adam_free(r->adam);
    r->adam = NULL;
    return st;
}

/* nst_function of the tutorial: each evaluation is a step of its own. */
static bool evaluate_tutorial(void *ctx, const float *x, const float *d, double *f,
                              float *g, struct nst_measures *m)
{
    struct nst_job *r = ctx;

    if (asked_to_stop(r) || !evaluate(r, x, d, f, g, m))
        return false;
    r->iterations = r->evaluations;
    settle(r, 0);
    stepped(r);
    return true;
}

static enum nst_status run_tutorial(struct nst_job *r, enum nst_job_end *end,
                                    struct nst_err *err)
{
    struct nst_tutorial *t;
    enum nst_status st = nst_tutorial_new(&t, r->v.n, r->v.be, err);

    if (st != NST_OK)
        return st;
    if (r->p->iterations < r->budget)
        r->budget = r->p->iterations;
    while (nst_tutorial_step(t, evaluate_tutorial, r, r->x))
        ;
    nst_tutorial_free(t);
    if (r->evaluations < r->budget)
        *end = NST_JOB_STOPPED;
    /* As the tutorial does in the end; the picture is not any point evaluated. */
    nst_job_shown(r, r->x);
    for (size_t i = 0; i < r->v.n; i++)
        r->host[i] = r->host[i] >= 0 ? r->host[i] > 1 ? 1 : r->host[i] : 0;
    nst_job_take_in(r, r->host);
    nst_job_losses(r, r->x, &r->latest);
    r->latest.seconds = nst_job_seconds(r);
    return NST_OK;
}

enum nst_status nst_job_minimise(struct nst_job *r, enum nst_job_end *end,
                                 struct nst_err *err)
{
    enum nst_status st;

    *end = NST_JOB_COMPLETED;
    if (r->p->compat == NST_COMPAT_TUTORIAL)
        st = run_tutorial(r, end, err);
    else if (r->p->optimiser == NST_OPTIMISER_ADAM)
        st = run_adam(r, end, err);
    else
        st = run_lbfgs(r, end, err);
    if (st == NST_OK && r->keep)
        nst_job_blend(r, r->x, r->x);
    return st;
}
