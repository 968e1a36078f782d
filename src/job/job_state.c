/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "job/job_parts.h"

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

static bool visit_balance(struct nst_job *r, nst_state_visit *visit, void *ctx)
{
    if (r->p->adaptive < NST_ADAPTIVE_WEIGHTS)
        return true;
    if (!nst_balance_state(&r->balance, visit, ctx))
        return false;
    nst_objective_weigh(r->objective, r->balance.content.weight,
                        r->balance.style.weight);
    return true;
}

static double loss_at(struct nst_job *r, const float *x)
{
    struct nst_evaluation e = {0};

    nst_job_losses(r, x, &e);
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
    double now = nst_job_seconds(r), time = now;

    if (!nst_vector_visit(&r->v, "x", r->x, visit, ctx) ||
        !visit(ctx, "evaluations", NST_I64, &r->evaluations, 1) ||
        !visit(ctx, "iterations", NST_I64, &r->iterations, 1) ||
        !visit(ctx, "seconds", NST_F64, &time, 1) ||
        !visit_evaluation(&r->first, "first", visit, ctx) ||
        !visit_evaluation(&r->latest, "latest", visit, ctx) ||
        !visit_balance(r, visit, ctx))
        return false;
    visit_scale(r, visit, ctx);
    r->earlier += time - now;
    return r->lbfgs ? nst_lbfgs_state(r->lbfgs, visit, ctx)
                    : nst_adam_state(r->adam, visit, ctx);
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

enum nst_status nst_job_take_up(struct nst_job *r, struct nst_err *err)
{
    double was, is;

    if (!r->resume)
        return NST_OK;
    if (!visit_state(r, r->resume, r->resume_ctx) ||
        !r->resume(r->resume_ctx, "loss", NST_F64, &was, 1))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "the checkpoint does not match this run or is incomplete");
    is = loss_at(r, r->x);
    *r->resume_off = fabs(is / was - 1);
    r->saved = r->iterations;
    if (!(*r->resume_off < 1e-2))
        return nst_err_set(
            err, NST_ERR_FORMAT,
            "the checkpoint belongs to other images: its loss is %.6g, but these give "
            "%.6g",
            was, is);
    return NST_OK;
}
