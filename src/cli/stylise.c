/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/stylise.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

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
    int64_t planned, planned_before; /* steps: of all scales, and of those behind us */
    struct nst_job_result before;    /* sums of the scales behind us */
    struct nst_job_result result;    /* of the scale at hand */
    float *x;                        /* the latest picture */
    int height, width;               /* of x */
    float *sum;                      /* of the results, to blend; or NULL */
};

static const struct nst_painting *largest_of(const struct nst_painting *p, int count)
{
    const struct nst_painting *most = p;

    for (int i = 1; i < count; i++)
        if ((size_t)p[i].height * p[i].width > (size_t)most->height * most->width)
            most = &p[i];
    return most;
}

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

    if (r->at == 0 && r->events->begun)
        r->events->begun(r->events->ctx);
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

static bool on_stop(void *ctx)
{
    struct run *r = ctx;

    return r->events->stop && r->events->stop(r->events->ctx);
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

/* How much of each pixel is kept at the scale at hand: the mean of the mask's channels.
 */
static enum nst_status keep_mask(const struct run *r, int h, int w, float **out,
                                 struct nst_err *err)
{
    const struct nst_picture *mask = r->s->keep;
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
    size_t n = 3 * (size_t)r->s->content->height * (size_t)r->s->content->width;
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

    if (st == NST_OK)
        st = nst_job_run(job, r->x, events, &r->result, err);
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

static enum nst_status run_job(struct run *r, const struct nst_params *p,
                               struct nst_image content,
                               const struct nst_painting *paintings,
                               struct nst_err *err)
{
    struct nst_job_events events = {r, on_begun, on_evaluated, on_stepped, on_stop};
    int count = p->styles.count;
    bool blends = p->scale_mode == NST_SCALE_BLEND && r->scales > 1;
    const struct nst_painting *largest = largest_of(paintings, count);
    struct nst_plan plan = *r->s->plan;
    struct nst_job *job = NULL;
    float *mask = NULL;
    enum nst_status st = NST_OK;

    if (!is_last(r))
        st = nst_plan_make(&plan, r->s->engine, p, content.height, content.width,
                           largest->height, largest->width, err);
    if (st == NST_OK)
        st = nst_job_new(&job, r->s->engine, p, &plan, content, paintings, count, err);
    for (int i = 0; st == NST_OK && is_last(r) && i < count; i++) {
        nst_picture_free(r->s->styles[i]);
        r->s->styles[i] = NULL;
    }
    if (st == NST_OK)
        st = keep_mask(r, r->height, r->width, &mask, err);
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
    struct sized content = {{0}}, style[NST_STYLES_MAX] = {{{0}}};
    struct nst_painting paintings[NST_STYLES_MAX];
    enum nst_status st;

    p.iterations = r->scale[r->at].iterations;
    if (p.max_evaluations)
        p.max_evaluations -= r->before.evaluations;
    st = size_picture(r, r->s->content, &content, err);
    for (int i = 0; st == NST_OK && i < p.styles.count; i++) {
        st = size_picture(r, r->s->styles[i], &style[i], err);
        paintings[i] =
            (struct nst_painting){style[i].image.rgb, style[i].image.height,
                                  style[i].image.width, nst_style_share(&p.styles, i)};
    }
    if (st == NST_OK)
        st = start(r, content.image, err);
    if (st == NST_OK)
        st = extend_content(r, &content, err);
    if (st == NST_OK)
        st = run_job(r, &p, content.image, paintings, err);
    free(content.own);
    for (int i = 0; i < p.styles.count; i++)
        free(style[i].own);
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
    for (r.at = 0; st == NST_OK && goes_on(&r); r.at++) {
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
    free(r.x);
    free(r.sum);
    *result = r.before;
    return st;
}
