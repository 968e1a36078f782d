/* SPDX-License-Identifier: MIT */
/* picture_frames.c - stylises a picture, or the frames of a film one after the other in
 * one or several passes. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "run/frame_link.h"
#include "run/picture_job.h"
#include "run/pyramid.h"
#include "run/report.h"
#include "style/colour_transfer.h"

/* Whether frames will follow the first one. */
static bool is_first_of_several(const struct nst_picture_job *job)
{
    return job->frames || job->link;
}

/* Parameters of the picture, or of a frame of which that share is held, in a pass. A
 * later pass takes half the steps: its frames are nearly what they will be. */
static struct nst_params params_of_frame(const struct nst_picture_job *job, int pass,
                                         int frame, double held)
{
    struct nst_params p = job->effective;

    if (frame > 0 || pass > 0)
        nst_pyramid_warm_start(&p, job->content->height, job->content->width, held);
    else if (is_first_of_several(job))
        nst_pyramid_first_frame(&p, job->content->height, job->content->width);
    if (pass > 0)
        p.iterations = (p.iterations + 1) / 2;
    return p;
}

static struct nst_params frame_params(const struct nst_picture_job *job)
{
    return params_of_frame(job, job->pass, job->frame, job->coherence.held);
}

static int frame_count(const struct nst_picture_job *job)
{
    return job->frames ? nst_frame_reader_count(job->frames) : 1;
}

/* Steps of a frame that is held as a whole. */
static int64_t steps_of(const struct nst_picture_job *job, int pass, int frame)
{
    struct nst_params p = params_of_frame(job, pass, frame, 1);

    return nst_pyramid_iterations(&p, job->content->height, job->content->width);
}

int64_t nst_picture_job_planned_steps(const struct nst_picture_job *job)
{
    int count = frame_count(job);

    if (!count || job->net) /* a network paints each in one step */
        return count;
    if (!job->frames)
        return steps_of(job, 0, job->frame);
    return steps_of(job, 0, 0) + (count - 1) * steps_of(job, 0, 1) +
           (job->effective.passes - 1) * (count - 1) * steps_of(job, 1, 1);
}

/* The part of the work that one frame is; 0 if unknown. */
static double share_of_frame(const struct nst_picture_job *job)
{
    int count = frame_count(job);

    return count ? 1 / (count + (double)(job->effective.passes - 1) * (count - 1)) : 0;
}

/* Stylise the picture or the current frame into job->rgb, without --colour content. */
static enum nst_status stylise(struct nst_picture_job *job, struct nst_err *err)
{
    struct nst_params p = frame_params(job);
    double share = job->frames ? share_of_frame(job) : 1;
    double content_weight, style_weight;
    struct nst_stylise_args s = {
        .session = job->runner->session,
        .reporter = &job->reporter,
        .effective = &p,
        .recorded = &job->recorded,
        .plan = &job->plan,
        .baseline = nst_picture_job_baseline(job),
        .content = job->content,
        .item = job->item,
        .styles = &job->styles,
        .init_image = job->init_image,
        .keep_mask = job->keep_mask,
        .coherence = job->frame > 0 || job->pass > 0 ? &job->coherence : NULL,
        .content_weight = &content_weight,
        .style_weight = &style_weight};
    enum nst_status st;

    job->reporter.evaluations = job->totals.evaluations;
    job->reporter.iterations = job->totals.iterations;
    job->reporter.seconds = job->totals.seconds;
    job->reporter.steps_done = job->steps_done;
    job->reporter.steps_planned = nst_picture_job_planned_steps(job);
    job->reporter.fraction = share > 0 ? job->frames_done * share : NAN;
    job->reporter.share = share > 0 ? share : 1;
    job->reporter.frame = job->frames ? job->frame + 1 : 0;
    job->reporter.frames = job->frames ? frame_count(job) : 0;
    st = nst_stylise(&s, &job->rgb, &job->result, err);
    if (st == NST_OK && (job->frames || job->link) && p.adaptive != NST_ADAPTIVE_NONE) {
        /* --adaptive ends with the first frame: all others aim at the same */
        job->effective.content_weight = content_weight;
        job->effective.style_weight = style_weight;
        job->effective.adaptive = NST_ADAPTIVE_NONE;
    }
    return st;
}

static void apply_content_colours(const struct nst_picture_job *job, float *rgb)
{
    if (job->effective.colour == NST_COLOUR_CONTENT)
        nst_colour_transfer_luma(rgb, job->content->rgb,
                                 nst_picture_pixels(job->content));
}

/* A copy of colours of the size of a picture, which belongs to the caller. */
static enum nst_status copy_picture(float **out, const float *rgb,
                                    const struct nst_picture *size, struct nst_err *err)
{
    size_t n = 3 * nst_picture_pixels(size);
    enum nst_status st = nst_floats_new(out, n, 1, 1, err);

    if (st == NST_OK)
        memcpy(*out, rgb, n * sizeof **out);
    return st;
}

static enum nst_status write_frame(struct nst_picture_job *job, struct nst_err *err)
{
    float *rgb;
    enum nst_status st = copy_picture(&rgb, job->rgb, job->content, err);

    if (st == NST_OK) {
        apply_content_colours(job, rgb);
        st = nst_frame_writer_add(job->writer, job->content, rgb, err);
    }
    free(rgb);
    return st;
}

/* Write the current frame, or store it for the next pass. Add its result to the totals.
 */
static enum nst_status finish_frame(struct nst_picture_job *job, struct nst_err *err)
{
    struct nst_params p = frame_params(job);
    enum nst_status st = NST_OK;

    if (!job->store)
        st = write_frame(job, err);
    else if (job->pass == 0)
        st = nst_frame_store_put(job->store, job->frame, NST_FRAME_CONTENT,
                                 job->content->rgb, err);
    if (st == NST_OK && job->store)
        st = nst_frame_store_put(job->store, job->frame, NST_FRAME_RESULT, job->rgb,
                                 err);
    if (job->frames_done > 0)
        job->result.first = job->totals.first;
    job->result.iterations += job->totals.iterations;
    job->result.evaluations += job->totals.evaluations;
    job->result.seconds += job->totals.seconds;
    job->totals = job->result;
    job->steps_done +=
        nst_pyramid_iterations(&p, job->content->height, job->content->width);
    job->frames_done++;
    return st;
}

/* Let the current frame start from neighbour, another frame whose result is job->rgb,
 * which is taken over. */
static enum nst_status follow_neighbour(struct nst_picture_job *job, int neighbour,
                                        const float *neighbour_content,
                                        struct nst_err *err)
{
    int h = job->content->height, w = job->content->width;
    struct nst_threads *threads = nst_session_pool(job->runner->session);
    float *result = job->rgb;
    enum nst_status st =
        nst_motion_find(&job->motion, job->effective.flow,
                        (struct nst_frame_pair){neighbour + 1, job->frame + 1},
                        (struct nst_image){neighbour_content, h, w},
                        (struct nst_image){job->content->rgb, h, w}, threads, err);

    if (st == NST_OK) {
        job->rgb = NULL;
        st = nst_coherence_update(&job->coherence, result, neighbour_content,
                                  job->content->rgb, &job->motion, h, w, threads, err);
    }
    return st;
}

/* The next frame, or NULL after the last; all have the size of the content. */
static enum nst_status read_frame(struct nst_picture_job *job, struct nst_picture **out,
                                  struct nst_err *err)
{
    int h = job->content->height, w = job->content->width;
    enum nst_status st = nst_frame_reader_next(job->frames, out, err);

    if (st != NST_OK || !*out || ((*out)->height == h && (*out)->width == w))
        return st;
    st = nst_err_set(err, NST_ERR_FORMAT,
                     "%s: frame %d has %dx%d pixels, and those before it %dx%d; all "
                     "frames of a film have one size",
                     strcmp(job->item->content, "-") == 0 ? "standard input"
                                                          : job->item->content,
                     job->frame + 2, (*out)->width, (*out)->height, w, h);
    nst_picture_free(*out);
    *out = NULL;
    return st;
}

/* Make the next frame the content; *more is false after the last. */
static enum nst_status next_frame(struct nst_picture_job *job, bool *more,
                                  struct nst_err *err)
{
    struct nst_picture *next, *before = job->content;
    enum nst_status st;

    *more = false;
    if (job->result.end == NST_JOB_STOPPED) /* do not wait for another frame */
        return NST_OK;
    st = read_frame(job, &next, err);
    if (st != NST_OK &&
        nst_run_should_stop(job->runner->events)) { /* stopped during the wait */
        job->result.end = NST_JOB_STOPPED;
        return NST_OK;
    }
    *more = st == NST_OK && next;
    if (!*more)
        return st;
    job->content = next;
    job->frame++;
    st = follow_neighbour(job, job->frame - 1, before->rgb, err);
    nst_picture_free(before);
    return st;
}

static enum nst_status stylise_in_order(struct nst_picture_job *job,
                                        struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (bool more = true; more && st == NST_OK;) {
        st = stylise(job, err);
        if (st == NST_OK)
            st = finish_frame(job, err);
        if (st == NST_OK)
            st = next_frame(job, &more, err);
    }
    return st;
}

/* Let a stored frame start half from its result and half from that of its neighbour in
 * job->rgb, where it shows the same (Ruder et al. 2016, section 3.4). */
static enum nst_status revisit_frame(struct nst_picture_job *job, int neighbour,
                                     struct nst_err *err)
{
    size_t n = nst_picture_pixels(job->content);
    struct nst_coherence *f = &job->coherence;
    float *own = NULL, *content = NULL;
    enum nst_status st =
        nst_frame_store_get(job->store, neighbour, NST_FRAME_CONTENT, &content, err);

    free(job->content->rgb);
    job->content->rgb = NULL;
    if (st == NST_OK)
        st = nst_frame_store_get(job->store, job->frame, NST_FRAME_CONTENT,
                                 &job->content->rgb, err);
    if (st == NST_OK)
        st = follow_neighbour(job, neighbour, content, err);
    free(content);
    if (st == NST_OK)
        st = nst_frame_store_get(job->store, job->frame, NST_FRAME_RESULT, &own, err);
    for (size_t i = 0; st == NST_OK && i < 3 * n; i++)
        f->warm_start[i] =
            own[i] + f->static_mask[i % n] / 2 * (f->previous[i] - own[i]);
    free(own);
    if (st == NST_OK)
        st = stylise(job, err);
    return st == NST_OK ? finish_frame(job, err) : st;
}

/* A pass over the stored frames, of which the first one keeps its result. */
static enum nst_status stylise_again(struct nst_picture_job *job, int count,
                                     struct nst_err *err)
{
    int step = job->pass % 2 ? -1 : 1;
    int frame = step > 0 ? 0 : count - 1;
    enum nst_status st;

    free(job->rgb);
    st = nst_frame_store_get(job->store, frame, NST_FRAME_RESULT, &job->rgb, err);
    for (int i = 1; st == NST_OK && i < count && job->result.end != NST_JOB_STOPPED;
         i++) {
        job->frame = frame + i * step;
        st = revisit_frame(job, job->frame - step, err);
    }
    return st;
}

/* Read the film again for what the store does not keep of its frames. */
static enum nst_status write_stored_frames(struct nst_picture_job *job, int count,
                                           struct nst_err *err)
{
    enum nst_status st;

    nst_frame_reader_free(job->frames);
    st = nst_picture_job_open_frames(job, err);
    if (st == NST_OK)
        nst_frame_writer_new(&job->writer, job->output, job->frames);
    for (int i = 0; st == NST_OK && i < count; i++) {
        struct nst_picture *next;

        job->frame = i - 1;
        free(job->rgb);
        job->rgb = NULL;
        st = read_frame(job, &next, err);
        if (st == NST_OK && !next)
            st = nst_err_set(err, NST_ERR_FORMAT,
                             "%s: has lost frames since it was read",
                             job->item->content);
        if (st != NST_OK)
            break;
        nst_picture_free(job->content);
        job->content = next;
        st = nst_frame_store_get(job->store, i, NST_FRAME_RESULT, &job->rgb, err);
        if (st == NST_OK)
            st = write_frame(job, err);
        job->frame = i;
    }
    return st;
}

static enum nst_status stylise_frames(struct nst_picture_job *job, struct nst_err *err)
{
    enum nst_status st = NST_OK;
    int count;

    if (job->effective.passes == 1) {
        nst_frame_writer_new(&job->writer, job->output, job->frames);
        return stylise_in_order(job, err);
    }
    st = nst_frame_store_new(&job->store, job->content->height, job->content->width,
                             err);
    if (st == NST_OK)
        st = stylise_in_order(job, err);
    count = job->frame + 1;
    for (job->pass = 1; st == NST_OK && job->pass < job->effective.passes &&
                        job->result.end != NST_JOB_STOPPED;
         job->pass++)
        st = stylise_again(job, count, err);
    return st == NST_OK ? write_stored_frames(job, count, err) : st;
}

/* Let the picture start from the frame before it, if there is one. */
static enum nst_status follow_link(struct nst_picture_job *job, struct nst_err *err)
{
    struct nst_frame_link *l = job->link;
    enum nst_status st;

    if (!l || !l->before)
        return NST_OK;
    job->motion = l->motion;
    l->motion = (struct nst_motion){NULL};
    st = copy_picture(&job->rgb, l->result, job->content, err);
    if (st == NST_OK)
        st = follow_neighbour(job, l->before - 1, l->content, err);
    return st;
}

void nst_picture_job_pass_on(struct nst_picture_job *job)
{
    nst_frame_link_pass(job->link, &job->effective, job->content, &job->painted,
                        &job->motion, job->effective.colour == NST_COLOUR_MATCH);
}

enum nst_status nst_picture_job_stylise(struct nst_picture_job *job,
                                        struct nst_err *err)
{
    enum nst_status st;

    if (job->frames)
        return stylise_frames(job, err);
    st = follow_link(job, err);
    if (st == NST_OK)
        st = stylise(job, err);
    if (st == NST_OK && job->link)
        st = copy_picture(&job->painted, job->rgb, job->content, err);
    if (st == NST_OK)
        apply_content_colours(job, job->rgb);
    return st;
}
