/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/job_internal.h"

#include <math.h>

static const struct nst_box unit_box = {0, 1};

/* nst_evaluate_fn: one evaluation, counted and recorded. */
static bool evaluate(void *ctx, const struct nst_buffer *x, const struct nst_buffer *d,
                     double *f, struct nst_buffer *g, struct nst_measures *m)
{
    struct nst_job *j = ctx;
    struct nst_losses losses;

    if (j->evaluations >= j->limits.evaluations || j->pending_count == MAX_PENDING)
        return false;
    if (j->keep_mask)
        nst_job_apply_mask(j, x, j->composite);
    nst_objective_evaluate(j->objective, j->keep_mask ? j->composite : x, &losses, g);
    if (j->device_error->status != NST_OK)
        return false;
    if (j->keep_mask)
        nst_job_apply_mask(j, NULL, g);
    *m = j->ops->measure(j->v.be, j->v.n, g, d);
    j->pending[j->pending_count++] = (struct nst_evaluation){
        .evaluation = ++j->evaluations,
        .scale = j->longest,
        .content_loss = losses.content,
        .style_loss = losses.style,
        .total_loss = losses.total,
        .gradient_max = m->max_abs,
        .gradient_norm = sqrt(m->sq_norm),
        .seconds = nst_job_elapsed(j),
    };
    *f = losses.total;
    return true;
}

/* Report the pending evaluations; number accepted becomes the iterate. */
static void report_evaluations(struct nst_job *j, int accepted)
{
    for (int i = 0; i < j->pending_count; i++) {
        struct nst_evaluation *e = &j->pending[i];

        e->accepted = i == accepted;
        e->iteration = j->iterations;
        if (e->accepted)
            j->latest = *e;
        if (e->evaluation == 1)
            j->first = *e;
        nst_report_evaluation(j->reporter, e);
    }
    j->pending_count = 0;
}

static void report_step(struct nst_job *j)
{
    nst_report_step(j->reporter, &j->latest, j->iterations, j->limits.iterations);
}

/* Whether steps remain and the caller wants to stop. */
static bool should_stop(const struct nst_job *j)
{
    return j->iterations < j->limits.iterations &&
           nst_run_should_stop(j->reporter->events);
}

/* Adapt the loss weights after a step. */
static void balance_weights(struct nst_job *j)
{
    struct nst_loss_balancing *b = &j->balance;
    const struct nst_balanced_loss *w;

    if (j->p->adaptive < NST_ADAPTIVE_WEIGHTS)
        return;
    w = nst_loss_balancing_step(b, j->latest.content_loss, j->latest.style_loss);
    if (!w)
        return;
    nst_report_weight(j->reporter, &j->latest, w == &b->content ? "content" : "style",
                      w->weight / NST_BALANCING_GROWTH, w->weight);
    nst_objective_set_weights(j->objective, b->content.weight, b->style.weight);
    if (j->lbfgs)
        nst_lbfgs_restart(j->lbfgs);
}

static void save_state(struct nst_job *j, bool now)
{
    bool due = j->iterations > 0 && j->iterations % j->p->save_every == 0;

    if (!j->save || j->iterations == j->saved_iteration || !(due || now))
        return;
    if (j->device_error->status != NST_OK) /* keep the last good save */
        return;
    j->saved_iteration = j->iterations;
    j->saved_loss = NAN;
    j->save(j->save_ctx, j);
}

static enum nst_status not_finite_error(const struct nst_job *j, struct nst_err *err)
{
    return nst_err_set(
        err, NST_ERR_NUMERIC,
        "the loss of the starting image (%g) or its gradient is not finite",
        j->first.total_loss);
}

/* One iteration of L-BFGS. The first evaluation, and the one after a change of weights,
 * do not count as steps. False if this was the last. */
static bool step_lbfgs(struct nst_job *j, enum nst_job_end *end)
{
    bool restarted = !j->first.evaluation || j->balance.changed;
    struct nst_step step = nst_lbfgs_step(j->lbfgs, evaluate, j, j->x);

    j->balance.changed = false;
    if (step.status == NST_STEP_TAKEN && !restarted)
        j->iterations++;
    report_evaluations(j, step.accepted);
    if (step.status == NST_STEP_CONVERGED)
        *end = NST_JOB_CONVERGED;
    if (step.status != NST_STEP_TAKEN)
        return false;
    report_step(j);
    if (!restarted)
        balance_weights(j);
    save_state(j, false);
    if (should_stop(j))
        *end = NST_JOB_STOPPED;
    return *end != NST_JOB_STOPPED;
}

static enum nst_status run_lbfgs(struct nst_job *j, enum nst_job_end *end,
                                 struct nst_err *err)
{
    enum nst_status st = nst_lbfgs_new(&j->lbfgs, j->v.n, j->plan->curvature_pairs,
                                       unit_box, j->v.be, err);

    if (st != NST_OK)
        return st;
    st = nst_job_restore(j, err);
    if (st == NST_OK) {
        while ((!j->first.evaluation || j->iterations < j->limits.iterations) &&
               step_lbfgs(j, end))
            ;
        if (!isfinite(j->first.total_loss) || !isfinite(j->first.gradient_norm))
            st = not_finite_error(j, err);
    }
    if (st == NST_OK)
        save_state(j, true);
    nst_lbfgs_free(j->lbfgs);
    j->lbfgs = NULL;
    return st;
}

/* The result is the average, or the last iterate if its loss is lower. */
static void finish_adam(struct nst_job *j)
{
    struct nst_evaluation last = j->latest, average = j->latest;
    const struct nst_buffer *average_x = nst_adam_average(j->adam);

    nst_job_evaluate_iterate(j, average_x, &average);
    nst_job_evaluate_iterate(j, j->x, &last);
    if (average.total_loss < last.total_loss)
        j->ops->copy(j->v.be, j->v.n, j->x, average_x);
    j->latest = average.total_loss < last.total_loss ? average : last;
    j->latest.iteration = j->iterations;
    j->latest.seconds = nst_job_elapsed(j);
}

/* One step of Adam. False if this was the last. */
static bool step_adam(struct nst_job *j, enum nst_job_end *end)
{
    struct nst_step step = nst_adam_step(j->adam, evaluate, j, j->x);

    report_evaluations(j, 0);
    if (step.status != NST_STEP_TAKEN)
        return false;
    j->iterations++;
    report_step(j);
    balance_weights(j);
    j->balance.changed = false;
    save_state(j, false);
    if (should_stop(j))
        *end = NST_JOB_STOPPED;
    return *end != NST_JOB_STOPPED;
}

static enum nst_status run_adam(struct nst_job *j, enum nst_job_end *end,
                                struct nst_err *err)
{
    enum nst_status st =
        nst_adam_new(&j->adam, j->v.n, j->p->learning_rate, unit_box, j->v.be, err);

    if (st != NST_OK)
        return st;
    st = nst_job_restore(j, err);
    if (st == NST_OK) {
        while (j->iterations < j->limits.iterations && step_adam(j, end))
            ;
        if (j->iterations == 0 && j->first.evaluation)
            st = not_finite_error(j, err);
    }
    if (st == NST_OK && j->iterations > 0) {
        save_state(j, true);
        finish_adam(j);
    }
    nst_adam_free(j->adam);
    j->adam = NULL;
    return st;
}

enum nst_status nst_job_optimise(struct nst_job *j, enum nst_job_end *end,
                                 struct nst_err *err)
{
    enum nst_status st;

    *end = NST_JOB_COMPLETED;
    if (j->p->optimiser == NST_OPTIMISER_ADAM)
        st = run_adam(j, end, err);
    else
        st = run_lbfgs(j, end, err);
    if (st == NST_OK && j->keep_mask)
        nst_job_apply_mask(j, j->x, j->x);
    return st;
}
