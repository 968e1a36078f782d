/* SPDX-License-Identifier: MIT */
/* picture_job.c - loads the inputs of one picture's run and plans it. */
#include "config.h"

#include "run/picture_job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/err.h"
#include "base/path.h"
#include "image/load.h"
#include "image/samples.h"
#include "run/adapt.h"
#include "run/frame_link.h"
#include "run/level.h"
#include "run/motion.h"
#include "run/pyramid.h"
#include "run/report.h"
#include "run/series.h"
#include "style/colour_transfer.h"

size_t nst_picture_pixels(const struct nst_picture *p)
{
    return (size_t)p->height * (size_t)p->width;
}

/* Whether frames follow each other. */
static bool is_film(const struct nst_picture_job *job)
{
    return job->frames || job->link;
}

struct nst_baseline nst_picture_job_baseline(const struct nst_picture_job *job)
{
    /* the frame before and its result, and those of the work file of several passes */
    size_t frame_planes = job->effective.passes > 1 ? 8 : 6;
    const struct nst_picture *c = job->content;
    size_t kept = 0;

    if (job->frames)
        kept = frame_planes * nst_picture_pixels(c) * sizeof(float) +
               nst_frame_reader_bytes(job->frames);
    else if (job->link)
        kept = nst_frame_link_bytes(c->height, c->width,
                                    job->effective.colour == NST_COLOUR_MATCH);
    if (is_film(job))
        kept += nst_motion_kept_bytes(job->effective.flow, c->height, c->width);

    return (struct nst_baseline){.image_bytes = nst_picture_bytes(job->content) +
                                                nst_picture_bytes(job->init_image) +
                                                nst_picture_bytes(job->keep_mask) +
                                                nst_style_set_bytes(&job->styles) +
                                                kept,
                                 .is_video = is_film(job)};
}

/* Plan one scale of a run by p. */
static enum nst_status plan_level(const struct nst_picture_job *job,
                                  const struct nst_params *p, double ratio,
                                  struct nst_plan *plan, struct nst_err *err)
{
    const struct nst_picture *c = job->content;
    struct nst_level_config level = {.p = p, .ratio = ratio};
    struct nst_size size = {nst_level_length(&level, c->height),
                            nst_level_length(&level, c->width)};

    return nst_plan_make(plan, job->runner->session, p, nst_picture_job_baseline(job),
                         size, nst_level_style_size(&level, &job->styles), err);
}

/* Plan the largest scale of each network: *plan is that of the last scale, with the
 * largest memory of all. *tightest holds the smallest tile and the fewest pairs. */
static enum nst_status plan_networks(const struct nst_picture_job *job,
                                     const struct nst_params *p, struct nst_plan *plan,
                                     struct nst_plan *tightest, struct nst_err *err)
{
    const struct nst_network *previous = NULL;
    struct nst_level level[NST_LIST_MAX];
    int levels =
        nst_pyramid_levels(p, job->content->height, job->content->width, level);
    enum nst_status st = NST_OK;

    for (int i = levels - 1; st == NST_OK && i >= 0; i--) {
        const struct nst_network *n =
            nst_session_network_for(job->runner->session, level[i].longest);
        double ratio = (double)level[i].longest / level[levels - 1].longest;
        struct nst_plan level_plan;

        if (n == previous)
            continue;
        st = plan_level(job, p, ratio, &level_plan, err);
        if (st != NST_OK)
            break;
        if (!previous)
            *plan = *tightest = level_plan;
        if (level_plan.tile && (!tightest->tile || level_plan.tile < tightest->tile))
            tightest->tile = level_plan.tile;
        if (level_plan.curvature_pairs < tightest->curvature_pairs)
            tightest->curvature_pairs = level_plan.curvature_pairs;
        if (level_plan.memory > plan->memory)
            plan->memory = level_plan.memory;
        if (level_plan.device_memory > plan->device_memory)
            plan->device_memory = level_plan.device_memory;
        previous = n;
    }
    return st;
}

static void leave_out_flow(struct nst_picture_job *job)
{
    /* both borrow their strings */
    job->effective.flow = job->recorded.flow = (char *)"none";
}

static void say_without_flow(const struct nst_picture_job *job, size_t bytes)
{
    if (!job->effective.quiet)
        nst_run_message(job->runner->events,
                        "without optical flow, which takes %zu MiB, to stay within "
                        "%zu MiB: static areas alone are stable",
                        bytes >> 20,
                        nst_session_memory_limit(job->runner->session) >> 20);
}

/* Do without optical flow if there is no memory to estimate it. It is found between two
 * frames, when the memory of the optimiser is free. */
static void plan_motion(struct nst_picture_job *job)
{
    const struct nst_picture *c = job->content;
    size_t bytes = nst_session_resident_memory(job->runner->session) +
                   nst_picture_job_baseline(job).image_bytes +
                   nst_motion_bytes(job->effective.flow, c->height, c->width);

    if (!is_film(job))
        return;
    if (bytes > job->plan.limit) {
        leave_out_flow(job);
        say_without_flow(job, bytes);
    } else if (job->plan.memory < bytes) {
        job->plan.memory = bytes;
    }
}

/* All scales share tile and pairs, so the tightest plan applies to every network. */
static enum nst_status make_plan(struct nst_picture_job *job, struct nst_err *err)
{
    struct nst_params p = job->effective;
    struct nst_plan tightest;
    enum nst_status st = plan_networks(job, &p, &job->plan, &tightest, err);

    if (st != NST_OK || (tightest.tile == job->plan.tile &&
                         tightest.curvature_pairs == job->plan.curvature_pairs))
        return st;
    nst_plan_apply(&tightest, &p);
    return plan_networks(job, &p, &job->plan, &tightest, err);
}

/* Match the colours of the style images to the content or the first frame: were they to
 * follow each frame, the colours of a film would wander. */
static enum nst_status match_colours(struct nst_picture_job *job, struct nst_err *err)
{
    const float *content =
        job->link && job->link->first ? job->link->first : job->content->rgb;
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < job->styles.count; i++) {
        struct nst_picture *style;

        st = nst_style_set_picture(&job->styles, i, &style, err);
        if (st != NST_OK)
            break;
        nst_colour_transfer_match(style->rgb, nst_picture_pixels(style), content,
                                  nst_picture_pixels(job->content));
        free(style->small.rgb); /* holds the old colours */
        style->small.rgb = NULL;
    }
    return st;
}

static void report_sizes(const struct nst_picture_job *job)
{
    const struct nst_network *n;
    char size[32] = "pack", *models = nst_xstrdup("");

    for (int i = 0; (n = nst_session_network_at(job->runner->session, i)); i++) {
        char *joined =
            n->max_size ? nst_xasprintf("%s%s up to %d, ", models, n->path, n->max_size)
                        : nst_xasprintf("%s%s", models, n->path);

        free(models);
        models = joined;
    }
    if (!job->styles.item[0].pack)
        snprintf(size, sizeof size, "%dx%d", job->styles.item[0].width,
                 job->styles.item[0].height);
    nst_run_message(job->runner->events,
                    "model %s, content %dx%d, style %s, %d threads", models,
                    job->content->width, job->content->height, size,
                    nst_session_threads(job->runner->session));
    free(models);
}

/* Report what the plan changes, and apply it. */
static void report_plan(struct nst_picture_job *job)
{
    const struct nst_plan *plan = &job->plan;
    size_t limit = (plan->device_limit ? plan->device_limit : plan->limit) >> 20;

    if (!job->effective.quiet && !job->effective.dry_run && !job->effective.tile &&
        plan->tile)
        nst_run_message(
            job->runner->events, "using %d x %d tiles to stay within %zu MiB%s",
            plan->tile_columns, plan->tile_rows, limit,
            plan->recompute_content ? " and recomputing content features" : "");
    if (!job->effective.quiet && !job->effective.dry_run &&
        plan->curvature_pairs < job->effective.curvature_pairs)
        nst_run_message(job->runner->events,
                        "keeping %d of %lld curvature pairs to stay within %zu MiB",
                        plan->curvature_pairs,
                        (long long)job->effective.curvature_pairs, limit);
    nst_plan_apply(plan, &job->effective);
    nst_plan_apply(plan, &job->recorded);
    if (job->effective.verbose && !job->effective.quiet)
        report_sizes(job);
}

static bool paints_by_net(const struct nst_picture_job *job)
{
    return nst_styles_shared_net(job->runner->styles) != NULL;
}

/* Load the inputs that all pictures share. A failure here is fatal for the batch. */
static enum nst_status load_shared_inputs(struct nst_picture_job *job,
                                          const struct nst_picture_size *size,
                                          struct nst_err *err)
{
    const struct nst_params *p = &job->effective;
    enum nst_status st = nst_style_set_load(&job->styles, job->runner->styles, err);

    if (st == NST_OK && !paints_by_net(job) && nst_params_init_is_file(p))
        st = nst_picture_load(&job->init_image, p->init, size, err);
    if (st == NST_OK && p->keep_mask)
        st = nst_picture_load(&job->keep_mask, p->keep_mask, size, err);
    nst_picture_flatten(job->init_image, NST_WHITE);
    nst_picture_flatten(job->keep_mask, NST_BLACK);
    job->fatal = st != NST_OK;
    return st;
}

/* Make content and keep_mask from the samples of the item. */
static enum nst_status take_samples(struct nst_picture_job *job,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    const struct nst_batch_item *item = job->item;
    enum nst_status st = nst_samples_check(&item->picture, item->content, false, err);

    if (st == NST_OK)
        st = nst_samples_check(&item->result, item->content, false, err);
    if (st == NST_OK && item->keep.data)
        st = nst_samples_check(&item->keep, "keep", true, err);
    if (st == NST_OK)
        st = nst_picture_from_samples(&job->content, item->content, &item->picture,
                                      size, err);
    if (st != NST_OK || !item->keep.data)
        return st;
    nst_picture_free(job->keep_mask);
    st = nst_picture_from_samples(&job->keep_mask, "keep", &item->keep, size, err);
    job->effective.keep_mask = item->content; /* borrowed; plans count its memory */
    return st;
}

/* Wait until there is memory to read the picture. */
static enum nst_status reserve_reading(const struct nst_picture_job *job,
                                       struct nst_picture_size size,
                                       struct nst_err *err)
{
    struct nst_picture *header;
    enum nst_status st;

    if (!job->runner->reserve_reading || size.header_only ||
        strcmp(job->item->content, "-") == 0)
        return NST_OK;
    size.header_only = true;
    size.all_frames = nst_output_is_animated(job->item->output, job->effective.format);
    st = nst_picture_load(&header, job->item->content, &size, err);
    if (st == NST_OK)
        job->runner->reserve_reading(job->runner->ctx, header->read_bytes);
    nst_picture_free(header);
    return st;
}

enum nst_status nst_picture_job_open_frames(struct nst_picture_job *job,
                                            struct nst_err *err)
{
    struct nst_picture_size size =
        nst_params_load_size(&job->effective, job->runner->session);

    return nst_frame_reader_open(&job->frames, job->item->content,
                                 nst_params_stream(&job->effective), &size, err);
}

/* Several passes read the film several times. */
static enum nst_status check_passes(const struct nst_picture_job *job,
                                    struct nst_err *err)
{
    const char *content = job->item->content;
    bool standard = strcmp(content, "-") == 0;
    struct stat st;

    if (job->effective.passes == 1 ||
        (!standard && (stat(content, &st) != 0 || S_ISREG(st.st_mode))))
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "passes: %lld passes read a film more than once, and %s is read "
                       "once only; give a file, or --passes 1",
                       (long long)job->effective.passes,
                       standard ? "standard input" : content);
}

/* Load the picture, or its first frame if the output can hold several. */
static enum nst_status load_content(struct nst_picture_job *job,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    const struct nst_params *p = &job->effective;
    const char *stream = nst_params_stream(p);
    enum nst_status st;

    if (job->item->picture.data)
        return take_samples(job, size, err);
    st = stream ? NST_OK : reserve_reading(job, *size, err);
    if (st != NST_OK)
        return st;
    if (job->link || (!stream && !nst_output_is_animated(job->item->output, p->format)))
        return nst_picture_load(&job->content, job->item->content, size, err);
    st = check_passes(job, err);
    if (st == NST_OK)
        st = nst_picture_job_open_frames(job, err);
    if (st == NST_OK)
        nst_frame_reader_set_stop(job->frames, job->runner->events->stop,
                                  job->runner->events->ctx);
    if (st == NST_OK)
        st = nst_frame_reader_next(job->frames, &job->content, err);
    if (st == NST_OK && !job->content)
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: contains no frame; did its writer fail?",
                         strcmp(job->item->content, "-") == 0 ? "standard input"
                                                              : job->item->content);
    if (st == NST_OK && nst_frame_reader_count(job->frames) == 1) {
        nst_frame_reader_free(job->frames);
        job->frames = NULL;
    }
    if (st == NST_OK && job->frames && (p->checkpoint || p->resume))
        st =
            nst_err_set(err, NST_ERR_ARG,
                        "%s: has several frames; a checkpoint works for one image only",
                        job->item->content);
    if (st == NST_OK && job->frames && p->preview && nst_series_is_template(p->preview))
        st = nst_err_set(err, NST_ERR_ARG,
                         "%s: has several frames; a preview series works for one image "
                         "only",
                         job->item->content);
    return st;
}

/* Check early that checkpoint, trace and preview can be written. */
static enum nst_status check_outputs(const struct nst_params *p, struct nst_err *err)
{
    struct nst_output *preview = NULL;
    struct nst_atomic_file *checkpoint = NULL, *trace = NULL;
    char *name = NULL;
    enum nst_status st = NST_OK;

    if (p->checkpoint)
        st = nst_atomic_file_open(&checkpoint, p->checkpoint, err);
    if (st == NST_OK && p->trace) {
        st = nst_atomic_file_open(&trace, p->trace, err);
        if (st != NST_OK)
            nst_err_prefix(err, "trace");
    }
    if (st == NST_OK && p->preview) {
        name = nst_series_file_name(p->preview, 0, 0);
        st = nst_output_open(&preview, name, NULL, err);
    }
    nst_atomic_file_free(checkpoint);
    nst_atomic_file_free(trace);
    nst_output_free(preview);
    free(name);
    return st;
}

/* Tell the user that the picture was scaled down: --size may not be known. */
static void report_downscale(const struct nst_picture_job *job)
{
    const struct nst_run_events *events = job->runner->events;
    const struct nst_picture *c = job->content;

    if (events->picture_downscaled && !job->effective.dry_run &&
        nst_longest(c->read_height, c->read_width) > nst_longest(c->height, c->width))
        events->picture_downscaled(events->ctx, job->item, c->read_height,
                                   c->read_width, c->height, c->width);
}

static bool is_black(const struct nst_picture *p)
{
    for (size_t i = 0; i < 3 * nst_picture_pixels(p); i++)
        if (p->rgb[i] > 0)
            return false;
    return true;
}

/* Whether a and b differ in shape by more than the rounding of their sides. */
static bool differ_in_shape(const struct nst_picture *a, const struct nst_picture *b)
{
    double aw = a->read_width, ah = a->read_height;
    double bw = b->read_width, bh = b->read_height;

    return fabs(aw * bh / bw - ah) > 1 && fabs(bw * ah / aw - bh) > 1;
}

/* Tell the user of a mask that may be a mistake. */
static void report_mask(const struct nst_picture_job *job, const struct nst_picture *m,
                        const char *file, const char *effect)
{
    const struct nst_picture *c = job->content;

    if (!m || !m->read_width || !c->read_width)
        return;
    if (is_black(m))
        nst_run_message(job->runner->events, "%s: is black everywhere: %s", file,
                        effect);
    else if (differ_in_shape(m, c))
        nst_run_message(job->runner->events,
                        "%s: is stretched from %dx%d to the shape of %dx%d", file,
                        m->read_width, m->read_height, c->read_width, c->read_height);
}

static void report_masks(const struct nst_picture_job *job)
{
    const struct nst_params *p = &job->effective;

    if (p->quiet)
        return;
    for (int i = 0; i < job->styles.count; i++)
        report_mask(job, job->styles.item[i].mask, p->styles.item[i].mask,
                    "its style is not used");
    report_mask(job, job->keep_mask, p->keep_mask, "nothing is kept");
}

/* Tell the user what of the input the result leaves out. */
static void report_note(const struct nst_picture_job *job)
{
    const char *note = nst_picture_note(job->content);

    if (note && !job->effective.quiet)
        nst_run_message(job->runner->events, "%s: %s",
                        strcmp(job->item->content, "-") == 0 ? "standard input"
                                                             : job->item->content,
                        note);
}

/* Adapt the options of an optimisation to the pictures, and plan it. */
static enum nst_status plan_optimisation(struct nst_picture_job *job,
                                         struct nst_err *err)
{
    const struct nst_picture *c = job->content;
    size_t kept = is_film(job)
                      ? nst_motion_kept_bytes(job->effective.flow, c->height, c->width)
                      : 0;
    struct nst_params *p = &job->effective;
    enum nst_status st = NST_OK;

    if (job->link && job->link->has_params) {
        char *keep_mask = p->keep_mask;

        *p = job->link->params;
        p->keep_mask = keep_mask;
        job->recorded.flow = p->flow;
    } else
        st = nst_adapt_params(p, job->content, &job->styles, job->runner->events, err);
    if (st == NST_OK && p->colour == NST_COLOUR_MATCH && !p->dry_run)
        st = match_colours(job, err);
    if (st == NST_OK)
        st = make_plan(job, err);
    if (st == NST_ERR_MEM && kept > 0) { /* what is kept from frame to frame */
        leave_out_flow(job);
        st = make_plan(job, err);
        if (st == NST_OK)
            say_without_flow(job, kept);
    }
    if (st == NST_OK)
        plan_motion(job);
    return st;
}

enum nst_status nst_picture_job_prepare(struct nst_picture_job *job,
                                        struct nst_err *err)
{
    struct nst_params *p = &job->effective;
    const char *stream = nst_params_stream(p);
    struct nst_picture_size size = nst_params_load_size(p, job->runner->session);
    enum nst_status st = NST_OK;

    if (job->item->output) /* the run will be recorded */
        job->inputs = nst_provenance_inputs(p, job->item->content);
    job->skipped = nst_picture_job_is_done(job);
    if (job->skipped)
        return NST_OK;
    st = nst_picture_job_check_replacement(job, err);
    if (st == NST_OK && job->item->output && p->dry_run)
        st = nst_batch_check_output(job->item, job->runner->to_directory,
                                    stream ? stream : p->format, err);
    else if (st == NST_OK && job->item->output)
        st = nst_output_open(&job->output, job->item->output,
                             stream ? stream : p->format, err);
    if (job->output) {
        nst_output_set_quality(job->output, (int)p->quality);
        nst_output_set_metadata(job->output, (enum nst_metadata_mode)p->metadata);
    }
    if (st == NST_OK)
        st = check_outputs(p, err);
    if (st == NST_OK)
        st = load_shared_inputs(job, &size, err);
    if (st == NST_OK)
        st = load_content(job, &size, err);
    if (st == NST_OK && job->link)
        st = nst_frame_link_open(job->link, job->content, job->item->content, &size,
                                 p->colour == NST_COLOUR_MATCH && !p->dry_run, err);
    if (st == NST_OK && job->link && job->link->before)
        job->frame = job->link->number - 1;
    if (st == NST_OK && !paints_by_net(job))
        st = plan_optimisation(job, err);
    if (st == NST_OK && p->trace &&
        !p->dry_run) /* last, so that a refused run does not overwrite a trace */
        st = nst_trace_open(&job->reporter.trace, p->trace, err);
    if (st == NST_OK)
        report_note(job);
    if (st == NST_OK)
        report_masks(job);
    if (st == NST_OK)
        report_downscale(job);
    if (st == NST_OK && !paints_by_net(job))
        report_plan(job);
    return st;
}
