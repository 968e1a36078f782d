/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/stylise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/regions.h"
#include "record/checkpoint.h"

/* A picture at the size of a scale: its own pixels, or borrowed where it has that size.
 */
struct sized {
    struct nst_image image;
    float *own;
};

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

/* That a checkpoint cannot be written is worth a word, and no reason to end. */
static void on_save(void *ctx, struct nst_job *job)
{
    struct run *r = ctx;
    struct nst_err err;

    if (nst_checkpoint_write(r->s->p->checkpoint, r->s->p, visit_all,
                             &(struct state){r, job}, &err) != NST_OK)
        fprintf(stderr, "nst: checkpoint: %s\n", err.text);
}

/* Turn to the scale that the run to go on with was at. */
static enum nst_status take_up(struct run *r, struct nst_err *err)
{
    enum nst_status st = nst_checkpoint_open(&r->resume, r->s->p->resume, err);

    if (st != NST_OK)
        return st;
    if (!visit_run(r, nst_checkpoint_read, r->resume) || r->at < 0 ||
        r->at >= r->scales)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: is not the checkpoint of such a run", r->s->p->resume);
    for (int i = 0; i < r->at; i++)
        r->planned_before += r->scale[i].iterations;
    if (r->at == 0 || r->s->p->scale_mode != NST_SCALE_BLEND)
        return NST_OK;
    st = nst_floats_new(&r->sum, floats(r), 1, 1, err);
    if (st == NST_OK &&
        !nst_checkpoint_read(r->resume, "run/sum", NST_F32, r->sum, floats(r)))
        st = nst_err_set(err, NST_ERR_FORMAT, "%s: holds no sum of scales",
                         r->s->p->resume);
    return st;
}

static bool is_last(const struct run *r)
{
    return r->at == r->scales - 1;
}

/* A length of the pictures asked for, at the scale at hand. */
static int at_scale(const struct run *r, int length)
{
    double part = (double)r->scale[r->at].longest / r->scale[r->scales - 1].longest;
    int n = (int)(length * part + 0.5);

    return n < NST_PICTURE_MIN_SIDE ? NST_PICTURE_MIN_SIDE : n;
}

static enum nst_status size_picture(const struct run *r, const struct nst_picture *p,
                                    struct sized *out, struct nst_err *err)
{
    int h = is_last(r) ? p->height : at_scale(r, p->height);
    int w = is_last(r) ? p->width : at_scale(r, p->width);
    enum nst_status st = NST_OK;

    *out = (struct sized){{p->rgb, h, w}, NULL};
    if (!is_last(r))
        st = nst_pixels_resize(&out->own, p->rgb, p->height, p->width, h, w, err);
    if (out->own)
        out->image.rgb = out->own;
    return st;
}

/* x becomes what the scale at hand starts from. */
static enum nst_status start(struct run *r, struct nst_image content,
                             struct nst_err *err)
{
    const struct nst_params *p = r->s->p;
    bool blend = p->scale_mode == NST_SCALE_BLEND;
    int h = content.height, w = content.width;
    enum nst_status st = NST_OK;
    float *x = NULL;

    if (r->x && !blend)
        st = nst_pixels_resize(&x, r->x, r->height, r->width, h, w, err);
    else if (r->s->init)
        st = nst_pixels_resize(&x, r->s->init->rgb, r->s->init->height,
                               r->s->init->width, h, w, err);
    else if ((st = nst_floats_new(&x, 3, (size_t)h, (size_t)w, err)) != NST_OK)
        ;
    else if (strcmp(p->init, "noise") == 0)
        nst_noise(x, 3 * (size_t)h * (size_t)w, p->seed);
    else
        memcpy(x, content.rgb, 3 * (size_t)h * (size_t)w * sizeof *x);
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

/* A mask at the size of the scale at hand: the mean of its channels. NULL of NULL. */
static enum nst_status size_mask(const struct nst_picture *mask, int h, int w,
                                 float **out, struct nst_err *err)
{
    size_t n = (size_t)h * (size_t)w;
    enum nst_status st;

    *out = NULL;
    if (!mask)
        return NST_OK;
    st = nst_pixels_resize(out, mask->rgb, mask->height, mask->width, h, w, err);
    for (size_t i = 0; st == NST_OK && i < n; i++)
        (*out)[i] = ((*out)[i] + (*out)[n + i] + (*out)[2 * n + i]) / 3;
    return st;
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

/* Pictures of the size at hand are extended by the border, if there is one. */
static enum nst_status extend(const struct run *r, float **planes, int count, int h,
                              int w, struct nst_err *err)
{
    int border = nst_border(r->s->p);
    float *larger;
    enum nst_status st;

    if (!border || !*planes)
        return NST_OK;
    st = nst_pixels_extend(&larger, *planes, count, h, w, border,
                           r->s->p->padding == NST_PADDING_REFLECT, err);
    if (st != NST_OK)
        return st;
    free(*planes);
    *planes = larger;
    return NST_OK;
}

/* Run the job on the extended x, of which the middle is kept. */
static enum nst_status run_extended(struct run *r, struct nst_job *job,
                                    const struct nst_job_events *events,
                                    struct nst_err *err)
{
    enum nst_status st = extend(r, &r->x, 3, r->height, r->width, err);
    double off = 0;

    if (r->resume)
        nst_job_resume(job, nst_checkpoint_read, r->resume, &off);
    if (st == NST_OK)
        st = nst_job_run(job, r->x, events, &r->result, err);
    if (st == NST_OK && off > 0)
        fprintf(stderr,
                "nst: the loss is %.1g off that of the checkpoint: what follows is not "
                "the same to the bit\n",
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
    enum nst_status st;

    for (size_t i = 0; i < n; i++)
        r->x[i] = r->sum[i] / (float)(r->at + 1);
    st = extend(r, &r->x, 3, r->height, r->width, err);
    if (st != NST_OK)
        return st;
    nst_job_measure(job, r->x, &r->result.final);
    nst_pixels_crop(r->x, 3, r->height, r->width, nst_border(r->s->p));
    return NST_OK;
}

/* What a scale's job is made from. */
struct style {
    struct sized size[NST_STYLES_MAX];
    struct nst_painting painting[NST_STYLES_MAX];
    int regions;
    float *guide[NST_STYLES_MAX]; /* of each region */
};

/* The longest side of a painting whose pack stands for it. */
static int pack_side(const struct run *r)
{
    const struct nst_params *p = r->s->p;
    const struct nst_picture *c = r->s->content;
    int longest = c->height > c->width ? c->height : c->width;

    if (p->size)
        longest = (int)p->size;
    return at_scale(r, (int)lround(longest * p->style_scale));
}

static enum nst_status size_style(const struct run *r, int i, struct style *s,
                                  struct nst_err *err)
{
    const struct nst_style_option *o = &r->s->p->styles.of[i];
    struct nst_painting *p = &s->painting[i];
    struct nst_image *image = &s->size[i].image;
    enum nst_status st = NST_OK;

    *p = (struct nst_painting){.region = p->region, .share = o->weight};
    if (o->layers.count)
        p->layers = &o->layers;
    if (r->s->styles->of[i].pack) {
        p->pack = r->s->styles->of[i].pack;
        p->height = p->width = pack_side(r);
        return NST_OK;
    }
    st = size_picture(r, r->s->styles->of[i].picture, &s->size[i], err);
    p->rgb = image->rgb;
    p->height = image->height;
    p->width = image->width;
    return st;
}

/* The guides of the regions, for pictures of h x w before they are extended. */
static enum nst_status make_guides(const struct run *r, struct style *s, int h, int w,
                                   const int region[], struct nst_err *err)
{
    const struct nst_styles_read *styles = r->s->styles;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < styles->count; i++)
        if (styles->of[i].mask)
            st = size_mask(styles->of[i].mask, h, w, &s->guide[region[i]], err);
    for (int i = 0; st == NST_OK && i < s->regions; i++)
        if (!s->guide[i])
            st = nst_floats_new(&s->guide[i], 1, (size_t)h, (size_t)w, err);
    if (st == NST_OK)
        nst_regions_divide(&r->s->p->styles, s->guide, (size_t)h * (size_t)w);
    for (int i = 0; st == NST_OK && i < s->regions; i++)
        st = extend(r, &s->guide[i], 1, h, w, err);
    return st;
}

static enum nst_status make_style(const struct run *r, struct style *s, int h, int w,
                                  struct nst_err *err)
{
    int region[NST_STYLES_MAX];
    enum nst_status st = NST_OK;

    s->regions = nst_regions(&r->s->p->styles, region);
    for (int i = 0; st == NST_OK && i < r->s->styles->count; i++) {
        s->painting[i].region = region[i];
        st = size_style(r, i, s, err);
    }
    if (st == NST_OK && s->regions)
        st = make_guides(r, s, h, w, region, err);
    return st;
}

static void clear_style(struct style *s)
{
    for (int i = 0; i < NST_STYLES_MAX; i++) {
        free(s->size[i].own);
        free(s->guide[i]);
    }
    *s = (struct style){.regions = 0};
}

/* The plan of the last scale is made; one of its tiles may not do for the others. */
static enum nst_status make_plan(const struct run *r, const struct nst_params *p,
                                 struct nst_image content, const struct style *s,
                                 struct nst_plan *plan, struct nst_err *err)
{
    int height = 0, width = 0;

    *plan = *r->s->plan;
    if (is_last(r))
        return NST_OK;
    for (int i = 0; i < p->styles.count; i++)
        if (s->painting[i].rgb &&
            (size_t)s->painting[i].height * (size_t)s->painting[i].width >
                (size_t)height * (size_t)width) {
            height = s->painting[i].height;
            width = s->painting[i].width;
        }
    return nst_plan_make(plan, r->s->engine, p, content.height, content.width, height,
                         width, err);
}

/* The job of the scale at hand; the style's pictures are needed no more afterwards. */
static enum nst_status new_job(const struct run *r, const struct nst_params *p,
                               const struct nst_plan *plan, struct nst_image content,
                               struct style *s, struct nst_job **job,
                               struct nst_err *err)
{
    struct nst_style style = {s->painting, p->styles.count, s->regions,
                              (const float *const *)s->guide};
    enum nst_status st = nst_job_new(job, r->s->engine, p, plan, content, &style, err);

    clear_style(s);
    if (is_last(r))
        nst_styles_drop_pictures(r->s->styles);
    return st;
}

static enum nst_status run_job(struct run *r, const struct nst_params *p,
                               struct nst_image content, struct style *style,
                               struct nst_err *err)
{
    struct nst_job_events events = {.ctx = r,
                                    .begun = on_begun,
                                    .evaluated = on_evaluated,
                                    .stepped = on_stepped,
                                    .stop = on_stop,
                                    .reweighed = on_reweighed,
                                    .save = p->checkpoint ? on_save : NULL};
    bool blends = p->scale_mode == NST_SCALE_BLEND && r->scales > 1;
    struct nst_plan plan;
    struct nst_job *job = NULL;
    float *mask = NULL;
    enum nst_status st = make_plan(r, p, content, style, &plan, err);

    if (st == NST_OK)
        st = new_job(r, p, &plan, content, style, &job, err);
    if (st == NST_OK)
        st = size_mask(r->s->keep, r->height, r->width, &mask, err);
    if (st == NST_OK)
        st = extend(r, &mask, 1, r->height, r->width, err);
    if (st == NST_OK && mask)
        st = nst_job_keep(job, mask, err);
    if (st == NST_OK)
        st = run_extended(r, job, &events, err);
    if (st == NST_OK && blends)
        st = add_to_sum(r, err);
    if (st == NST_OK && blends && is_last(r))
        st = blend(r, job, err);
    nst_job_free(job);
    free(mask);
    return st;
}

static enum nst_status extend_content(const struct run *r, struct sized *content,
                                      struct nst_err *err)
{
    int border = nst_border(r->s->p), h = content->image.height;
    int w = content->image.width;
    float *larger;
    enum nst_status st;

    if (!border)
        return NST_OK;
    st = nst_pixels_extend(&larger, content->image.rgb, 3, h, w, border,
                           r->s->p->padding == NST_PADDING_REFLECT, err);
    if (st != NST_OK)
        return st;
    free(content->own);
    *content = (struct sized){{larger, h + 2 * border, w + 2 * border}, larger};
    return NST_OK;
}

static enum nst_status run_scale(struct run *r, struct nst_err *err)
{
    struct nst_params p = *r->s->p;
    struct sized content = {{0}};
    struct style style = {{{{0}}}};
    enum nst_status st;

    p.iterations = r->scale[r->at].iterations;
    if (p.max_evaluations)
        p.max_evaluations -= r->before.evaluations;
    st = size_picture(r, r->s->content, &content, err);
    if (st == NST_OK)
        st = make_style(r, &style, content.image.height, content.image.width, err);
    if (st == NST_OK)
        st = start(r, content.image, err);
    if (st == NST_OK)
        st = extend_content(r, &content, err);
    if (st == NST_OK)
        st = run_job(r, &p, content.image, &style, err);
    free(content.own);
    clear_style(&style);
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
    int longest = c->height > c->width ? c->height : c->width;
    struct run r = {.s = s, .events = events};
    enum nst_status st = NST_OK;

    *rgb = NULL;
    r.scales = nst_scales(s->p, longest, r.scale);
    r.planned = nst_scales_iterations(s->p, longest);
    if (s->p->resume)
        st = take_up(&r, err);
    for (; st == NST_OK && goes_on(&r); r.at++) {
        st = run_scale(&r, err);
        if (st == NST_OK)
            count_scale(&r);
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
