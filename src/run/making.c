/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "job/colours.h"
#include "record/history.h"
#include "run/estimate.h"
#include "run/say.h"

static void on_begun(void *ctx)
{
    struct nst_work *w = ctx;

    if (w->maker->events->optimising)
        w->maker->events->optimising(w->maker->events->ctx);
}

static void on_evaluation(void *ctx, const struct nst_evaluation *e)
{
    struct nst_work *w = ctx;

    if (w->trace)
        nst_trace_evaluation(w->trace, e);
}

static void on_step(void *ctx, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    struct nst_work *w = ctx;
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
    struct nst_work *w = ctx;

    if (!w->p.quiet)
        nst_say(
            w->maker->events,
            "adaptive: the %s loss rose at step %lld; its weight goes from %g to %g",
            loss, (long long)e->iteration, from, to);
}

static bool on_stop(void *ctx)
{
    struct nst_work *w = ctx;

    return nst_asked_to_stop(w->maker->events);
}

/* What the picture, or the frame at hand, is made by. */
static struct nst_params params_of_frame(const struct nst_work *w)
{
    struct nst_params p = w->p;

    if (w->frame > 0)
        nst_scales_follow(&p, w->content->height, w->content->width);
    return p;
}

/* The picture, or the frame at hand: w->rgb, before it gets the content's colours. */
static enum nst_status stylise(struct nst_work *w, struct nst_err *err)
{
    struct nst_params p = params_of_frame(w);
    struct nst_stylising s = {w->maker->engine,
                              w->maker->events,
                              &p,
                              &w->asked,
                              &w->plan,
                              nst_work_held(w),
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

    return nst_stylise(&s, &events, &w->rgb, &w->result, err);
}

static void colour(const struct nst_work *w, float *rgb)
{
    if (w->p.colour == NST_COLOUR_CONTENT)
        nst_colours_keep(rgb, w->content->rgb, nst_work_pixels(w->content));
}

/* Put the frame at hand into the film, and its figures to those of the others. */
static enum nst_status end_frame(struct nst_work *w, struct nst_err *err)
{
    size_t n = 3 * nst_work_pixels(w->content);
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
static enum nst_status next_frame(struct nst_work *w, bool *more, struct nst_err *err)
{
    struct nst_params p = params_of_frame(w);
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
        st = nst_work_match_colours(w, err);
    w->steps_before += nst_scales_iterations(&p, next->height, next->width);
    w->frame++;
    return st;
}

static enum nst_status stylise_frames(struct nst_work *w, struct nst_err *err)
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

static enum nst_status stylise_all(struct nst_work *w, struct nst_err *err)
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
            events->ctx, w->item,
            nst_scales_iterations(&w->p, w->content->height, w->content->width));
    st = w->frames ? stylise_frames(w, err) : stylise(w, err);
    if (events->picture_ended)
        events->picture_ended(w->told, st == NST_OK ? &w->result : NULL);
    if (st == NST_OK && !w->frames)
        colour(w, w->rgb);
    return st;
}

/* To its file, or into memory. */
static enum nst_status write_picture(struct nst_work *w, struct nst_err *err)
{
    struct nst_record record = nst_work_record(w);
    enum nst_status st;
    char *comment;

    if (!w->item->output) {
        memcpy(w->item->made, w->rgb, 3 * nst_work_pixels(w->content) * sizeof(float));
        return NST_OK;
    }
    comment = nst_record_recipe(&record);
    st = w->frames ? nst_film_finish(w->film, comment, err)
                   : nst_output_write(w->output, w->content, w->rgb, comment, err);
    free(comment);
    return st;
}

static enum nst_status write_results(struct nst_work *w, struct nst_err *err)
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
static void write_history(const struct nst_work *w)
{
    struct nst_record record = nst_work_record(w);
    char *path = nst_history_path(w->p.history), *line = nst_record_line(&record);
    struct nst_err err;

    if (path && w->result.end != NST_JOB_STOPPED &&
        nst_history_append(path, line, &err) != NST_OK)
        nst_say(w->maker->events, "%s", err.text);
    free(line);
    free(path);
}

static void report(const struct nst_work *w)
{
    const struct nst_job_result *r = &w->result;

    if (w->p.quiet)
        return;
    if (r->end == NST_JOB_CONVERGED)
        nst_say(w->maker->events,
                "converged after %lld steps: the loss no longer decreases",
                (long long)r->iterations);
    if (r->end == NST_JOB_STOPPED)
        nst_say(w->maker->events,
                "stopped after %lld steps; the image so far is written",
                (long long)r->iterations);
    if (w->p.verbose)
        nst_say(
            w->maker->events,
            "loss %.6g to %.6g in %lld steps, %lld evaluations, %.2f s, peak memory "
            "%zu MiB",
            r->first.total_loss, r->final.total_loss, (long long)r->iterations,
            (long long)r->evaluations, r->seconds, nst_memory_peak() >> 20);
}

static void clear_work(struct nst_work *w)
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

static enum nst_status tell_estimate(const struct nst_work *w, struct nst_err *err)
{
    const struct nst_run_events *events = w->maker->events;
    struct nst_estimate estimate;
    enum nst_status st =
        nst_estimate_make(&estimate, &w->plan, w->maker->engine, &w->p, err);

    if (st == NST_OK && events->planned)
        events->planned(events->ctx, w->item, &estimate);
    return st;
}

static enum nst_status make(struct nst_work *w, struct nst_err *err)
{
    enum nst_status st = nst_work_prepare(w, err);

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
    struct nst_work w = {
        .maker = m, .item = item, .asked = *m->params, .p = *m->params};
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
