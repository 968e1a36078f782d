/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/picture_job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/memory.h"
#include "image/save.h"
#include "net/net.h"
#include "record/history.h"
#include "run/estimate.h"
#include "run/net_run.h"
#include "run/report.h"
#include "style/colour_transfer.h"

/* Parameters of the picture or a frame. */
static struct nst_params params_of_frame(const struct nst_picture_job *job, int frame)
{
    struct nst_params p = job->effective;

    if (frame > 0)
        nst_pyramid_warm_start(&p, job->content->height, job->content->width);
    return p;
}

static struct nst_params frame_params(const struct nst_picture_job *job)
{
    return params_of_frame(job, job->frame);
}

/* Steps of the picture or of all frames; 0 if their number is unknown. A network paints
 * each in one. */
static int64_t planned_steps(const struct nst_picture_job *job)
{
    int h = job->content->height, w = job->content->width;
    struct nst_params first = params_of_frame(job, 0), later = params_of_frame(job, 1);
    int64_t steps = nst_pyramid_iterations(&first, h, w);
    int count = job->frames ? nst_frame_reader_count(job->frames) : 1;

    if (job->net)
        return count;
    return count ? steps + (count - 1) * nst_pyramid_iterations(&later, h, w) : 0;
}

/* Stylise the picture or the current frame into job->rgb, without --colour content. */
static enum nst_status stylise(struct nst_picture_job *job, struct nst_err *err)
{
    struct nst_params p = frame_params(job);
    int count = job->frames ? nst_frame_reader_count(job->frames) : 1;
    struct nst_stylise_args s = {
        job->runner->session, &job->reporter, &p,
        &job->recorded,       &job->plan,     nst_picture_job_baseline(job),
        job->content,         job->item,      &job->styles,
        job->init_image,      job->keep_mask, job->frame ? &job->coherence : NULL};

    job->reporter.evaluations = job->totals.evaluations;
    job->reporter.iterations = job->totals.iterations;
    job->reporter.seconds = job->totals.seconds;
    job->reporter.steps_done = job->steps_done;
    job->reporter.steps_planned = planned_steps(job);
    job->reporter.fraction = count ? (double)job->frame / count : NAN;
    job->reporter.share = 1.0 / (count ? count : 1);
    job->reporter.frame = job->frames ? job->frame + 1 : 0;
    job->reporter.frames = job->frames ? count : 0;
    return nst_stylise(&s, &job->rgb, &job->result, err);
}

static void apply_content_colours(const struct nst_picture_job *job, float *rgb)
{
    if (job->effective.colour == NST_COLOUR_CONTENT)
        nst_colour_transfer_luma(rgb, job->content->rgb,
                                 nst_picture_pixels(job->content));
}

/* Write the current frame and add its result to the totals. */
static enum nst_status finish_frame(struct nst_picture_job *job, struct nst_err *err)
{
    size_t n = 3 * nst_picture_pixels(job->content);
    float *rgb;
    enum nst_status st = nst_floats_new(&rgb, n, 1, 1, err);

    if (st == NST_OK) {
        memcpy(rgb, job->rgb, n * sizeof *rgb);
        apply_content_colours(job, rgb);
        st = nst_frame_writer_add(job->writer, job->content, rgb, err);
    }
    free(rgb);
    if (job->frame > 0)
        job->result.first = job->totals.first;
    job->result.iterations += job->totals.iterations;
    job->result.evaluations += job->totals.evaluations;
    job->result.seconds += job->totals.seconds;
    job->totals = job->result;
    return st;
}

/* Make the next frame the content; *more is false after the last. */
static enum nst_status next_frame(struct nst_picture_job *job, bool *more,
                                  struct nst_err *err)
{
    struct nst_params p = frame_params(job);
    struct nst_picture *next;
    struct nst_motion motion;
    enum nst_status st;

    *more = false;
    if (job->result.end == NST_JOB_STOPPED) /* do not wait for another frame */
        return NST_OK;
    st = nst_frame_reader_next(job->frames, &next, err);
    if (st != NST_OK &&
        nst_run_should_stop(job->runner->events)) { /* stopped during the wait */
        job->result.end = NST_JOB_STOPPED;
        return NST_OK;
    }
    *more = st == NST_OK && next;
    if (!*more)
        return st;
    st = nst_motion_find(
        &motion, job->effective.flow, job->frame + 1,
        (struct nst_image){job->content->rgb, next->height, next->width},
        (struct nst_image){next->rgb, next->height, next->width},
        nst_session_pool(job->runner->session), err);
    if (st == NST_OK) {
        st = nst_coherence_update(&job->coherence, job->rgb, job->content->rgb,
                                  next->rgb, &motion, next->height, next->width, err);
        job->rgb = NULL; /* taken over */
    }
    nst_motion_clear(&motion);
    nst_picture_free(job->content);
    job->content = next;
    if (st == NST_OK && job->effective.colour == NST_COLOUR_MATCH)
        st = nst_picture_job_match_colours(job, err);
    job->steps_done += nst_pyramid_iterations(&p, next->height, next->width);
    job->frame++;
    return st;
}

static enum nst_status stylise_frames(struct nst_picture_job *job, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    nst_frame_writer_new(&job->writer, job->output, job->frames);
    for (bool more = true; more && st == NST_OK;) {
        st = stylise(job, err);
        if (st == NST_OK)
            st = finish_frame(job, err);
        if (st == NST_OK)
            st = next_frame(job, &more, err);
    }
    return st;
}

static enum nst_status stylise_content(struct nst_picture_job *job, struct nst_err *err)
{
    const struct nst_run_events *events = job->runner->events;
    enum nst_status st;

    job->runner->reserve_memory(job->runner->ctx, &job->plan);
    if (nst_run_should_stop(job->runner->events)) {
        job->cancelled = true;
        return NST_OK;
    }
    if (events->picture_started)
        job->reporter.progress =
            events->picture_started(events->ctx, job->item, planned_steps(job));
    if (job->net)
        return nst_net_run_paint(job, err);
    st = job->frames ? stylise_frames(job, err) : stylise(job, err);
    if (st == NST_OK && !job->frames)
        apply_content_colours(job, job->rgb);
    return st;
}

static enum nst_status write_file(struct nst_picture_job *job, struct nst_err *err)
{
    struct nst_provenance provenance = nst_picture_job_provenance(job);
    enum nst_status st = nst_picture_job_check_replacement(job, err);
    char *comment;

    if (st != NST_OK)
        return st;
    comment = nst_provenance_metadata(&provenance);
    st = job->frames
             ? nst_frame_writer_finish(job->writer, comment, err)
             : nst_output_write(job->output, job->content, job->rgb, comment, err);
    free(comment);
    if (st == NST_OK && !job->effective.quiet && nst_output_note(job->output))
        nst_run_message(job->runner->events, "%s: %s", job->item->output,
                        nst_output_note(job->output));
    return st;
}

/* Write the result to its file or to memory. */
static enum nst_status write_picture(struct nst_picture_job *job, struct nst_err *err)
{
    enum nst_status st;
    int lock;

    if (!job->item->output) {
        memcpy(job->item->result, job->rgb,
               3 * nst_picture_pixels(job->content) * sizeof(float));
        return NST_OK;
    }
    lock = job->item->named ? nst_lock_directory_of(job->item->output) : -1;
    st = write_file(job, err);
    if (lock >= 0)
        close(lock);
    return st;
}

static enum nst_status write_results(struct nst_picture_job *job, struct nst_err *err)
{
    enum nst_status st = write_picture(job, err);
    struct nst_trace *trace = job->reporter.trace;

    job->reporter.trace = NULL;
    if (st != NST_OK) {
        nst_trace_close(trace, NULL, NULL);
        return st;
    }
    return nst_trace_close(trace, &job->result.final, err);
}

/* The picture is written already, so an error here is only reported, once in a run; for
 * the default path not with --quiet. */
static void write_history(const struct nst_picture_job *job)
{
    struct nst_provenance provenance = nst_picture_job_provenance(job);
    char *path = nst_history_path(job->effective.history),
         *line = nst_provenance_history_line(&provenance);
    bool named = job->effective.history || getenv("NST_HISTORY");
    struct nst_err err;

    if (path && job->result.end != NST_JOB_STOPPED &&
        nst_history_append(path, line, &err) != NST_OK &&
        !atomic_exchange(job->runner->history_failed, true) &&
        (named || !job->effective.quiet))
        nst_run_message(job->runner->events, "%s", err.text);
    free(line);
    free(path);
}

/* Moments of a run: seconds of nst_clock_seconds(). */
struct moments {
    double begin, prepared, stylised, written;
};

static void report(const struct nst_picture_job *job, const struct moments *at)
{
    const struct nst_job_result *r = &job->result;
    const char *name = job->item->content;

    if (job->effective.quiet)
        return;
    if (strcmp(name, "-") == 0)
        name = "standard input";
    if (r->end == NST_JOB_CONVERGED)
        nst_run_message(job->runner->events,
                        "%s: converged after %lld steps: the loss no longer decreases",
                        name, (long long)r->iterations);
    if (r->end == NST_JOB_STOPPED)
        nst_run_message(job->runner->events, "%s: stopped after %lld %s; %s", name,
                        (long long)r->iterations, job->net ? "frames" : "steps",
                        job->cancelled ? "nothing is written"
                                       : "the image so far is written");
    if (job->net && job->effective.verbose)
        nst_run_message(job->runner->events,
                        "%s: %.2f s to read and prepare, %.2f s to paint, peak memory "
                        "%zu MiB",
                        name, at->prepared - at->begin, r->seconds,
                        nst_memory_peak() >> 20);
    if (job->net)
        return;
    if (job->effective.verbose)
        nst_run_message(
            job->runner->events,
            "%s: loss %.6g to %.6g in %lld steps, %lld evaluations, %.2f s, peak "
            "memory %zu MiB",
            name, r->first.total_loss, r->final.total_loss, (long long)r->iterations,
            (long long)r->evaluations, r->seconds, nst_memory_peak() >> 20);
    if (job->effective.verbose && !job->effective.resume)
        nst_run_message(job->runner->events,
                        "%s: %.2f s to read, %.2f s to prepare scales, %.2f s to "
                        "optimise, %.2f s to write",
                        name, at->prepared - at->begin,
                        at->stylised - at->prepared - r->seconds, r->seconds,
                        at->written - at->stylised);
}

/* For a dry run, which does not read the picture, or has read it already. */
static void count_reading(struct nst_picture_job *job)
{
    size_t reading =
        nst_session_resident_memory(job->runner->session) + job->content->read_bytes;

    if (job->plan.memory < reading)
        job->plan.memory = reading;
}

static enum nst_status run_job(struct nst_picture_job *job, struct nst_err *err)
{
    const struct nst_run_events *events = job->runner->events;
    struct moments at = {.begin = nst_clock_seconds()};
    struct nst_estimate estimate;
    enum nst_status st = nst_picture_job_prepare(job, err);

    if (st == NST_OK && !job->skipped && nst_styles_shared_net(job->runner->styles))
        st = nst_net_run_plan(job, err);
    at.prepared = nst_clock_seconds();
    if (st != NST_OK || job->skipped)
        return st;
    if (job->effective.dry_run) {
        count_reading(job);
        st = job->net ? nst_net_run_estimate(job, &estimate, err)
                      : nst_estimate_make(&estimate, &job->plan, job->runner->session,
                                          &job->effective, err);
        if (st == NST_OK && events->estimated)
            events->estimated(events->ctx, job->item, &estimate);
        return st;
    }
    st = stylise_content(job, err);
    at.stylised = nst_clock_seconds();
    if (job->cancelled)
        return st;
    job->cancelled = st == NST_OK && job->result.end == NST_JOB_STOPPED &&
                     job->effective.on_interrupt == NST_ON_INTERRUPT_DISCARD;
    if (st == NST_OK && !job->cancelled)
        st = write_results(job, err);
    at.written = nst_clock_seconds();
    if (events->picture_finished)
        events->picture_finished(job->reporter.progress,
                                 st == NST_OK ? &job->result : NULL);
    if (st != NST_OK)
        return st;
    if (job->item->output && !job->cancelled)
        write_history(job);
    report(job, &at);
    return st;
}

enum nst_outcome nst_picture_run(const struct nst_picture_runner *runner,
                                 const struct nst_batch_item *item, struct nst_err *err)
{
    struct nst_picture_job job = {.runner = runner,
                                  .item = item,
                                  .recorded = *runner->params,
                                  .effective = *runner->params,
                                  .reporter = {.events = runner->events,
                                               .item = item,
                                               .quiet = runner->params->quiet}};
    enum nst_outcome outcome = NST_OUTCOME_DONE;

    if (run_job(&job, err) != NST_OK)
        outcome = job.fatal ? NST_OUTCOME_FATAL : NST_OUTCOME_FAILED;
    else if (job.skipped)
        outcome = NST_OUTCOME_SKIPPED;
    else if (job.cancelled)
        outcome = NST_OUTCOME_CANCELLED;
    else if (job.result.end == NST_JOB_STOPPED)
        outcome = NST_OUTCOME_STOPPED;
    nst_trace_close(job.reporter.trace, NULL, NULL);
    nst_frame_writer_free(job.writer);
    nst_output_free(job.output);
    nst_frame_reader_free(job.frames);
    nst_coherence_clear(&job.coherence);
    nst_picture_free(job.content);
    nst_style_set_clear(&job.styles);
    nst_picture_free(job.init_image);
    nst_picture_free(job.keep_mask);
    nst_net_free(job.net);
    free(job.rgb);
    free(job.inputs);
    return outcome;
}
