/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/making.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "run/adapt.h"
#include "run/estimate.h"
#include "run/say.h"
#include "run/stylise.h"
#include "image/frames.h"
#include "job/colours.h"
#include "record/history.h"
#include "record/record.h"

/* Everything that one picture's run holds; freed in one place. */
struct work {
    const struct nst_maker *maker;
    const struct nst_item *item;
    struct nst_params asked; /* the plan is applied to it; borrows from the maker's */
    struct nst_params p;     /* the same, adapted to the pictures */
    char *inputs;            /* of nst_record_inputs() */
    bool skipped, left, hopeless;
    struct nst_output *output;
    struct nst_trace *trace;
    struct nst_frames *frames;    /* that content is one of; or NULL */
    struct nst_film *film;        /* that they are put into */
    struct nst_follow follow;     /* of the frame before content */
    int frame;                    /* from 0 */
    struct nst_job_result before; /* sums of the frames before */
    int64_t steps_before;         /* planned for these */
    struct nst_picture *content, *init, *keep;
    struct nst_styles_read styles;
    struct nst_plan plan;
    void *told; /* of events->picture_begun() */
    struct nst_job_result result;
    float *rgb; /* the result */
};

static void on_begun(void *ctx)
{
    struct work *w = ctx;

    if (w->maker->events->optimising)
        w->maker->events->optimising(w->maker->events->ctx);
}

static void on_evaluation(void *ctx, const struct nst_evaluation *e)
{
    struct work *w = ctx;

    if (w->trace)
        nst_trace_evaluation(w->trace, e);
}

static void on_step(void *ctx, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    struct work *w = ctx;
    int count = w->frames ? nst_frames_count(w->frames) : 1;
    int to_come = count > w->frame ? count - w->frame : 1; /* frames */
    struct nst_evaluation whole = *e;

    whole.seconds += w->before.seconds;
    whole.share = (w->frame + e->share) / (w->frame + to_come);
    if (w->maker->events->stepped)
        w->maker->events->stepped(w->told, &whole, w->steps_before + done,
                                  w->steps_before + planned * to_come);
}

static void on_reweighed(void *ctx, const struct nst_evaluation *e, const char *loss,
                         double from, double to)
{
    struct work *w = ctx;

    if (!w->p.quiet)
        nst_say(w->maker->events,
                "adaptive: the %s loss rose, step %lld: its weight %g to %g", loss,
                (long long)e->iteration, from, to);
}

static bool on_stop(void *ctx)
{
    struct work *w = ctx;

    return nst_asked_to_stop(w->maker->events);
}

/* What the plan takes from the user, who did not ask for it. */
static void say_plan(struct work *w)
{
    const struct nst_plan *plan = &w->plan;

    size_t limit = (plan->device_limit ? plan->device_limit : plan->limit) >> 20;

    if (!w->p.quiet && !w->p.dry_run && !w->p.tile && plan->tile)
        nst_say(w->maker->events, "works in %d x %d tiles to stay within %zu MiB%s",
                plan->tile_columns, plan->tile_rows, limit,
                plan->recompute_content ? ", and works out content features anew" : "");
    if (!w->p.quiet && !w->p.dry_run && plan->curvature_pairs < w->p.curvature_pairs)
        nst_say(w->maker->events,
                "keeps %d curvature pairs of %lld to stay within %zu MiB",
                plan->curvature_pairs, (long long)w->p.curvature_pairs, limit);
    nst_plan_apply(plan, &w->p);
    nst_plan_apply(plan, &w->asked);
}

static size_t pixels(const struct nst_picture *p)
{
    return (size_t)p->height * (size_t)p->width;
}

static int longest(const struct nst_picture *p)
{
    return p->height > p->width ? p->height : p->width;
}

/* Bytes of all pictures read. */
static size_t held(const struct work *w)
{
    return nst_picture_bytes(w->content) + nst_picture_bytes(w->init) +
           nst_picture_bytes(w->keep) + nst_styles_bytes(&w->styles) +
           (w->frames ? 6 * pixels(w->content) * sizeof(float) : 0);
}

static enum nst_status make_plan(struct work *w, struct nst_err *err)
{
    const struct nst_picture *c = w->content;
    int border = 2 * nst_border(&w->p), height, width;

    nst_styles_largest(&w->styles, &height, &width);
    return nst_plan_make(&w->plan, w->maker->engine, &w->p, held(w), c->height + border,
                         c->width + border, height, width, err);
}

static enum nst_status match_colours(struct work *w, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < w->styles.count; i++) {
        struct nst_picture *style;

        st = nst_styles_picture(&w->styles, i, &style, err);
        if (st == NST_OK)
            nst_colours_match(style->rgb, pixels(style), w->content->rgb,
                              pixels(w->content));
    }
    return st;
}

static void say_sizes(const struct work *w)
{
    char size[32] = "pack";

    if (!w->styles.of[0].pack)
        snprintf(size, sizeof size, "%dx%d", w->styles.of[0].width,
                 w->styles.of[0].height);
    nst_say(w->maker->events, "model %s, content %dx%d, style %s, %d threads",
            nst_engine_model_path(w->maker->engine), w->content->width,
            w->content->height, size, nst_engine_threads(w->maker->engine));
}

static struct nst_record record_of(const struct work *w)
{
    struct nst_engine *e = w->maker->engine;
    const struct nst_vgg *v = nst_engine_network(e);

    return (struct nst_record){.params = &w->asked,
                               .content = w->item->content,
                               .output = w->item->output,
                               .model_name = nst_engine_model_name(e),
                               .model_path = nst_engine_model_path(e),
                               .device = nst_engine_device(e),
                               .instructions = nst_engine_instructions(e),
                               .network = nst_vgg_fingerprint(v, nst_vgg_convs(v) - 1),
                               .inputs = w->inputs,
                               .width = w->content ? w->content->width : 0,
                               .height = w->content ? w->content->height : 0,
                               .threads = nst_engine_threads(e),
                               .frames = w->frames ? w->frame + 1 : 0,
                               .result = &w->result};
}

/* Is the result there already? */
static bool is_done(const struct work *w)
{
    struct nst_record record = record_of(w);
    char *comment;
    bool done;

    if (!w->p.skip_done || !w->item->output || strcmp(w->item->output, "-") == 0)
        return false;
    comment = nst_picture_comment(w->item->output);
    done = nst_record_matches(&record, comment);
    free(comment);
    if (done && !w->p.quiet)
        nst_say(w->maker->events, "%s: is done", w->item->output);
    return done;
}

/* What all pictures need as well: if it cannot be had, nothing can. */
static enum nst_status read_common(struct work *w, const struct nst_picture_size *size,
                                   struct nst_err *err)
{
    const struct nst_params *p = &w->p;
    enum nst_status st = nst_styles_read(&w->styles, w->maker->styles, err);

    if (st == NST_OK && nst_starts_from_file(p))
        st = nst_picture_load(&w->init, p->init, size, err);
    if (st == NST_OK && p->keep_mask)
        st = nst_picture_load(&w->keep, p->keep_mask, size, err);
    nst_picture_flatten(w->init, NST_WHITE);
    nst_picture_flatten(w->keep, NST_BLACK);
    w->hopeless = st != NST_OK;
    return st;
}

static enum nst_status take_pixels(struct work *w, struct nst_err *err)
{
    const struct nst_item *item = w->item;
    size_t h = (size_t)item->height, width = (size_t)item->width;
    enum nst_status st;

    if (item->height < NST_PICTURE_MIN_SIDE || item->width < NST_PICTURE_MIN_SIDE)
        return nst_err_set(err, NST_ERR_ARG, "%s: %d x %d: below %d x %d",
                           item->content, item->width, item->height,
                           NST_PICTURE_MIN_SIDE, NST_PICTURE_MIN_SIDE);
    w->content = nst_xcalloc(1, sizeof *w->content);
    w->content->height = item->height;
    w->content->width = item->width;
    st = nst_floats_new(&w->content->rgb, 3, h, width, err);
    if (st == NST_OK)
        memcpy(w->content->rgb, item->pixels, 3 * h * width * sizeof(float));
    return st;
}

/* The picture, or the first of its frames if the result can have several. */
static enum nst_status read_content(struct work *w, const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    const struct nst_params *p = &w->p;
    const char *stream = nst_params_stream(p);
    enum nst_status st;

    if (w->item->pixels)
        return take_pixels(w, err);
    if (!stream && !nst_output_animates(w->item->output, p->format))
        return nst_picture_load(&w->content, w->item->content, size, err);
    st = nst_frames_open(&w->frames, w->item->content, stream, size, err);
    if (st == NST_OK)
        st = nst_frames_next(w->frames, &w->content, err);
    if (st == NST_OK && !w->content)
        st = nst_err_set(err, NST_ERR_FORMAT, "%s: holds no frame",
                         strcmp(w->item->content, "-") == 0 ? "standard input"
                                                            : w->item->content);
    if (st == NST_OK && nst_frames_count(w->frames) == 1) {
        nst_frames_free(w->frames);
        w->frames = NULL;
    }
    if (st == NST_OK && w->frames && (p->checkpoint || p->resume))
        st = nst_err_set(err, NST_ERR_ARG,
                         "%s: has several frames, and a checkpoint is of one picture",
                         w->item->content);
    return st;
}

/* Reserve the output and read everything, so that what is wrong shows at once. */
static enum nst_status prepare(struct work *w, struct nst_err *err)
{
    struct nst_params *p = &w->p;
    const char *stream = nst_params_stream(p);
    struct nst_picture_size size = nst_size_read(p);
    enum nst_status st = NST_OK;

    if (w->item->output) /* and so a record */
        w->inputs = nst_record_inputs(p, w->item->content);
    w->skipped = is_done(w);
    if (w->skipped)
        return NST_OK;
    if (!p->dry_run && w->item->output)
        st = nst_output_open(&w->output, w->item->output, stream ? stream : p->format,
                             err);
    if (st == NST_OK)
        st = read_common(w, &size, err);
    if (st == NST_OK)
        st = read_content(w, &size, err);
    if (st == NST_OK)
        st = nst_adapt(p, w->content, &w->styles, w->maker->events, err);
    if (st == NST_OK && p->colour == NST_COLOUR_MATCH && !p->dry_run)
        st = match_colours(w, err);
    if (st == NST_OK)
        st = make_plan(w, err);
    if (st == NST_OK && p->trace &&
        !p->dry_run) /* last: a refused run spares the trace of another */
        st = nst_trace_open(&w->trace, p->trace, err);
    if (st == NST_OK)
        say_plan(w);
    if (st == NST_OK && p->verbose && !p->quiet)
        say_sizes(w);
    return st;
}

/* The picture, or the frame at hand: w->rgb, before it gets the content's colours. */
static enum nst_status stylise(struct work *w, struct nst_err *err)
{
    struct nst_params p = w->p;
    struct nst_stylising s = {w->maker->engine,
                              w->maker->events,
                              &p,
                              &w->asked,
                              &w->plan,
                              held(w),
                              w->content,
                              &w->styles,
                              w->init,
                              w->keep,
                              w->frame ? &w->follow : NULL};
    struct nst_job_events events = {.ctx = w,
                                    .begun = on_begun,
                                    .evaluated = on_evaluation,
                                    .stepped = on_step,
                                    .stop = on_stop,
                                    .reweighed = on_reweighed};

    if (w->frame > 0) /* what the smaller scales are for is there already */
        p.scales.count = 0;
    return nst_stylise(&s, &events, &w->rgb, &w->result, err);
}

static void colour(const struct work *w, float *rgb)
{
    if (w->p.colour == NST_COLOUR_CONTENT)
        nst_colours_keep(rgb, w->content->rgb, pixels(w->content));
}

/* Put the frame at hand into the film, and its figures to those of the others. */
static enum nst_status end_frame(struct work *w, struct nst_err *err)
{
    size_t n = 3 * pixels(w->content);
    float *rgb;
    enum nst_status st = nst_floats_new(&rgb, n, 1, 1, err);

    if (st == NST_OK) {
        memcpy(rgb, w->rgb, n * sizeof *rgb);
        colour(w, rgb);
        st = nst_film_add(w->film, w->content, rgb, err);
    }
    free(rgb);
    if (w->frame > 0)
        w->result.first = w->before.first;
    w->result.iterations += w->before.iterations;
    w->result.evaluations += w->before.evaluations;
    w->result.seconds += w->before.seconds;
    w->before = w->result;
    return st;
}

/* The next frame becomes the content, if there is one: *more. */
static enum nst_status next_frame(struct work *w, bool *more, struct nst_err *err)
{
    struct nst_picture *next;
    enum nst_status st;

    *more = false;
    if (w->result.end == NST_JOB_STOPPED) /* and who sends frames may take his time */
        return NST_OK;
    st = nst_frames_next(w->frames, &next, err);
    if (st != NST_OK &&
        nst_asked_to_stop(w->maker->events)) { /* while it was waited for */
        w->result.end = NST_JOB_STOPPED;
        return NST_OK;
    }
    *more = st == NST_OK && next;
    if (!*more)
        return st;
    st = nst_follow(&w->follow, w->rgb, w->content->rgb, next->rgb, next->height,
                    next->width, err);
    w->rgb = NULL; /* taken over */
    nst_picture_free(w->content);
    w->content = next;
    if (st == NST_OK && w->p.colour == NST_COLOUR_MATCH)
        st = match_colours(w, err);
    w->steps_before += nst_scales_iterations(&w->p, longest(w->content));
    w->frame++;
    return st;
}

static enum nst_status stylise_frames(struct work *w, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    nst_film_new(&w->film, w->output, w->frames);
    for (bool more = true; more && st == NST_OK;) {
        st = stylise(w, err);
        if (st == NST_OK)
            st = end_frame(w, err);
        if (st == NST_OK)
            st = next_frame(w, &more, err);
    }
    return st;
}

static enum nst_status stylise_all(struct work *w, struct nst_err *err)
{
    const struct nst_run_events *events = w->maker->events;
    enum nst_status st;

    w->maker->take_memory(w->maker->ctx, &w->plan);
    if (nst_asked_to_stop(w->maker->events)) {
        w->left = true;
        return NST_OK;
    }
    if (events->picture_begun)
        w->told = events->picture_begun(
            events->ctx, w->item, nst_scales_iterations(&w->p, longest(w->content)));
    st = w->frames ? stylise_frames(w, err) : stylise(w, err);
    if (events->picture_ended)
        events->picture_ended(w->told, st == NST_OK ? &w->result : NULL);
    if (st == NST_OK && !w->frames)
        colour(w, w->rgb);
    return st;
}

/* To its file, or into memory. */
static enum nst_status write_picture(struct work *w, struct nst_err *err)
{
    struct nst_record record = record_of(w);
    enum nst_status st;
    char *comment;

    if (!w->item->output) {
        memcpy(w->item->made, w->rgb, 3 * pixels(w->content) * sizeof(float));
        return NST_OK;
    }
    comment = nst_record_recipe(&record);
    st = w->frames ? nst_film_finish(w->film, comment, err)
                   : nst_output_write(w->output, w->content, w->rgb, comment, err);
    free(comment);
    return st;
}

static enum nst_status write_results(struct work *w, struct nst_err *err)
{
    enum nst_status st = write_picture(w, err);
    struct nst_trace *trace = w->trace;

    w->trace = NULL;
    if (st != NST_OK) {
        nst_trace_close(trace, NULL, NULL);
        return st;
    }
    return nst_trace_close(trace, &w->result.final, err);
}

/* The picture is written; that it cannot be recorded is worth a word, no more. */
static void write_history(const struct work *w)
{
    struct nst_record record = record_of(w);
    char *path = nst_history_path(w->p.history), *line = nst_record_line(&record);
    struct nst_err err;

    if (path && w->result.end != NST_JOB_STOPPED &&
        nst_history_append(path, line, &err) != NST_OK)
        nst_say(w->maker->events, "%s", err.text);
    free(line);
    free(path);
}

static void report(const struct work *w)
{
    const struct nst_job_result *r = &w->result;

    if (w->p.quiet)
        return;
    if (r->end == NST_JOB_CONVERGED)
        nst_say(w->maker->events,
                "converged after %lld steps: the loss hardly falls any more",
                (long long)r->iterations);
    if (r->end == NST_JOB_STOPPED)
        nst_say(w->maker->events,
                "stopped after %lld steps, the picture so far is written",
                (long long)r->iterations);
    if (w->p.verbose)
        nst_say(w->maker->events,
                "loss %.6g to %.6g in %lld steps, %lld evaluations, %.2f s, at most "
                "%zu MiB",
                r->first.total_loss, r->final.total_loss, (long long)r->iterations,
                (long long)r->evaluations, r->seconds, nst_memory_peak() >> 20);
}

static void clear_work(struct work *w)
{
    nst_trace_close(w->trace, NULL, NULL);
    nst_film_free(w->film);
    nst_output_free(w->output);
    nst_frames_free(w->frames);
    nst_follow_clear(&w->follow);
    nst_picture_free(w->content);
    nst_styles_clear(&w->styles);
    nst_picture_free(w->init);
    nst_picture_free(w->keep);
    free(w->rgb);
    free(w->inputs);
}

static enum nst_status tell_estimate(const struct work *w, struct nst_err *err)
{
    const struct nst_run_events *events = w->maker->events;
    struct nst_estimate estimate;
    enum nst_status st =
        nst_estimate_make(&estimate, &w->plan, w->maker->engine, &w->p, err);

    if (st == NST_OK && events->planned)
        events->planned(events->ctx, w->item, &estimate);
    return st;
}

static enum nst_status make(struct work *w, struct nst_err *err)
{
    enum nst_status st = prepare(w, err);

    if (st != NST_OK || w->skipped)
        return st;
    if (w->p.dry_run)
        return tell_estimate(w, err);
    st = stylise_all(w, err);
    if (st != NST_OK || w->left)
        return st;
    st = write_results(w, err);
    if (st != NST_OK)
        return st;
    if (w->item->output)
        write_history(w);
    report(w);
    return st;
}

enum nst_made nst_make(const struct nst_maker *m, const struct nst_item *item,
                       struct nst_err *err)
{
    struct work w = {.maker = m, .item = item, .asked = *m->params, .p = *m->params};
    enum nst_made made = NST_MADE_DONE;

    if (make(&w, err) != NST_OK)
        made = w.hopeless ? NST_MADE_HOPELESS : NST_MADE_FAILED;
    else if (w.skipped)
        made = NST_MADE_SKIPPED;
    else if (w.left)
        made = NST_MADE_LEFT;
    else if (w.result.end == NST_JOB_STOPPED)
        made = NST_MADE_STOPPED;
    clear_work(&w);
    return made;
}
