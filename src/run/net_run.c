/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/net_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "model/paths.h"
#include "net/net.h"
#include "net/net_file.h"
#include "run/level.h"
#include "run/net_film.h"
#include "run/report.h"
#include "style/colour_transfer.h"

/* Small allocations, and freed memory that the C library keeps. */
#define HEADROOM_BYTES ((size_t)8 << 20)
/* The side of the picture that is painted to know the time of another one. */
#define TIMED_SIDE 256
/* Work of a picture that is made in bands of rows, as most rows are made three times.
 */
#define BANDS_COST 2

static enum nst_status find_net(const struct nst_params *p, const char **name,
                                struct nst_err *err)
{
    *name = NULL;
    for (int i = 0; !*name && i < p->styles.count; i++) {
        char *path = nst_find_net(p->styles.item[i].file);

        if (path)
            *name = p->styles.item[i].file;
        free(path);
    }
    if (*name && p->styles.count > 1)
        return nst_err_set(
            err, NST_ERR_ARG,
            "style '%s': is a network that paints in one pass, and cannot "
            "be mixed with other styles; use it alone",
            *name);
    return NST_OK;
}

enum nst_status nst_net_run_params(struct nst_params *p, bool *is_net,
                                   const struct nst_run_events *events,
                                   struct nst_err *err)
{
    const char *name;
    enum nst_status st = find_net(p, &name, err);

    *is_net = name != NULL;
    if (!name || st != NST_OK)
        return st;
    if (p->colour == NST_COLOUR_MATCH)
        return nst_err_set(err, NST_ERR_ARG,
                           "colour: match needs style images, but %s is a network",
                           name);
    if (!p->size_set)
        p->size = 0;
    if (p->square && !p->size)
        return nst_err_set(err, NST_ERR_ARG,
                           "square: requires --size with the network %s", name);
    p->precision = NST_PRECISION_AUTO;
    if (strncmp(p->device, "cuda", 4) == 0 && !p->quiet)
        nst_run_message(events, "networks that paint in one pass run on the CPU");
    if (strcmp(p->device, "auto") != 0 || !getenv("NST_BACKEND"))
        p->device = (char *)"cpu"; /* borrowed */
    return NST_OK;
}

/* Bytes that a picture takes beside the network: the result and the mask, and the other
 * frames of a film. */
static size_t picture_bytes(const struct nst_picture_job *job)
{
    size_t floats = 3 + 2 + (job->frames ? NST_NET_FILM_FLOATS : 0);

    return nst_picture_job_baseline(job).image_bytes +
           floats * nst_picture_pixels(job->content) * sizeof(float);
}

static void report_sizes(const struct nst_picture_job *job)
{
    const struct nst_net_file *f = nst_styles_shared_net(job->runner->styles);
    const struct nst_picture *c = job->content;

    nst_run_message(job->runner->events,
                    "network %s of width %d, content %dx%d, %d threads",
                    job->effective.styles.item[0].file, f->weights.shape.width,
                    c->width, c->height, nst_session_threads(job->runner->session));
}

enum nst_status nst_net_run_plan(struct nst_picture_job *job, struct nst_err *err)
{
    const struct nst_net_file *f = nst_styles_shared_net(job->runner->styles);
    struct nst_session *session = job->runner->session;
    size_t limit = nst_session_memory_limit(session), bytes = 0;
    size_t before = nst_session_resident_memory(session) + picture_bytes(job) +
                    HEADROOM_BYTES + f->weights.count * sizeof(float);
    const struct nst_picture *c = job->content;
    enum nst_status st =
        nst_net_new(&job->net, nst_session_backend(session), &f->weights, err);

    if (st != NST_OK)
        return st;
    job->net_room = before < limit ? limit - before : 1;
    bytes = nst_net_bytes(job->net, c->height, c->width, job->net_room);
    if (!bytes)
        return nst_err_set(err, NST_ERR_MEM,
                           "%dx%d pixels need more than the %zu MiB that are %s; -S N "
                           "paints a smaller picture",
                           c->width, c->height, limit >> 20,
                           job->effective.max_memory ? "allowed (--max-memory)"
                                                     : "available");
    job->plan = (struct nst_plan){.height = c->height,
                                  .width = c->width,
                                  .tile_rows = 1,
                                  .tile_columns = 1,
                                  .memory = before + bytes,
                                  .limit = limit};
    if (job->effective.verbose && !job->effective.quiet)
        report_sizes(job);
    return NST_OK;
}

enum nst_status nst_net_run_estimate(struct nst_picture_job *job,
                                     struct nst_estimate *out, struct nst_err *err)
{
    const struct nst_picture *c = job->content;
    size_t n = 3 * (size_t)TIMED_SIDE * TIMED_SIDE;
    bool bands = nst_net_bytes(job->net, c->height, c->width, 0) > job->net_room;
    double begin = 0, area = (double)TIMED_SIDE * TIMED_SIDE;
    float *pixels;
    enum nst_status st = nst_floats_new(&pixels, 2, n, 1, err);

    *out = (struct nst_estimate){.height = c->height,
                                 .width = c->width,
                                 .feed_forward = true,
                                 .scales = 1,
                                 .longest = {nst_longest(c->height, c->width)},
                                 .iterations = {1},
                                 .network = {job->effective.styles.item[0].file},
                                 .tile_rows = 1,
                                 .tile_columns = 1,
                                 .memory = job->plan.memory,
                                 .limit = job->plan.limit,
                                 .evaluations = 1};
    for (size_t i = 0; st == NST_OK && i < n; i++)
        pixels[i] = (float)(i % 251) / 250;
    for (int i = 0; st == NST_OK && i < 2; i++) { /* the first one allocates */
        begin = nst_clock_seconds();
        st = nst_net_paint(job->net, (struct nst_image){pixels, TIMED_SIDE, TIMED_SIDE},
                           pixels + n, job->net_room, err);
    }
    out->seconds = (nst_clock_seconds() - begin) / area *
                   (double)nst_picture_pixels(c) * (bands ? BANDS_COST : 1);
    free(pixels);
    return st;
}

/* How much of the network's picture each pixel gets: --strength, times the mask of the
 * style, without what --keep-mask keeps. *share: height x width; NULL: all of it. */
static enum nst_status make_share(const struct nst_picture_job *job,
                                  struct nst_size size, float **share,
                                  struct nst_err *err)
{
    size_t n = nst_area(size.height, size.width);
    float strength = (float)job->effective.strength, *keep = NULL;
    enum nst_status st = nst_level_mask(job->styles.item[0].mask, size, share, err);

    if (st == NST_OK)
        st = nst_level_mask(job->keep_mask, size, &keep, err);
    if (st == NST_OK && !*share && (keep || strength < 1)) {
        st = nst_floats_new(share, n, 1, 1, err);
        for (size_t i = 0; st == NST_OK && i < n; i++)
            (*share)[i] = 1;
    }
    for (size_t i = 0; st == NST_OK && *share && i < n; i++)
        (*share)[i] *= strength * (1 - (keep ? keep[i] : 0));
    free(keep);
    return st;
}

/* From the network's picture make the result, within 0..1. */
static void finish(const struct nst_picture_job *job, const struct nst_picture *c,
                   const float *share, float *rgb)
{
    size_t n = nst_picture_pixels(c);

    for (size_t i = 0; i < 3 * n; i++)
        rgb[i] = rgb[i] > 0 ? rgb[i] < 1 ? rgb[i] : 1 : 0; /* NaN gives 0 */
    for (size_t k = 0; share && k < 3; k++)
        for (size_t i = 0; i < n; i++) {
            float photo = c->rgb[k * n + i];

            rgb[k * n + i] = photo + share[i] * (rgb[k * n + i] - photo);
        }
    if (job->effective.colour == NST_COLOUR_CONTENT)
        nst_colour_transfer_luma(rgb, c->rgb, n);
}

/* What painting one frame after the other keeps. */
struct painter {
    struct nst_picture_job *job;
    struct nst_size size; /* of share and spare */
    float *share;         /* or NULL */
    float *spare;         /* an array for the next result, or NULL */
};

/* Paint c into *rgb, a new array. */
static enum nst_status paint(struct painter *p, const struct nst_picture *c,
                             float **rgb, struct nst_err *err)
{
    const struct nst_picture_job *job = p->job;
    struct nst_size size = {c->height, c->width};
    enum nst_status st = NST_OK;

    if (size.height != p->size.height || size.width != p->size.width) {
        free(p->share);
        free(p->spare);
        p->share = p->spare = NULL;
        p->size = size;
        st = make_share(job, size, &p->share, err);
    }
    *rgb = p->spare;
    p->spare = NULL;
    if (st == NST_OK && !*rgb)
        st = nst_floats_new(rgb, 3, nst_picture_pixels(c), 1, err);
    if (st == NST_OK)
        st = nst_net_paint(job->net, nst_picture_image(c), *rgb, job->net_room, err);
    if (st == NST_OK)
        finish(job, c, p->share, *rgb);
    return st;
}

/* Count a painted frame or picture, and tell the caller. */
static void report_painted(struct nst_picture_job *job, const struct nst_picture *c,
                           double seconds)
{
    int count = job->frames ? nst_frame_reader_count(job->frames) : 1;
    struct nst_job_result *r = &job->result;

    r->seconds += seconds;
    r->iterations = r->evaluations = job->frame + 1;
    r->final = (struct nst_evaluation){.evaluation = 1,
                                       .scale = nst_longest(c->height, c->width),
                                       .iteration = 1,
                                       .content_loss = NAN,
                                       .style_loss = NAN,
                                       .total_loss = NAN,
                                       .accepted = true,
                                       .seconds = seconds};
    job->reporter.steps_done = job->reporter.iterations = job->reporter.evaluations =
        job->frame;
    job->reporter.seconds = r->seconds - seconds;
    job->reporter.steps_planned = count;
    job->reporter.fraction = count ? (double)job->frame / count : NAN;
    job->reporter.share = 1.0 / (count ? count : 1);
    job->reporter.frame = job->frames ? job->frame + 1 : 0;
    job->reporter.frames = job->frames ? count : 0;
    nst_report_step(&job->reporter, &r->final, 1, 1);
    r->final = nst_report_total(&job->reporter, &r->final);
    if (job->frame == 0)
        r->first = r->final;
}

/* Paint a frame and hand it to the writer, which takes it over. */
static enum nst_status paint_frame(struct painter *p, struct nst_net_film *film,
                                   struct nst_picture *frame, struct nst_err *err)
{
    double begin = nst_clock_seconds();
    float *rgb = NULL;
    enum nst_status st = paint(p, frame, &rgb, err);

    if (st != NST_OK) {
        free(rgb);
        nst_picture_free(frame);
        return st;
    }
    p->spare = frame->rgb;
    frame->rgb = rgb;
    report_painted(p->job, frame, nst_clock_seconds() - begin);
    p->job->content->height = frame->height;
    p->job->content->width = frame->width;
    nst_net_film_add(film, frame);
    return NST_OK;
}

static enum nst_status paint_frames(struct painter *p, struct nst_err *err)
{
    struct nst_picture_job *job = p->job;
    struct nst_picture *frame = job->content;
    struct nst_net_film *film;
    enum nst_status st, ended;
    struct nst_err why;

    nst_frame_writer_new(&job->writer, job->output, job->frames);
    st = nst_net_film_new(&film, job->frames, job->writer, job->runner->events, err);
    if (st != NST_OK)
        return st;
    job->content = nst_xcalloc(1, sizeof *job->content); /* the size of the result */
    for (job->frame = -1; st == NST_OK && frame; frame = nst_net_film_next(film)) {
        job->frame++;
        st = paint_frame(p, film, frame, err);
        if (st != NST_OK)
            break;
    }
    if (nst_run_should_stop(job->runner->events) &&
        job->frame + 1 != nst_frame_reader_count(job->frames))
        job->result.end = NST_JOB_STOPPED;
    ended = nst_net_film_end(film, &why);
    if (st == NST_OK && ended != NST_OK) {
        st = ended;
        *err = why;
    }
    return st;
}

static bool should_stop(void *events)
{
    return nst_run_should_stop(events);
}

static enum nst_status paint_picture(struct painter *p, struct nst_err *err)
{
    struct nst_picture_job *job = p->job;
    double begin = nst_clock_seconds();
    enum nst_status st;

    nst_net_set_stop(job->net, should_stop, (void *)job->runner->events);
    st = paint(p, job->content, &job->rgb, err);
    if (st != NST_OK)
        return st;
    if (nst_net_stopped(job->net)) { /* there is no picture so far */
        job->result.end = NST_JOB_STOPPED;
        job->result.final.content_loss = job->result.final.style_loss = NAN;
        job->result.final.total_loss = NAN;
        job->cancelled = true;
        return NST_OK;
    }
    report_painted(job, job->content, nst_clock_seconds() - begin);
    if (job->effective.on_interrupt == NST_ON_INTERRUPT_DISCARD &&
        nst_run_should_stop(job->runner->events))
        job->result.end = NST_JOB_STOPPED;
    return NST_OK;
}

enum nst_status nst_net_run_paint(struct nst_picture_job *job, struct nst_err *err)
{
    struct painter p = {.job = job};
    enum nst_status st;

    nst_report_started(&job->reporter);
    st = job->frames ? paint_frames(&p, err) : paint_picture(&p, err);
    free(p.share);
    free(p.spare);
    return st;
}
