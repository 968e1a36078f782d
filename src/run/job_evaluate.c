/* SPDX-License-Identifier: MIT */
/* job_evaluate.c - losses, vectors and clock of a job, for its optimiser loop. */
#include "config.h"

#include "run/job_internal.h"

#include "backend/backend.h"
#include "base/clock.h"

double nst_job_elapsed(const struct nst_job *j)
{
    return j->elapsed_before + nst_clock_seconds() - j->start_time;
}

static void evaluate_image(struct nst_job *j, const struct nst_buffer *image,
                           struct nst_evaluation *e)
{
    struct nst_losses losses;

    nst_objective_evaluate(j->objective, image, &losses, NULL);
    e->content_loss = losses.content;
    e->style_loss = losses.style;
    e->total_loss = losses.total;
}

void nst_job_evaluate_iterate(struct nst_job *j, const struct nst_buffer *x,
                              struct nst_evaluation *e)
{
    if (j->keep_mask)
        nst_job_apply_mask(j, x, j->composite);
    evaluate_image(j, j->keep_mask ? j->composite : x, e);
}

const float *nst_job_download(struct nst_job *j, struct nst_buffer *x)
{
    if (!j->device_x)
        return nst_backend_unwrap(j->v.be, x);
    j->v.be->ops->buffer_download(j->v.be, j->host_x, x, j->v.n * sizeof *j->host_x);
    return j->host_x;
}

void nst_job_upload(struct nst_job *j, const float *x)
{
    if (j->device_x)
        j->v.be->ops->buffer_upload(j->v.be, j->device_x, x, j->v.n * sizeof *x);
}

void nst_job_evaluate(struct nst_job *j, const float *x, struct nst_evaluation *e)
{
    const struct nst_buffer *image = j->device_x;

    nst_job_upload(j, x);
    if (!image) /* x itself: no allocation that may fail */
        nst_backend_to_device(j->v.be, x, j->v.n, &image, NULL);
    evaluate_image(j, image, e);
}
