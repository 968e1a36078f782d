/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/picture_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/memory.h"
#include "image/samples.h"
#include "image/save.h"
#include "net/net.h"
#include "record/history.h"
#include "run/estimate.h"
#include "run/frame_link.h"
#include "run/net_run.h"
#include "run/pyramid.h"
#include "run/report.h"

static enum nst_status stylise_content(struct nst_picture_job *job, struct nst_err *err)
{
    const struct nst_run_events *events = job->runner->events;

    job->runner->reserve_memory(job->runner->ctx, &job->plan);
    if (nst_run_should_stop(job->runner->events)) {
        job->cancelled = true;
        return NST_OK;
    }
    if (events->picture_started)
        job->reporter.progress = events->picture_started(
            events->ctx, job->item, nst_picture_job_planned_steps(job));
    return job->net ? nst_net_run_paint(job, err) : nst_picture_job_stylise(job, err);
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

    if (!job->item->output)
        return nst_samples_store(
            &job->item->result,
            (struct nst_image){job->rgb, job->content->height, job->content->width},
            err);
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
    if (r->end == NST_JOB_STOPPED && job->net && !job->frames)
        nst_run_message(job->runner->events, "%s: stopped; nothing is written", name);
    else if (r->end == NST_JOB_STOPPED)
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
    if (st == NST_OK && job->skipped && job->link)
        nst_frame_link_skip(job->link, job->item);
    if (st != NST_OK || job->skipped)
        return st;
    if (job->effective.dry_run) {
        struct nst_params p = job->effective;

        if (job->link && job->link->number > 1)
            nst_pyramid_warm_start(&p, job->content->height, job->content->width, 1);
        else if (job->frames || job->link)
            nst_pyramid_first_frame(&p, job->content->height, job->content->width);
        count_reading(job);
        st = job->net ? nst_net_run_estimate(job, &estimate, err)
                      : nst_estimate_make(&estimate, &job->plan, job->runner->session,
                                          &p, err);
        if (st == NST_OK && events->estimated)
            events->estimated(events->ctx, job->item, &estimate);
        return st;
    }
    st = stylise_content(job, err);
    at.stylised = nst_clock_seconds();
    if (job->cancelled && job->result.end != NST_JOB_STOPPED)
        return st; /* before it started */
    job->cancelled =
        job->cancelled || (st == NST_OK && job->result.end == NST_JOB_STOPPED &&
                           job->effective.on_interrupt == NST_ON_INTERRUPT_DISCARD);
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
    if (job->link && !job->cancelled)
        nst_picture_job_pass_on(job);
    return st;
}

enum nst_outcome nst_picture_run(const struct nst_picture_runner *runner,
                                 const struct nst_batch_item *item, struct nst_err *err)
{
    struct nst_picture_job job = {.runner = runner,
                                  .link = runner->link,
                                  .item = item,
                                  .recorded = *runner->params,
                                  .effective = *runner->params,
                                  .reporter = {.events = runner->events,
                                               .item = item,
                                               .quiet = runner->params->quiet}};
    enum nst_outcome outcome = NST_OUTCOME_DONE;

    if (job.link)
        job.link->number++;
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
    nst_frame_store_free(job.store);
    nst_coherence_clear(&job.coherence);
    nst_motion_clear(&job.motion);
    nst_picture_free(job.content);
    nst_style_set_clear(&job.styles);
    nst_picture_free(job.init_image);
    nst_picture_free(job.keep_mask);
    nst_net_free(job.net);
    free(job.rgb);
    free(job.painted);
    free(job.inputs);
    return outcome;
}
