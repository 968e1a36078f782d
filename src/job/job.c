/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "job/job_parts.h"
#include "job/scales.h"
#include "model/vgg.h"

enum nst_status nst_job_new(struct nst_job **out, struct nst_engine *e,
                            const struct nst_params *p, const struct nst_plan *plan,
                            struct nst_image content, const struct nst_style *style,
                            struct nst_err *err)
{
    struct nst_objective_config config = nst_plan_objective(plan, p);
    struct nst_job *r = nst_xcalloc(1, sizeof *r);
    int longest = content.height > content.width ? content.height : content.width;
    struct nst_vgg *v = nst_engine_network(e, longest - 2 * nst_border(p))->vgg;
    enum nst_status st;

    *out = NULL;
    r->p = p;
    r->plan = plan;
    r->content_host = content.rgb;
    r->fault = &nst_vgg_backend(v)->fault;
    r->longest = longest;
    nst_balance_begin(&r->balance, p->content_weight, p->style_weight);
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

double nst_job_seconds(const struct nst_job *r)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return r->earlier + (double)(now.tv_sec - r->begin.tv_sec) +
           1e-9 * (double)(now.tv_nsec - r->begin.tv_nsec);
}

static void measure_picture(struct nst_job *r, const float *picture,
                            struct nst_evaluation *e)
{
    struct nst_losses losses;

    nst_objective_evaluate(r->objective, picture, &losses, NULL);
    e->content_loss = losses.content;
    e->style_loss = losses.style;
    e->total_loss = losses.total;
}

void nst_job_losses(struct nst_job *r, const float *x, struct nst_evaluation *e)
{
    if (r->keep)
        nst_job_blend(r, x, r->made);
    measure_picture(r, r->keep ? r->made : x, e);
}

const float *nst_job_shown(struct nst_job *r, const float *x)
{
    if (!r->own)
        return x;
    r->v.be->ops->get(r->v.be, r->host, x, r->v.n * sizeof *x);
    return r->host;
}

void nst_job_take_in(struct nst_job *r, const float *x)
{
    if (r->own)
        r->v.be->ops->put(r->v.be, r->own, x, r->v.n * sizeof *x);
}

const float *nst_job_picture(struct nst_job *r)
{
    if (!r->keep)
        return nst_job_shown(r, r->x);
    nst_job_blend(r, r->x, r->made);
    return nst_job_shown(r, r->made);
}

int64_t nst_job_steps(const struct nst_job *r)
{
    return r->iterations;
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
    nst_job_take_in(r, x);
    st = nst_job_minimise(r, &result->end, err);
    if (st == NST_OK)
        nst_job_shown(r, r->x);
    if (r->fault->status != NST_OK) /* which may be why it ended */
        st = nst_backend_fault(r->v.be, err);
    if (st != NST_OK)
        return st;
    result->first = r->first;
    result->final = r->latest;
    result->iterations = r->iterations;
    result->evaluations = r->evaluations;
    result->seconds = nst_job_seconds(r);
    return NST_OK;
}

void nst_job_measure(struct nst_job *r, const float *x, struct nst_evaluation *e)
{
    nst_job_take_in(r, x);
    measure_picture(r, r->own ? r->own : x, e);
}
