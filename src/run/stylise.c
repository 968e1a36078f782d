/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/stylise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "image/pixels.h"
#include "model/vgg.h"
#include "record/checkpoint_internal.h"
#include "run/level.h"
#include "run/preview.h"
#include "run/pyramid.h"
#include "run/report.h"
#include "style/colour_transfer.h"

struct stylisation {
    const struct nst_stylise_args *s;
    struct nst_reporter before; /* as the caller has set it */
    struct nst_level level[NST_LIST_MAX];
    int levels, current;
    int64_t steps_done;            /* of completed scales */
    struct nst_job_result totals;  /* sums of the completed scales */
    struct nst_job_result result;  /* of the current scale */
    float *x;                      /* the latest image */
    struct nst_size size;          /* of x */
    struct nst_image content;      /* of the current scale */
    float *blend_sum;              /* sum of the results, to blend; or NULL */
    struct nst_checkpoint *resume; /* until it is restored; or NULL */
};

/* State of the run, except the job of the current scale. */
static bool serialise_progress(struct stylisation *r, nst_serialise_fn *visit,
                               void *ctx)
{
    struct nst_job_result *b = &r->totals;
    struct nst_evaluation *e = &b->first;
    int64_t counts[] = {r->current, b->iterations, b->evaluations};
    double loss[] = {e->content_loss, e->style_loss, e->total_loss};

    if (!visit(ctx, "run/counts", NST_I64, counts, 3) ||
        !visit(ctx, "run/seconds", NST_F64, &b->seconds, 1) ||
        !visit(ctx, "run/first", NST_F64, loss, 3))
        return false;
    r->current = (int)counts[0];
    b->iterations = counts[1];
    b->evaluations = counts[2];
    e->content_loss = loss[0];
    e->style_loss = loss[1];
    e->total_loss = loss[2];
    return true;
}

static size_t float_count(const struct stylisation *r)
{
    return 3 * (size_t)r->s->content->height * (size_t)r->s->content->width;
}

struct serialise_context {
    struct stylisation *r;
    struct nst_job *job;
};

static bool serialise_run(void *owner, nst_serialise_fn *visit, void *ctx)
{
    struct serialise_context *s = owner;

    return serialise_progress(s->r, visit, ctx) &&
           (!s->r->blend_sum ||
            visit(ctx, "run/sum", NST_F32, s->r->blend_sum, float_count(s->r))) &&
           nst_job_serialise(s->job, visit, ctx);
}

/* A preview or checkpoint that cannot be written is reported; the run continues. steps:
 * at the current scale. */
static enum nst_status write_preview(const struct stylisation *r, const float *rgb,
                                     int64_t steps, struct nst_err *err)
{
    const struct nst_preview preview = {.image = {rgb, r->size.height, r->size.width},
                                        .step = r->totals.iterations + steps,
                                        .scale = r->level[r->current].longest};

    return nst_preview_write(&preview, r->s->effective, r->s->content, err);
}

/* Pass the picture so far to the caller. */
static enum nst_status tell_preview(const struct stylisation *r, const float *rgb,
                                    struct nst_err *err)
{
    const struct nst_reporter *reporter = r->s->reporter;
    size_t n = nst_area(r->size.height, r->size.width);
    struct nst_image image = {rgb, r->size.height, r->size.width};
    float *coloured = NULL;
    enum nst_status st = NST_OK;

    if (r->s->effective->colour == NST_COLOUR_CONTENT) {
        st = nst_floats_new(&coloured, 3, n, 1, err);
        if (st != NST_OK)
            return st;
        memcpy(coloured, rgb, 3 * n * sizeof *coloured);
        nst_colour_transfer_luma(coloured, r->content.rgb, n);
        image.rgb = coloured;
    }
    reporter->events->previewed(reporter->progress, image);
    free(coloured);
    return st;
}

static bool has_previews(const struct stylisation *r)
{
    return r->s->effective->preview || r->s->reporter->events->previewed;
}

static void preview(const struct stylisation *r, const float *rgb, int64_t steps)
{
    enum nst_status st = NST_OK;
    struct nst_err err;

    if (r->s->effective->preview)
        st = write_preview(r, rgb, steps, &err);
    if (st == NST_OK && r->s->reporter->events->previewed)
        st = tell_preview(r, rgb, &err);
    if (st != NST_OK)
        nst_run_message(r->s->reporter->events, "preview: %s", err.text);
}

static void on_save(void *ctx, struct nst_job *job)
{
    struct stylisation *r = ctx;
    const struct nst_params *p = r->s->effective;
    const struct nst_batch_item *item = r->s->item;
    struct serialise_context run = {r, job};
    struct nst_checkpoint_content content = {.params = r->s->recorded,
                                             .content =
                                                 item->output ? item->content : NULL,
                                             .output = item->output,
                                             .serialise = serialise_run,
                                             .owner = &run};
    struct nst_err err;

    if (p->checkpoint && nst_checkpoint_write(p->checkpoint, &content, &err) != NST_OK)
        nst_run_message(r->s->reporter->events, "checkpoint: %s", err.text);
    if (has_previews(r))
        preview(r, nst_job_current_image(job), nst_job_iterations(job));
}

/* Go to the scale of the checkpoint. */
static enum nst_status restore(struct stylisation *r, struct nst_err *err)
{
    enum nst_status st = nst_checkpoint_open(&r->resume, r->s->effective->resume, err);
    const char *version;

    if (st != NST_OK)
        return st;
    version = nst_checkpoint_version(r->resume);
    if (strcmp(version, PACKAGE_VERSION) != 0 && !r->s->effective->quiet)
        nst_run_message(r->s->reporter->events,
                        "%s: was made by nst %s; the result may differ from that of an "
                        "uninterrupted run",
                        r->s->effective->resume, version);
    if (!serialise_progress(r, nst_checkpoint_read_array, r->resume) ||
        r->current < 0 || r->current >= r->levels)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is not a checkpoint of this run",
                           r->s->effective->resume);
    for (int i = 0; i < r->current; i++)
        r->steps_done += r->level[i].iterations;
    if (r->current == 0 || r->s->effective->scale_mode != NST_SCALE_BLEND)
        return NST_OK;
    st = nst_floats_new(&r->blend_sum, float_count(r), 1, 1, err);
    if (st == NST_OK && !nst_checkpoint_read_array(r->resume, "run/sum", NST_F32,
                                                   r->blend_sum, float_count(r)))
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: the state of --scale-mode blend is missing",
                         r->s->effective->resume);
    return st;
}

static bool is_last_level(const struct stylisation *r)
{
    return r->current == r->levels - 1;
}

static struct nst_level_config level_config(const struct stylisation *r, int i)
{
    int longest = r->level[i].longest;
    const struct nst_network *n = nst_session_network_for(r->s->session, longest);

    return (struct nst_level_config){r->s->effective,
                                     (double)longest / r->level[r->levels - 1].longest,
                                     nst_vgg_whole_fingerprint(n->vgg)};
}

static struct nst_level_config current_level(const struct stylisation *r)
{
    return level_config(r, r->current);
}

/* Set x to the initial image of the current scale. */
static enum nst_status init_level(struct stylisation *r, struct nst_image content,
                                  struct nst_err *err)
{
    const struct nst_params *p = r->s->effective;
    const struct nst_level_config before =
        level_config(r, r->current > 0 ? r->current - 1 : 0);
    bool blend = p->scale_mode == NST_SCALE_BLEND;
    int h = content.height, w = content.width;
    size_t n = 3 * nst_area(h, w);
    enum nst_status st = NST_OK;
    float *x = NULL;

    if (r->x && !blend) {
        st = nst_pixels_resize(
            &x, (struct nst_image){r->x, r->size.height, r->size.width}, h, w, err);
        if (st == NST_OK && p->strength < 1 && strcmp(p->init, "content") == 0)
            st = nst_level_add_detail(&before, r->s->content, content,
                                      (float)(1 - p->strength), x, err);
    } else if (r->s->init_image && !r->s->coherence)
        st = nst_pixels_resize(&x, nst_picture_image(r->s->init_image), h, w, err);
    else if ((st = nst_floats_new(&x, 3, (size_t)h, (size_t)w, err)) != NST_OK)
        ;
    else if (r->s->coherence) /* one scale, with the content's size */
        memcpy(x, r->s->coherence->warm_start, n * sizeof *x);
    else if (strcmp(p->init, "noise") == 0)
        nst_uniform_noise(x, n, p->seed);
    else
        memcpy(x, content.rgb, n * sizeof *x);
    free(r->x);
    r->x = x;
    r->size = (struct nst_size){h, w};
    return st;
}

/* Resize x to the size of the result; x is smaller if the run was stopped early. */
static enum nst_status upsample(struct stylisation *r, float **out, struct nst_err *err)
{
    const struct nst_picture *c = r->s->content;

    return nst_pixels_resize(out,
                             (struct nst_image){r->x, r->size.height, r->size.width},
                             c->height, c->width, err);
}

static enum nst_status accumulate_blend(struct stylisation *r, struct nst_err *err)
{
    size_t n = float_count(r);
    float *upsampled;
    enum nst_status st = upsample(r, &upsampled, err);

    if (st != NST_OK)
        return st;
    if (!r->blend_sum) {
        r->blend_sum = upsampled;
        return NST_OK;
    }
    for (size_t i = 0; i < n; i++)
        r->blend_sum[i] += upsampled[i];
    free(upsampled);
    return NST_OK;
}

/* Run the job on x. */
static enum nst_status run_job(struct stylisation *r, struct nst_job *job,
                               struct nst_err *err)
{
    int64_t max = r->s->effective->max_evaluations;
    struct nst_job_limits limits = {r->level[r->current].iterations,
                                    max ? max - r->totals.evaluations : INT64_MAX};
    double deviation = 0;
    enum nst_status st;

    if (r->resume)
        nst_job_resume(job, nst_checkpoint_read_array, r->resume, &deviation);
    st = nst_job_run(job, r->x, limits, r->s->reporter, &r->result, err);
    if (st == NST_OK && deviation > 0)
        nst_run_message(
            r->s->reporter->events,
            "the loss differs from the checkpoint by %.1g (relative); the result will "
            "not be bit-identical",
            deviation);
    nst_checkpoint_close(r->resume);
    r->resume = NULL;
    if (r->s->content_weight)
        nst_job_weights(job, r->s->content_weight, r->s->style_weight);
    return st;
}

/* Replace the picture of the last scale by the mean of all. */
static void average_levels(struct stylisation *r, struct nst_job *job)
{
    size_t n = 3 * nst_area(r->size.height, r->size.width);

    for (size_t i = 0; i < n; i++)
        r->x[i] = r->blend_sum[i] / (float)(r->current + 1);
    nst_job_evaluate(job, r->x, &r->result.final);
}

/* Make the job of the current scale. */
static enum nst_status new_job(const struct stylisation *r, const struct nst_plan *plan,
                               struct nst_image content, struct nst_job **job,
                               struct nst_err *err)
{
    const struct nst_picture *c = r->s->content;
    int longest = nst_longest(c->height, c->width);
    struct nst_level_config level = current_level(r);
    struct nst_level_style style;
    enum nst_status st = nst_level_style_init(&level, r->s->styles, r->size, longest,
                                              plan->tile, &style, err);

    if (st == NST_OK)
        st = nst_job_new(job, r->s->session, r->s->effective, plan, content,
                         &style.style, err);
    nst_level_style_clear(&style);
    /* not needed any more, or loaded again for the next frame, without the colours that
     * --colour match has given them */
    if (is_last_level(r) &&
        !(r->s->baseline.is_video && r->s->effective->colour == NST_COLOUR_MATCH))
        nst_style_set_drop_pictures(r->s->styles);
    return st;
}

/* Set the temporal loss if there is a previous frame. */
static enum nst_status set_temporal_target(const struct stylisation *r,
                                           struct nst_job *job, struct nst_err *err)
{
    const struct nst_coherence *f = r->s->coherence;

    if (!f || r->s->effective->temporal == 0)
        return NST_OK;
    return nst_job_set_temporal_target(
        job, (struct nst_temporal_target){f->previous, f->static_mask}, err);
}

static enum nst_status run_level_job(struct stylisation *r, struct nst_image content,
                                     struct nst_err *err)
{
    const struct nst_params *p = r->s->effective;
    bool averages = p->scale_mode == NST_SCALE_BLEND && r->levels > 1;
    struct nst_level_config level = current_level(r);
    struct nst_plan plan = *r->s->plan; /* of the last scale; others need their own */
    struct nst_job *job = NULL;
    float *mask = NULL;
    enum nst_status st = NST_OK;

    if (r->s->coherence && plan.curvature_pairs > r->level[r->current].iterations)
        plan.curvature_pairs = (int)r->level[r->current].iterations + 1;
    if (!is_last_level(r))
        st = nst_plan_make(&plan, r->s->session, p, r->s->baseline,
                           (struct nst_size){content.height, content.width},
                           nst_level_style_size(&level, r->s->styles), err);
    if (st == NST_OK)
        st = new_job(r, &plan, content, &job, err);
    if (st == NST_OK)
        st = nst_level_mask(r->s->keep_mask, r->size, &mask, err);
    if (st == NST_OK && mask)
        st = nst_job_set_keep_mask(job, mask, err);
    if (st == NST_OK)
        st = set_temporal_target(r, job, err);
    if (st == NST_OK && (p->checkpoint || has_previews(r)))
        nst_job_set_save(job, on_save, r);
    if (st == NST_OK)
        st = run_job(r, job, err);
    if (st == NST_OK && averages)
        st = accumulate_blend(r, err);
    if (st == NST_OK && averages && is_last_level(r))
        average_levels(r, job);
    if (st == NST_OK && has_previews(r) &&
        (p->optimiser || (averages && is_last_level(r))))
        /* a mean, not the last iterate */
        preview(r, r->x, r->result.iterations);
    nst_job_free(job);
    free(mask);
    return st;
}

static enum nst_status run_level(struct stylisation *r, struct nst_err *err)
{
    struct nst_level_config level = current_level(r);
    int64_t steps = r->level[r->current].iterations;
    double from = nst_pyramid_progress(r->level, r->levels, r->current, 0);
    double to = nst_pyramid_progress(r->level, r->levels, r->current, steps);
    const struct nst_reporter *before = &r->before;
    struct nst_reporter *reporter = r->s->reporter;
    struct nst_resampled content;
    enum nst_status st = nst_level_content(&level, r->s->content, &content, err);

    /* Let the reporter count what the scales before have done. */
    reporter->evaluations = before->evaluations + r->totals.evaluations;
    reporter->iterations = before->iterations + r->totals.iterations;
    reporter->seconds = before->seconds + r->totals.seconds;
    reporter->steps_done = before->steps_done + r->steps_done;
    reporter->fraction = before->fraction + before->share * from;
    reporter->share = before->share * (to - from);
    if (st == NST_OK)
        st = init_level(r, content.image, err);
    r->content = content.image;
    if (st == NST_OK)
        st = run_level_job(r, content.image, err);
    free(content.owned);
    if (st != NST_OK)
        return st;

    /* Add the scale to the totals. */
    if (r->current == 0)
        r->totals.first = r->result.first;
    r->totals.final = nst_report_total(r->s->reporter, &r->result.final);
    r->totals.end = r->result.end;
    r->totals.evaluations += r->result.evaluations;
    r->totals.iterations += r->result.iterations;
    r->totals.seconds += r->result.seconds;
    r->steps_done += steps;
    return NST_OK;
}

enum nst_status nst_stylise(const struct nst_stylise_args *s, float **rgb,
                            struct nst_job_result *result, struct nst_err *err)
{
    const struct nst_picture *c = s->content;
    struct stylisation r = {.s = s, .before = *s->reporter};
    int64_t max_evaluations = s->effective->max_evaluations;
    enum nst_status st = NST_OK;

    *rgb = NULL;
    r.levels = nst_pyramid_levels(s->effective, c->height, c->width, r.level);
    if (s->effective->resume)
        st = restore(&r, err);
    for (; st == NST_OK && r.current < r.levels && r.totals.end != NST_JOB_STOPPED &&
           (!max_evaluations || r.totals.evaluations < max_evaluations);
         r.current++) {
        st = run_level(&r, err);
        /* Return freed memory to the system before the next scale uses another network:
         * its maps do not fit into the freed blocks, and the plan covers one network at
         * a time. */
        if (!is_last_level(&r) &&
            nst_session_network_for(s->session, r.level[r.current].longest) !=
                nst_session_network_for(s->session, r.level[r.current + 1].longest))
            nst_memory_trim();
    }
    if (st == NST_OK && (r.size.height != c->height || r.size.width != c->width))
        st = upsample(&r, rgb, err);
    else if (st == NST_OK) {
        *rgb = r.x;
        r.x = NULL;
    }
    nst_checkpoint_close(r.resume);
    free(r.x);
    free(r.blend_sum);
    *result = r.totals;
    return st;
}
