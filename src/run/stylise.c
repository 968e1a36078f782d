/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/stylise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/vgg.h"
#include "job/colours.h"
#include "run/preview.h"
#include "run/say.h"
#include "run/scale.h"
#include "job/scales.h"
#include "record/snapshot.h"

struct run {
    const struct nst_stylising *s;
    const struct nst_job_events *events;
    struct nst_scale scale[NST_LIST_MAX];
    int scales, at;
    bool begun;
    int64_t planned, planned_before; /* steps: of all scales, and of those behind us */
    struct nst_job_result before;    /* sums of the scales behind us */
    struct nst_job_result result;    /* of the scale at hand */
    float *x;                        /* the latest picture */
    int height, width;               /* of x */
    float *sum;                      /* of the results, to blend; or NULL */
    struct nst_checkpoint *resume;   /* to go on with, until that is done; or NULL */
};

/* What a job says, as part of the whole run. */
static struct nst_evaluation shifted(const struct run *r,
                                     const struct nst_evaluation *e)
{
    struct nst_evaluation whole = *e;

    whole.scale = r->scale[r->at].longest; /* without a border */
    whole.evaluation += r->before.evaluations;
    whole.iteration += r->before.iterations;
    whole.seconds += r->before.seconds;
    return whole;
}

static void on_begun(void *ctx)
{
    struct run *r = ctx;

    if (!r->begun && r->events->begun)
        r->events->begun(r->events->ctx);
    r->begun = true;
}

static void on_evaluated(void *ctx, const struct nst_evaluation *e)
{
    struct run *r = ctx;
    struct nst_evaluation whole = shifted(r, e);

    if (r->events->evaluated)
        r->events->evaluated(r->events->ctx, &whole);
}

static void on_stepped(void *ctx, const struct nst_evaluation *e, int64_t done,
                       int64_t planned)
{
    struct run *r = ctx;
    struct nst_evaluation whole = shifted(r, e);

    (void)planned;
    whole.share = nst_scales_share(r->s->p, r->scale, r->scales, r->at, done);
    if (r->events->stepped)
        r->events->stepped(r->events->ctx, &whole, r->planned_before + done,
                           r->planned);
}

static void on_reweighed(void *ctx, const struct nst_evaluation *e, const char *loss,
                         double from, double to)
{
    struct run *r = ctx;
    struct nst_evaluation whole = shifted(r, e);

    if (r->events->reweighed)
        r->events->reweighed(r->events->ctx, &whole, loss, from, to);
}

static bool on_stop(void *ctx)
{
    struct run *r = ctx;

    return r->events->stop && r->events->stop(r->events->ctx);
}

static bool visit_losses(struct nst_evaluation *e, const char *name,
                         nst_state_visit *visit, void *ctx)
{
    double loss[] = {e->content_loss, e->style_loss, e->total_loss};

    if (!visit(ctx, name, NST_F64, loss, 3))
        return false;
    e->content_loss = loss[0];
    e->style_loss = loss[1];
    e->total_loss = loss[2];
    return true;
}

/* Where the run is, but for the job of the scale at hand. */
static bool visit_run(struct run *r, nst_state_visit *visit, void *ctx)
{
    struct nst_job_result *b = &r->before;
    int64_t counts[] = {r->at, b->iterations, b->evaluations};

    if (!visit(ctx, "run/counts", NST_I64, counts, 3) ||
        !visit(ctx, "run/seconds", NST_F64, &b->seconds, 1) ||
        !visit_losses(&b->first, "run/first", visit, ctx))
        return false;
    r->at = (int)counts[0];
    b->iterations = counts[1];
    b->evaluations = counts[2];
    return true;
}

static size_t floats(const struct run *r)
{
    return 3 * (size_t)r->s->content->height * (size_t)r->s->content->width;
}

struct state {
    struct run *r;
    struct nst_job *job;
};

static bool visit_all(void *owner, nst_state_visit *visit, void *ctx)
{
    struct state *s = owner;

    return visit_run(s->r, visit, ctx) &&
           (!s->r->sum || visit(ctx, "run/sum", NST_F32, s->r->sum, floats(s->r))) &&
           nst_job_state(s->job, visit, ctx);
}

/* That a preview or a checkpoint cannot be written is worth a word, and no reason to
 * end. steps: of the scale at hand. */
static void show(const struct run *r, const float *rgb, int border, int64_t steps)
{
    const struct nst_preview preview = {.rgb = rgb,
                                        .height = r->height,
                                        .width = r->width,
                                        .border = border,
                                        .step = r->before.iterations + steps,
                                        .scale = r->scale[r->at].longest};
    struct nst_err err;

    if (nst_preview_write(&preview, r->s->p, r->s->content, &err) != NST_OK)
        nst_say(r->s->run, "preview: %s", err.text);
}

static void on_save(void *ctx, struct nst_job *job)
{
    struct run *r = ctx;
    const struct nst_params *p = r->s->p;
    struct nst_err err;

    if (p->checkpoint && nst_checkpoint_write(p->checkpoint, r->s->asked, visit_all,
                                              &(struct state){r, job}, &err) != NST_OK)
        nst_say(r->s->run, "checkpoint: %s", err.text);
    if (p->preview)
        show(r, nst_job_picture(job), nst_border(p), nst_job_steps(job));
}

/* Turn to the scale that the run to go on with was at. */
static enum nst_status take_up(struct run *r, struct nst_err *err)
{
    enum nst_status st = nst_checkpoint_open(&r->resume, r->s->p->resume, err);

    if (st != NST_OK)
        return st;
    if (!visit_run(r, nst_checkpoint_read, r->resume) || r->at < 0 ||
        r->at >= r->scales)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is not a checkpoint of this run",
                           r->s->p->resume);
    for (int i = 0; i < r->at; i++)
        r->planned_before += r->scale[i].iterations;
    if (r->at == 0 || r->s->p->scale_mode != NST_SCALE_BLEND)
        return NST_OK;
    st = nst_floats_new(&r->sum, floats(r), 1, 1, err);
    if (st == NST_OK &&
        !nst_checkpoint_read(r->resume, "run/sum", NST_F32, r->sum, floats(r)))
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: the state of --scale-mode blend is missing",
                         r->s->p->resume);
    return st;
}

static bool is_last(const struct run *r)
{
    return r->at == r->scales - 1;
}

static struct nst_at_scale nth_scale(const struct run *r, int i)
{
    int longest = r->scale[i].longest;
    const struct nst_network *n = nst_engine_network(r->s->engine, longest);

    return (struct nst_at_scale){r->s->p,
                                 (double)longest / r->scale[r->scales - 1].longest,
                                 nst_vgg_whole_fingerprint(n->vgg)};
}

static struct nst_at_scale at_scale(const struct run *r)
{
    return nth_scale(r, r->at);
}

/* x becomes what the scale at hand starts from; content has been extended. */
static enum nst_status start(struct run *r, struct nst_image content,
                             struct nst_err *err)
{
    const struct nst_params *p = r->s->p;
    const struct nst_at_scale before = nth_scale(r, r->at > 0 ? r->at - 1 : 0);
    bool blend = p->scale_mode == NST_SCALE_BLEND;
    int border = nst_border(p);
    int h = content.height - 2 * border, w = content.width - 2 * border;
    enum nst_status st = NST_OK;
    float *x = NULL;

    if (r->x && !blend) {
        st = nst_pixels_resize(&x, r->x, r->height, r->width, h, w, err);
        if (st == NST_OK && p->strength < 1 && strcmp(p->init, "content") == 0)
            st = nst_scale_add_detail(&before, r->s->content, content,
                                      (float)(1 - p->strength), x, err);
    } else if (r->s->init && !r->s->follow)
        st = nst_pixels_resize(&x, r->s->init->rgb, r->s->init->height,
                               r->s->init->width, h, w, err);
    else if ((st = nst_floats_new(&x, 3, (size_t)h, (size_t)w, err)) != NST_OK)
        ;
    else if (r->s->follow) /* there is one scale, of the content's size */
        memcpy(x, r->s->follow->start, 3 * (size_t)h * (size_t)w * sizeof *x);
    else if (strcmp(p->init, "noise") == 0)
        nst_noise(x, 3 * (size_t)h * (size_t)w, p->seed);
    else
        for (int row = 0; row < 3 * h; row++)
            memcpy(x + (size_t)row * (size_t)w, nst_scale_row(content, border, row),
                   (size_t)w * sizeof *x);
    free(r->x);
    r->x = x;
    r->height = h;
    r->width = w;
    return st;
}

/* x becomes of the size of the result, if a run that was stopped left it smaller. */
static enum nst_status enlarge(struct run *r, float **out, struct nst_err *err)
{
    const struct nst_picture *c = r->s->content;

    return nst_pixels_resize(out, r->x, r->height, r->width, c->height, c->width, err);
}

static enum nst_status add_to_sum(struct run *r, struct nst_err *err)
{
    size_t n = floats(r);
    float *large;
    enum nst_status st = enlarge(r, &large, err);

    if (st != NST_OK)
        return st;
    if (!r->sum) {
        r->sum = large;
        return NST_OK;
    }
    for (size_t i = 0; i < n; i++)
        r->sum[i] += large[i];
    free(large);
    return NST_OK;
}

/* Run the job on the extended x, of which the middle is kept. */
static enum nst_status run_extended(struct run *r, struct nst_job *job,
                                    const struct nst_job_events *events,
                                    struct nst_err *err)
{
    struct nst_at_scale at = at_scale(r);
    enum nst_status st = nst_scale_extend(&at, &r->x, 3, r->height, r->width, err);
    double off = 0;

    if (r->resume)
        nst_job_resume(job, nst_checkpoint_read, r->resume, &off);
    if (st == NST_OK)
        st = nst_job_run(job, r->x, events, &r->result, err);
    if (st == NST_OK && off > 0)
        nst_say(
            r->s->run,
            "the loss differs from the checkpoint by %.1g (relative); the result will "
            "not be bit-identical",
            off);
    nst_checkpoint_close(r->resume);
    r->resume = NULL;
    if (st == NST_OK)
        nst_pixels_crop(r->x, 3, r->height, r->width, nst_border(r->s->p));
    return st;
}

/* The last scale's picture becomes the mean of all. */
static enum nst_status blend(struct run *r, struct nst_job *job, struct nst_err *err)
{
    size_t n = 3 * (size_t)r->height * (size_t)r->width;
    struct nst_at_scale at = at_scale(r);
    enum nst_status st;

    for (size_t i = 0; i < n; i++)
        r->x[i] = r->sum[i] / (float)(r->at + 1);
    st = nst_scale_extend(&at, &r->x, 3, r->height, r->width, err);
    if (st != NST_OK)
        return st;
    nst_job_measure(job, r->x, &r->result.final);
    nst_pixels_crop(r->x, 3, r->height, r->width, nst_border(r->s->p));
    return NST_OK;
}

/* The plan of the last scale is made; one of its tiles may not do for the others. */
static enum nst_status make_plan(const struct run *r, const struct nst_params *p,
                                 struct nst_image content, struct nst_plan *plan,
                                 struct nst_err *err)
{
    struct nst_at_scale at = at_scale(r);
    int height, width;

    *plan = *r->s->plan;
    if (is_last(r))
        return NST_OK;
    nst_scale_style_sizes(&at, r->s->styles, &height, &width);
    return nst_plan_make(plan, r->s->engine, p, r->s->held, content.height,
                         content.width, height, width, err);
}

/* The job of the scale at hand; content has been extended, x has not. */
static enum nst_status new_job(const struct run *r, const struct nst_params *p,
                               const struct nst_plan *plan, struct nst_image content,
                               struct nst_job **job, struct nst_err *err)
{
    const struct nst_picture *c = r->s->content;
    int longest = c->height > c->width ? c->height : c->width;
    struct nst_at_scale at = at_scale(r);
    struct nst_scaled_style style;
    enum nst_status st = nst_scale_style(&at, r->s->styles, r->height, r->width,
                                         longest, plan->tile, &style, err);

    if (st == NST_OK)
        st = nst_job_new(job, r->s->engine, p, plan, content, &style.style, err);
    nst_scaled_style_clear(&style);
    if (is_last(r)) /* they are needed no more */
        nst_styles_drop_pictures(r->s->styles);
    return st;
}

/* Planes of the content's size, copied and extended. */
static enum nst_status extended(const struct run *r, const float *planes, int count,
                                float **out, struct nst_err *err)
{
    struct nst_at_scale at = at_scale(r);
    enum nst_status st =
        nst_floats_new(out, (size_t)count, (size_t)r->height, (size_t)r->width, err);

    if (st != NST_OK)
        return st;
    memcpy(*out, planes,
           (size_t)count * (size_t)r->height * (size_t)r->width * sizeof **out);
    return nst_scale_extend(&at, out, count, r->height, r->width, err);
}

/* Hold the job to the frame before, if there is one. before is the caller's to free. */
static enum nst_status hold(const struct run *r, struct nst_job *job, float *before[2],
                            struct nst_err *err)
{
    const struct nst_follow *f = r->s->follow;
    enum nst_status st;

    if (!f || r->s->p->temporal == 0)
        return NST_OK;
    st = extended(r, f->made, 3, &before[0], err);
    if (st == NST_OK)
        st = extended(r, f->still, 1, &before[1], err);
    if (st == NST_OK)
        st = nst_job_hold(job, (struct nst_before){before[0], before[1]}, err);
    return st;
}

static enum nst_status run_job(struct run *r, const struct nst_params *p,
                               struct nst_image content, struct nst_err *err)
{
    struct nst_job_events events = {.ctx = r,
                                    .begun = on_begun,
                                    .evaluated = on_evaluated,
                                    .stepped = on_stepped,
                                    .stop = on_stop,
                                    .reweighed = on_reweighed,
                                    .save =
                                        p->checkpoint || p->preview ? on_save : NULL};
    bool blends = p->scale_mode == NST_SCALE_BLEND && r->scales > 1;
    struct nst_at_scale at = at_scale(r);
    struct nst_plan plan;
    struct nst_job *job = NULL;
    float *mask = NULL, *before[2] = {NULL, NULL};
    enum nst_status st = make_plan(r, p, content, &plan, err);

    if (st == NST_OK)
        st = new_job(r, p, &plan, content, &job, err);
    if (st == NST_OK)
        st = nst_scale_mask(r->s->keep, r->height, r->width, &mask, err);
    if (st == NST_OK)
        st = nst_scale_extend(&at, &mask, 1, r->height, r->width, err);
    if (st == NST_OK && mask)
        st = nst_job_keep(job, mask, err);
    if (st == NST_OK)
        st = hold(r, job, before, err);
    if (st == NST_OK)
        st = run_extended(r, job, &events, err);
    if (st == NST_OK && blends)
        st = add_to_sum(r, err);
    if (st == NST_OK && blends && is_last(r))
        st = blend(r, job, err);
    if (st == NST_OK && p->preview && (p->optimiser || (blends && is_last(r))))
        show(r, r->x, 0, r->result.iterations); /* a mean, not the last iterate */
    nst_job_free(job);
    free(mask);
    free(before[0]);
    free(before[1]);
    return st;
}

static enum nst_status run_scale(struct run *r, struct nst_err *err)
{
    struct nst_params p = *r->s->p;
    struct nst_at_scale at = at_scale(r);
    struct nst_sized content;
    enum nst_status st = nst_scale_content(&at, r->s->content, &content, err);

    p.iterations = r->scale[r->at].iterations;
    if (p.max_evaluations)
        p.max_evaluations -= r->before.evaluations;
    if (st == NST_OK)
        st = start(r, content.image, err);
    if (st == NST_OK)
        st = run_job(r, &p, content.image, err);
    free(content.own);
    return st;
}

/* The scale at hand is behind us. */
static void count_scale(struct run *r)
{
    if (r->at == 0)
        r->before.first = r->result.first;
    r->before.final = shifted(r, &r->result.final);
    r->before.end = r->result.end;
    r->before.evaluations += r->result.evaluations;
    r->before.iterations += r->result.iterations;
    r->before.seconds += r->result.seconds;
    r->planned_before += r->scale[r->at].iterations;
}

/* The next scale has another network, whose maps do not fit into what was freed of the
 * one before's: the plan is for either of them alone. */
static void make_room(const struct run *r)
{
    if (!is_last(r) &&
        nst_engine_network(r->s->engine, r->scale[r->at].longest) !=
            nst_engine_network(r->s->engine, r->scale[r->at + 1].longest))
        nst_memory_trim();
}

static bool goes_on(const struct run *r)
{
    return r->at < r->scales && r->before.end != NST_JOB_STOPPED &&
           (!r->s->p->max_evaluations ||
            r->before.evaluations < r->s->p->max_evaluations);
}

enum nst_status nst_stylise(const struct nst_stylising *s,
                            const struct nst_job_events *events, float **rgb,
                            struct nst_job_result *result, struct nst_err *err)
{
    const struct nst_picture *c = s->content;
    struct run r = {.s = s, .events = events};
    enum nst_status st = NST_OK;

    *rgb = NULL;
    r.scales = nst_scales(s->p, c->height, c->width, r.scale);
    r.planned = nst_scales_iterations(s->p, c->height, c->width);
    if (s->p->resume)
        st = take_up(&r, err);
    for (; st == NST_OK && goes_on(&r); r.at++) {
        st = run_scale(&r, err);
        if (st == NST_OK)
            count_scale(&r);
        make_room(&r);
    }
    if (st == NST_OK && (r.height != c->height || r.width != c->width))
        st = enlarge(&r, rgb, err);
    else if (st == NST_OK) {
        *rgb = r.x;
        r.x = NULL;
    }
    nst_checkpoint_close(r.resume);
    free(r.x);
    free(r.sum);
    *result = r.before;
    return st;
}
