/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "model/vgg.h"
#include "run/job_internal.h"

enum nst_status nst_job_new(struct nst_job **out, struct nst_session *s,
                            const struct nst_params *p, const struct nst_plan *plan,
                            struct nst_image content, const struct nst_style *style,
                            struct nst_err *err)
{
    struct nst_objective_config config = nst_plan_objective_config(plan, p);
    struct nst_job *j = nst_xcalloc(1, sizeof *j);
    int longest = nst_longest(content.height, content.width);
    struct nst_vgg *v = nst_session_network_for(s, longest)->vgg;
    enum nst_status st;

    *out = NULL;
    j->p = p;
    j->plan = plan;
    j->content_host = content.rgb;
    j->device_error = &nst_vgg_backend(v)->error;
    j->longest = longest;
    nst_loss_balancing_init(&j->balance, p->content_weight, p->style_weight);
    j->v = (struct nst_vector_space){nst_vgg_backend(v),
                                     3 * nst_area(content.height, content.width)};
    j->ops = j->v.be->ops->vectors;
    st = j->v.be->device_memory ? nst_vector_new(&j->v, &j->device_x, err) : NST_OK;
    if (st == NST_OK)
        st = nst_objective_new(&j->objective, v, &config, content, style, err);
    if (st != NST_OK) {
        nst_job_free(j);
        return st;
    }
    *out = j;
    return NST_OK;
}

void nst_job_free(struct nst_job *j)
{
    if (!j)
        return;
    nst_objective_free(j->objective);
    nst_vector_free(&j->v, j->device_x);
    nst_vector_free(&j->v, j->composite);
    if (j->content)
        nst_backend_release(j->v.be, j->content);
    if (j->keep_mask)
        nst_backend_release(j->v.be, j->keep_mask);
    free(j);
}

enum nst_status nst_job_set_keep_mask(struct nst_job *j, const float *keep_mask,
                                      struct nst_err *err)
{
    enum nst_status st = nst_vector_new(&j->v, &j->composite, err);

    if (st == NST_OK)
        st = nst_backend_to_device(j->v.be, j->content_host, j->v.n, &j->content, err);
    if (st == NST_OK)
        st = nst_backend_to_device(j->v.be, keep_mask, j->v.n / 3, &j->keep_mask, err);
    return st;
}

enum nst_status nst_job_set_temporal_target(struct nst_job *j,
                                            struct nst_temporal_target target,
                                            struct nst_err *err)
{
    return nst_objective_set_temporal_target(j->objective, target, j->p->temporal, err);
}

void nst_job_set_save(struct nst_job *j, void (*save)(void *ctx, struct nst_job *j),
                      void *ctx)
{
    j->save = save;
    j->save_ctx = ctx;
}

const float *nst_job_current_image(struct nst_job *j)
{
    if (!j->keep_mask)
        return nst_job_download(j, j->x);
    nst_job_apply_mask(j, j->x, j->composite);
    return nst_job_download(j, j->composite);
}

void nst_job_weights(const struct nst_job *j, double *content, double *style)
{
    *content = j->balance.content.weight;
    *style = j->balance.style.weight;
}

int64_t nst_job_iterations(const struct nst_job *j)
{
    return j->iterations;
}

enum nst_status nst_job_run(struct nst_job *j, float *x, struct nst_job_limits limits,
                            struct nst_reporter *reporter,
                            struct nst_job_result *result, struct nst_err *err)
{
    enum nst_status st;

    j->limits = limits;
    j->reporter = reporter;
    j->host_x = x;
    j->saved_iteration = -1;
    nst_report_started(reporter);
    j->start_time = nst_clock_seconds();
    j->x = j->device_x ? j->device_x : nst_backend_wrap(j->v.be, x);
    nst_job_upload(j, x);
    st = nst_job_optimise(j, &result->end, err);
    if (st == NST_OK)
        nst_job_download(j, j->x);
    if (j->device_error->status != NST_OK) /* may be why the run ended */
        st = nst_backend_error(j->v.be, err);
    if (st != NST_OK)
        return st;
    result->first = j->first;
    result->final = j->latest;
    result->iterations = j->iterations;
    result->evaluations = j->evaluations;
    result->seconds = nst_job_elapsed(j);
    return NST_OK;
}
