/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/backend.h"
#include "base/limits.h"
#include "base/mem.h"
#include "job/plan.h"
#include "model/vgg.h"
#include "optim/adam.h"
#include "optim/lbfgs.h"
#include "optim/tutorial.h"
#include "optim/vector.h"
#include "style/objective.h"

/* A loss that is higher than it was this many steps ago gets this much more weight, but
 * never more than that many times what it had. */
#define BALANCE_STEPS 10
#define BALANCE_GROWTH 1.1
#define BALANCE_MOST 4

static const struct nst_box unit = {0, 1};

/* One of the two losses under --adaptive. */
struct balance {
    double weight, least;       /* now, and as it was */
    double past[BALANCE_STEPS]; /* its latest values */
};

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
    struct balance content_balance, style_balance;
    int64_t balanced; /* steps since a weight was changed */
    bool reweighed;   /* so that the iterate has another loss than was told */
    int64_t budget;   /* evaluations allowed */
    struct nst_evaluation pending[PENDING_MAX];
    int pendings;
    struct nst_evaluation first, latest; /* latest: the iterate */
};

static double seconds_since(const struct timespec *t)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + 1e-9 * (double)(now.tv_nsec - t->tv_nsec);
}

static double seconds(const struct nst_job *r)
{
    return r->earlier + seconds_since(&r->begin);
}

/* to = content + (1 - keep) (x - content); without x, to *= 1 - keep. */
static void keep(const struct nst_job *r, const float *x, float *to)
{
    r->ops->blend(r->v.be, r->v.n, to, x, r->content, r->keep);
}

enum nst_status nst_job_keep(struct nst_job *r, const float *mask, struct nst_err *err)
{
    enum nst_status st = nst_vector_new(&r->v, &r->made, err);

    if (st == NST_OK)
        st = nst_backend_show(r->v.be, r->content_host, r->v.n, &r->content, err);
    if (st == NST_OK)
        st = nst_backend_show(r->v.be, mask, r->v.n / 3, &r->keep, err);
    r->keep_host = mask;
    return st;
}

enum nst_status nst_job_hold(struct nst_job *r, struct nst_before before,
                             struct nst_err *err)
{
    return nst_objective_hold(r->objective, before, r->p->temporal, err);
}

/* nst_function: one evaluation, counted and noted. */
static bool evaluate(void *ctx, const float *x, const float *d, double *f, float *g,
                     struct nst_measures *m)
{
    struct nst_job *r = ctx;
    struct nst_losses losses;
    struct nst_evaluation *e;

    if (r->evaluations >= r->budget || r->pendings == PENDING_MAX)
        return false;
    if (r->keep)
        keep(r, x, r->made);
    nst_objective_evaluate(r->objective, r->keep ? r->made : x, &losses, g);
    if (r->fault->status != NST_OK)
        return false;
    if (r->keep)
        keep(r, NULL, g);
    *m = r->ops->measure(r->v.be, r->v.n, g, d);
    e = &r->pending[r->pendings++];
    *e = (struct nst_evaluation){
        .evaluation = ++r->evaluations,
        .scale = r->longest,
        .content_loss = losses.content,
        .style_loss = losses.style,
        .total_loss = losses.total,
        .gradient_max = m->most,
        .gradient_norm = sqrt(m->square),
        .seconds = seconds(r),
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

static void stepped(struct nst_job *r, int64_t done)
{
    if (r->events && r->events->stepped)
        r->events->stepped(r->events->ctx, &r->latest, done, r->p->iterations);
}

static bool asked_to_stop(const struct nst_job *r)
{
    return r->events && r->events->stop && r->events->stop(r->events->ctx);
}

/* Note the loss of a step; true if it has risen. */
static bool rises(struct balance *b, int64_t step, double loss)
{
    double before = b->past[step % BALANCE_STEPS];

    b->past[step % BALANCE_STEPS] = loss;
    return step >= BALANCE_STEPS && loss > before &&
           b->weight * BALANCE_GROWTH <= b->least * BALANCE_MOST;
}

static void raise_weight(struct nst_job *r, struct balance *b, const char *loss)
{
    double before = b->weight;

    b->weight *= BALANCE_GROWTH;
    r->reweighed = true;
    if (r->events && r->events->reweighed)
        r->events->reweighed(r->events->ctx, &r->latest, loss, before, b->weight);
}

/* After a step: let the weights follow the losses. */
static void balance(struct nst_job *r)
{
    struct balance *c = &r->content_balance, *s = &r->style_balance;
    bool content, style;

    if (r->p->adaptive < NST_ADAPTIVE_WEIGHTS)
        return;
    content = rises(c, r->balanced, r->latest.content_loss);
    style = rises(s, r->balanced, r->latest.style_loss);
    r->balanced++;
    if (content == style) /* neither; or both, where none is to be preferred */
        return;
    raise_weight(r, content ? c : s, content ? "content" : "style");
    r->balanced = 0;
    nst_objective_weigh(r->objective, c->weight, s->weight);
    if (r->lbfgs)
        nst_lbfgs_anew(r->lbfgs);
}

static bool visit_balance(struct nst_job *r, nst_state_visit *visit, void *ctx)
{
    struct balance *c = &r->content_balance, *s = &r->style_balance;
    int64_t counts[] = {r->balanced, r->reweighed};

    if (r->p->adaptive < NST_ADAPTIVE_WEIGHTS)
        return true;
    if (!visit(ctx, "balance/counts", NST_I64, counts, 2) || counts[0] < 0 ||
        !visit(ctx, "balance/content", NST_F64, &c->weight, 1) ||
        !visit(ctx, "balance/style", NST_F64, &s->weight, 1) ||
        !visit(ctx, "balance/past contents", NST_F64, c->past, BALANCE_STEPS) ||
        !visit(ctx, "balance/past styles", NST_F64, s->past, BALANCE_STEPS))
        return false;
    r->balanced = counts[0];
    r->reweighed = counts[1] != 0;
    nst_objective_weigh(r->objective, c->weight, s->weight);
    return true;
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

static bool visit_evaluation(struct nst_evaluation *e, const char *name,
                             nst_state_visit *visit, void *ctx)
{
    int64_t counts[] = {e->evaluation, e->scale, e->iteration, e->accepted};
    double values[] = {e->content_loss, e->style_loss,    e->total_loss,
                       e->gradient_max, e->gradient_norm, e->seconds};
    char part[64];

    snprintf(part, sizeof part, "%s/counts", name);
    if (!visit(ctx, part, NST_I64, counts, 4))
        return false;
    snprintf(part, sizeof part, "%s/values", name);
    if (!visit(ctx, part, NST_F64, values, 6))
        return false;
    *e = (struct nst_evaluation){counts[0], (int)counts[1], counts[2], values[0],
                                 values[1], values[2],      values[3], values[4],
                                 counts[3], values[5]};
    return true;
}

/* The losses of a picture. */
static void measure_picture(struct nst_job *r, const float *picture,
                            struct nst_evaluation *e)
{
    struct nst_losses losses;

    nst_objective_evaluate(r->objective, picture, &losses, NULL);
    e->content_loss = losses.content;
    e->style_loss = losses.style;
    e->total_loss = losses.total;
}

/* Those of what x stands for. */
static void measure(struct nst_job *r, const float *x, struct nst_evaluation *e)
{
    if (r->keep)
        keep(r, x, r->made);
    measure_picture(r, r->keep ? r->made : x, e);
}

static double loss_at(struct nst_job *r, const float *x)
{
    struct nst_evaluation e = {0};

    measure(r, x, &e);
    return e.total_loss;
}

/* The scale of fp16's gradients. A checkpoint of the CPU, which worked instead, lacks
 * it. */
static void visit_scale(struct nst_job *r, nst_state_visit *visit, void *ctx)
{
    struct nst_backend *be = r->v.be;
    float scale = be->gradient_scale;

    if (be->config.precision == NST_PRECISION_FP16 &&
        visit(ctx, "gradient scale", NST_F32, &scale, 1) && isfinite(scale) &&
        scale > 0)
        be->gradient_scale = scale;
}

/* All but the loss, which is for checking. */
static bool visit_state(struct nst_job *r, nst_state_visit *visit, void *ctx)
{
    double time = seconds(r);

    if (!nst_vector_visit(&r->v, "x", r->x, visit, ctx) ||
        !visit(ctx, "evaluations", NST_I64, &r->evaluations, 1) ||
        !visit(ctx, "iterations", NST_I64, &r->iterations, 1) ||
        !visit(ctx, "seconds", NST_F64, &time, 1) ||
        !visit_evaluation(&r->first, "first", visit, ctx) ||
        !visit_evaluation(&r->latest, "latest", visit, ctx) ||
        !visit_balance(r, visit, ctx))
        return false;
    visit_scale(r, visit, ctx);
    r->earlier = time - seconds_since(&r->begin);
    return r->lbfgs ? nst_lbfgs_state(r->lbfgs, visit, ctx)
                    : nst_adam_state(r->adam, visit, ctx);
}

/* A vector as the host sees it: what it started from has been used. */
static const float *shown(struct nst_job *r, const float *x)
{
    if (!r->own)
        return x;
    r->v.be->ops->get(r->v.be, r->host, x, r->v.n * sizeof *x);
    return r->host;
}

/* x of the host as a vector: itself, or in own. */
static void take_in(struct nst_job *r, const float *x)
{
    if (r->own)
        r->v.be->ops->put(r->v.be, r->own, x, r->v.n * sizeof *x);
}

const float *nst_job_picture(struct nst_job *r)
{
    if (!r->keep)
        return shown(r, r->x);
    keep(r, r->x, r->made);
    return shown(r, r->made);
}

bool nst_job_state(struct nst_job *r, nst_state_visit *visit, void *ctx)
{
    if (isnan(r->loss))
        r->loss = loss_at(r, r->x);
    return visit_state(r, visit, ctx) && visit(ctx, "loss", NST_F64, &r->loss, 1);
}

void nst_job_resume(struct nst_job *r, nst_state_visit *visit, void *ctx, double *off)
{
    r->resume = visit;
    r->resume_ctx = ctx;
    r->resume_off = off;
}

/* Take up what was asked to be resumed. */
static enum nst_status take_up(struct nst_job *r, struct nst_err *err)
{
    double was, is;

    if (!r->resume)
        return NST_OK;
    if (!visit_state(r, r->resume, r->resume_ctx) ||
        !r->resume(r->resume_ctx, "loss", NST_F64, &was, 1))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "the checkpoint is not one of such a run, or not whole");
    is = loss_at(r, r->x);
    *r->resume_off = fabs(is / was - 1);
    r->saved = r->iterations;
    if (!(*r->resume_off < 1e-2))
        return nst_err_set(
            err, NST_ERR_FORMAT,
            "the checkpoint is of other pictures: its loss was %.6g, and "
            "with these it is %.6g",
            was, is);
    return NST_OK;
}

static enum nst_status not_finite(const struct nst_job *r, struct nst_err *err)
{
    return nst_err_set(
        err, NST_ERR_NUMERIC,
        "the loss of the starting picture (%g) or its gradient is not finite",
        r->first.total_loss);
}

static enum nst_status run_lbfgs(struct nst_job *r, float *x, enum nst_job_end *end,
                                 struct nst_err *err)
{
    struct nst_lbfgs *l;
    enum nst_status st;

    st = nst_lbfgs_new(&l, r->v.n, r->plan->curvature_pairs, unit, r->v.be, err);
    if (st != NST_OK)
        return st;
    r->lbfgs = l;
    st = take_up(r, err);
    *end = NST_JOB_COMPLETED;
    while (st == NST_OK && (!r->first.evaluation || r->iterations < r->p->iterations)) {
        bool anew = !r->first.evaluation || r->reweighed;
        struct nst_step step = nst_lbfgs_step(l, evaluate, r, x);

        r->reweighed = false;
        if (step.end == NST_STEP_TAKEN && !anew)
            r->iterations++;
        settle(r, step.accepted);
        *end = step.end == NST_STEP_CONVERGED ? NST_JOB_CONVERGED : NST_JOB_COMPLETED;
        if (step.end != NST_STEP_TAKEN)
            break;
        stepped(r, r->iterations);
        if (!anew)
            balance(r);
        save(r, false);
        if (r->iterations < r->p->iterations && asked_to_stop(r)) {
            *end = NST_JOB_STOPPED;
            break;
        }
    }
    if (st == NST_OK &&
        (!isfinite(r->first.total_loss) || !isfinite(r->first.gradient_norm)))
        st = not_finite(r, err);
    if (st == NST_OK)
        save(r, true);
    nst_lbfgs_free(l);
    r->lbfgs = NULL;
    return st;
}

/* The result is the average, or the last iterate if that is better. */
static enum nst_status end_adam(struct nst_job *r, const struct nst_adam *a, float *x,
                                struct nst_err *err)
{
    struct nst_evaluation last = r->latest, average = r->latest;
    float *to;
    enum nst_status st = nst_vector_new(&r->v, &to, err);

    if (st != NST_OK)
        return st;
    nst_adam_average(a, to);
    measure(r, to, &average);
    measure(r, x, &last);
    if (average.total_loss < last.total_loss)
        r->ops->copy(r->v.be, r->v.n, x, to);
    r->latest = average.total_loss < last.total_loss ? average : last;
    r->latest.iteration = r->iterations;
    r->latest.seconds = seconds(r);
    nst_vector_free(&r->v, to);
    return NST_OK;
}

static enum nst_status run_adam(struct nst_job *r, float *x, enum nst_job_end *end,
                                struct nst_err *err)
{
    struct nst_adam *a;
    struct nst_step step = {NST_STEP_TAKEN, 0, -1};
    enum nst_status st;

    st = nst_adam_new(&a, r->v.n, r->p->learning_rate, unit, r->v.be, err);
    if (st != NST_OK)
        return st;
    r->adam = a;
    st = take_up(r, err);
    *end = NST_JOB_COMPLETED;
    while (st == NST_OK && r->iterations < r->p->iterations &&
           step.end == NST_STEP_TAKEN && *end != NST_JOB_STOPPED) {
        step = nst_adam_step(a, evaluate, r, x);
        settle(r, 0);
        if (step.end == NST_STEP_TAKEN) {
            stepped(r, ++r->iterations);
            balance(r);
            r->reweighed = false;
            save(r, false);
            if (r->iterations < r->p->iterations && asked_to_stop(r))
                *end = NST_JOB_STOPPED;
        }
    }
    if (st == NST_OK && step.end == NST_STEP_CONVERGED && r->iterations == 0)
        st = not_finite(r, err);
    else if (st == NST_OK && r->iterations > 0) {
        save(r, true);
        st = end_adam(r, a, x, err);
    }
    nst_adam_free(a);
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
    stepped(r, r->evaluations);
    return true;
}

static enum nst_status run_tutorial(struct nst_job *r, float *x, enum nst_job_end *end,
                                    struct nst_err *err)
{
    struct nst_tutorial *t;
    enum nst_status st = nst_tutorial_new(&t, r->v.n, r->v.be, err);

    if (st != NST_OK)
        return st;
    if (r->p->iterations < r->budget)
        r->budget = r->p->iterations;
    while (nst_tutorial_step(t, evaluate_tutorial, r, x))
        ;
    nst_tutorial_free(t);
    *end = r->evaluations < r->budget ? NST_JOB_STOPPED : NST_JOB_COMPLETED;
    /* As the tutorial does in the end; the picture is not any point evaluated. */
    shown(r, x);
    for (size_t i = 0; i < r->v.n; i++)
        r->host[i] = r->host[i] >= 0 ? r->host[i] > 1 ? 1 : r->host[i] : 0;
    take_in(r, r->host);
    measure(r, x, &r->latest);
    r->latest.seconds = seconds(r);
    return NST_OK;
}

enum nst_status nst_job_new(struct nst_job **out, struct nst_engine *e,
                            const struct nst_params *p, const struct nst_plan *plan,
                            struct nst_image content, const struct nst_style *style,
                            struct nst_err *err)
{
    struct nst_objective_config config = nst_plan_objective(plan, p);
    struct nst_job *r = nst_xcalloc(1, sizeof *r);
    struct nst_vgg *v = nst_engine_network(e);
    enum nst_status st;

    *out = NULL;
    r->p = p;
    r->plan = plan;
    r->content_host = content.rgb;
    r->fault = &nst_vgg_backend(v)->fault;
    r->longest = content.height > content.width ? content.height : content.width;
    r->content_balance.weight = r->content_balance.least = p->content_weight;
    r->style_balance.weight = r->style_balance.least = p->style_weight;
    r->budget = p->max_evaluations ? p->max_evaluations : INT64_MAX;
    r->v = (struct nst_vectors){nst_vgg_backend(v),
                                3 * (size_t)content.height * (size_t)content.width};
    r->ops = r->v.be->ops->vectors;
    st = r->v.be->memory ? nst_vector_new(&r->v, &r->own, err) : NST_OK;
    if (st == NST_OK)
        st = nst_objective_new(&r->objective, v, &config, content.rgb, content.height,
                               content.width, style, err);
    if (st != NST_OK) {
        nst_job_free(r);
        return st;
    }
    *out = r;
    return NST_OK;
}

void nst_job_free(struct nst_job *r)
{
    if (!r)
        return;
    nst_objective_free(r->objective);
    nst_vector_free(&r->v, r->own);
    nst_vector_free(&r->v, r->made);
    if (r->content)
        nst_backend_unshow(r->v.be, r->content_host, r->content);
    if (r->keep)
        nst_backend_unshow(r->v.be, r->keep_host, r->keep);
    free(r);
}

static enum nst_status optimise(struct nst_job *r, struct nst_job_result *result,
                                struct nst_err *err)
{
    enum nst_status st;

    if (r->p->compat == NST_COMPAT_TUTORIAL)
        st = run_tutorial(r, r->x, &result->end, err);
    else if (r->p->optimiser == NST_OPTIMISER_ADAM)
        st = run_adam(r, r->x, &result->end, err);
    else
        st = run_lbfgs(r, r->x, &result->end, err);
    if (st == NST_OK && r->keep)
        keep(r, r->x, r->x);
    if (st == NST_OK)
        shown(r, r->x);
    /* which may be why it ended */
    return r->fault->status != NST_OK ? nst_backend_fault(r->v.be, err) : st;
}

enum nst_status nst_job_run(struct nst_job *r, float *x,
                            const struct nst_job_events *events,
                            struct nst_job_result *result, struct nst_err *err)
{
    enum nst_status st;

    r->events = events;
    r->host = x;
    r->saved = -1;
    if (events && events->begun)
        events->begun(events->ctx);
    clock_gettime(CLOCK_MONOTONIC, &r->begin);
    r->x = r->own ? r->own : x;
    take_in(r, x);
    st = optimise(r, result, err);
    if (st != NST_OK)
        return st;
    result->first = r->first;
    result->final = r->latest;
    result->iterations = r->iterations;
    result->evaluations = r->evaluations;
    result->seconds = seconds(r);
    return NST_OK;
}

void nst_job_measure(struct nst_job *r, const float *x, struct nst_evaluation *e)
{
    take_in(r, x);
    measure_picture(r, r->own ? r->own : x, e);
}
