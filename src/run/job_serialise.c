/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/job_internal.h"

#include <math.h>
#include <stdio.h>

static bool serialise_evaluation(struct nst_evaluation *e, const char *name,
                                 nst_serialise_fn *visit, void *ctx)
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

static double loss_at(struct nst_job *j, const struct nst_buffer *x)
{
    struct nst_evaluation e = {0};

    nst_job_evaluate_iterate(j, x, &e);
    return e.total_loss;
}

/* Everything except the loss, which serves as a check. */
static bool serialise_state(struct nst_job *j, nst_serialise_fn *visit, void *ctx)
{
    double now = nst_job_elapsed(j), time = now;
    struct nst_backend *be = j->v.be;
    float scale = be->loss_scale;

    if (!nst_vector_serialise(&j->v, "x", j->x, visit, ctx) ||
        !visit(ctx, "evaluations", NST_I64, &j->evaluations, 1) ||
        !visit(ctx, "iterations", NST_I64, &j->iterations, 1) ||
        !visit(ctx, "seconds", NST_F64, &time, 1) ||
        !serialise_evaluation(&j->first, "first", visit, ctx) ||
        !serialise_evaluation(&j->latest, "latest", visit, ctx))
        return false;
    if (j->p->adaptive >= NST_ADAPTIVE_WEIGHTS) {
        if (!nst_loss_balancing_serialise(&j->balance, visit, ctx))
            return false;
        nst_objective_set_weights(j->objective, j->balance.content.weight,
                                  j->balance.style.weight);
    }
    /* The loss scale of fp16. A checkpoint from a run on the CPU lacks it. */
    if (be->config.precision == NST_PRECISION_FP16 &&
        visit(ctx, "gradient scale", NST_F32, &scale, 1) && isfinite(scale) &&
        scale > 0)
        be->loss_scale = scale;
    j->elapsed_before += time - now;
    return j->lbfgs ? nst_lbfgs_serialise(j->lbfgs, visit, ctx)
                    : nst_adam_serialise(j->adam, visit, ctx);
}

bool nst_job_serialise(struct nst_job *j, nst_serialise_fn *visit, void *ctx)
{
    if (isnan(j->saved_loss))
        j->saved_loss = loss_at(j, j->x);
    return serialise_state(j, visit, ctx) &&
           visit(ctx, "loss", NST_F64, &j->saved_loss, 1);
}

void nst_job_resume(struct nst_job *j, nst_serialise_fn *visit, void *ctx,
                    double *deviation)
{
    j->resume = visit;
    j->resume_ctx = ctx;
    j->resume_deviation = deviation;
}

enum nst_status nst_job_restore(struct nst_job *j, struct nst_err *err)
{
    double loss_before, loss_now;

    if (!j->resume)
        return NST_OK;
    if (!serialise_state(j, j->resume, j->resume_ctx) ||
        !j->resume(j->resume_ctx, "loss", NST_F64, &loss_before, 1))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "the checkpoint does not match this run: it is incomplete "
                           "or made by another version of nst");
    loss_now = loss_at(j, j->x);
    *j->resume_deviation = fabs(loss_now / loss_before - 1);
    j->saved_iteration = j->iterations;
    if (!(*j->resume_deviation < 1e-2))
        return nst_err_set(
            err, NST_ERR_ARG,
            "the checkpoint belongs to other images: its loss is %.6g, but these give "
            "%.6g",
            loss_before, loss_now);
    return NST_OK;
}
