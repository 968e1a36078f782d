/* SPDX-License-Identifier: MIT */
/* prepare.c - what one picture's run needs, read and planned before it begins. */
#include "config.h"

#include "run/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/place.h"
#include "job/colours.h"
#include "job/scales.h"
#include "run/adapt.h"
#include "run/scale.h"
#include "run/say.h"
#include "run/series.h"

/* What the plan takes from the user, who did not ask for it. */
static void say_plan(struct nst_work *w)
{
    const struct nst_plan *plan = &w->plan;
    size_t limit = (plan->device_limit ? plan->device_limit : plan->limit) >> 20;

    if (!w->p.quiet && !w->p.dry_run && !w->p.tile && plan->tile)
        nst_say(w->maker->events, "using %d x %d tiles to stay within %zu MiB%s",
                plan->tile_columns, plan->tile_rows, limit,
                plan->recompute_content ? " and recomputing content features" : "");
    if (!w->p.quiet && !w->p.dry_run && plan->curvature_pairs < w->p.curvature_pairs)
        nst_say(w->maker->events,
                "keeping %d of %lld curvature pairs to stay within %zu MiB",
                plan->curvature_pairs, (long long)w->p.curvature_pairs, limit);
    nst_plan_apply(plan, &w->p);
    nst_plan_apply(plan, &w->asked);
}

size_t nst_work_pixels(const struct nst_picture *p)
{
    return (size_t)p->height * (size_t)p->width;
}

struct nst_held nst_work_held(const struct nst_work *w)
{
    return (struct nst_held){
        .pictures = nst_picture_bytes(w->content) + nst_picture_bytes(w->init) +
                    nst_picture_bytes(w->keep) + nst_styles_bytes(&w->styles) +
                    (w->frames ? 6 * nst_work_pixels(w->content) * sizeof(float) : 0),
        .film = w->frames != NULL};
}

/* Plan a scale for a run by p. */
static enum nst_status plan_scale(const struct nst_work *w, const struct nst_params *p,
                                  double part, struct nst_plan *plan,
                                  struct nst_err *err)
{
    const struct nst_picture *c = w->content;
    struct nst_at_scale at = {.p = p, .part = part};
    int border = 2 * nst_border(p), height, width;

    nst_scale_style_sizes(&at, &w->styles, &height, &width);
    return nst_plan_make(plan, w->maker->engine, p, nst_work_held(w),
                         nst_scaled(&at, c->height) + border,
                         nst_scaled(&at, c->width) + border, height, width, err);
}

/* Plan the largest scale of each network for a run by p: *plan is that of the last, its
 * memory that of whichever takes most. What was decided for the others is in *least:
 * the smallest tile, and the fewest pairs. */
static enum nst_status plan_networks(const struct nst_work *w,
                                     const struct nst_params *p, struct nst_plan *plan,
                                     struct nst_plan *least, struct nst_err *err)
{
    const struct nst_network *above = NULL;
    struct nst_scale scale[NST_LIST_MAX];
    int scales = nst_scales(p, w->content->height, w->content->width, scale);
    enum nst_status st = NST_OK;

    for (int i = scales - 1; st == NST_OK && i >= 0; i--) {
        const struct nst_network *n =
            nst_engine_network(w->maker->engine, scale[i].longest);
        double part = (double)scale[i].longest / scale[scales - 1].longest;
        struct nst_plan one;

        if (n == above)
            continue;
        st = plan_scale(w, p, part, &one, err);
        if (st != NST_OK)
            break;
        if (!above)
            *plan = *least = one;
        if (one.tile && (!least->tile || one.tile < least->tile))
            least->tile = one.tile;
        if (one.curvature_pairs < least->curvature_pairs)
            least->curvature_pairs = one.curvature_pairs;
        if (one.memory > plan->memory)
            plan->memory = one.memory;
        if (one.device_memory > plan->device_memory)
            plan->device_memory = one.device_memory;
        above = n;
    }
    return st;
}

/* Tiles and pairs are the same for all scales, so what one network needs of them, the
 * others get. */
static enum nst_status make_plan(struct nst_work *w, struct nst_err *err)
{
    struct nst_params p = w->p;
    struct nst_plan least;
    enum nst_status st = plan_networks(w, &p, &w->plan, &least, err);

    if (st != NST_OK || (least.tile == w->plan.tile &&
                         least.curvature_pairs == w->plan.curvature_pairs))
        return st;
    nst_plan_apply(&least, &p);
    return plan_networks(w, &p, &w->plan, &least, err);
}

enum nst_status nst_work_match_colours(struct nst_work *w, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < w->styles.count; i++) {
        struct nst_picture *style;

        st = nst_styles_picture(&w->styles, i, &style, err);
        if (st != NST_OK)
            break;
        nst_colours_match(style->rgb, nst_work_pixels(style), w->content->rgb,
                          nst_work_pixels(w->content));
        free(style->small.rgb); /* which has the colours of before */
        style->small.rgb = NULL;
    }
    return st;
}

static void say_sizes(const struct nst_work *w)
{
    const struct nst_network *n;
    char size[32] = "pack", *models = nst_xstrdup("");

    for (int i = 0; (n = nst_engine_networks(w->maker->engine, i)); i++) {
        char *longer = n->upto
                           ? nst_xasprintf("%s%s up to %d, ", models, n->path, n->upto)
                           : nst_xasprintf("%s%s", models, n->path);

        free(models);
        models = longer;
    }
    if (!w->styles.of[0].pack)
        snprintf(size, sizeof size, "%dx%d", w->styles.of[0].width,
                 w->styles.of[0].height);
    nst_say(w->maker->events, "model %s, content %dx%d, style %s, %d threads", models,
            w->content->width, w->content->height, size,
            nst_engine_threads(w->maker->engine));
    free(models);
}

struct nst_record nst_work_record(const struct nst_work *w)
{
    return (struct nst_record){.params = &w->asked,
                               .content = w->item->content,
                               .output = w->item->output,
                               .engine = w->maker->engine,
                               .inputs = w->inputs,
                               .width = w->content ? w->content->width : 0,
                               .height = w->content ? w->content->height : 0,
                               .frames = w->frames ? w->frame + 1 : 0,
                               .result = &w->result};
}

/* Is the result there already? */
static bool is_done(const struct nst_work *w)
{
    struct nst_record record = nst_work_record(w);
    char *comment;
    bool done;

    if (!w->p.skip_done || !w->item->output || strcmp(w->item->output, "-") == 0)
        return false;
    comment = nst_picture_comment(w->item->output);
    done = nst_record_matches(&record, comment);
    free(comment);
    if (done && !w->p.quiet)
        nst_say(w->maker->events, "%s: is up to date; skipped", w->item->output);
    return done;
}

/* What all pictures need as well: if it cannot be had, nothing can. */
static enum nst_status read_common(struct nst_work *w,
                                   const struct nst_picture_size *size,
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

static enum nst_status take_pixels(struct nst_work *w, struct nst_err *err)
{
    const struct nst_item *item = w->item;
    size_t h = (size_t)item->height, width = (size_t)item->width;
    enum nst_status st;

    if (item->height < NST_PICTURE_MIN_SIDE || item->width < NST_PICTURE_MIN_SIDE)
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: %d x %d pixels; at least %d x %d are required",
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
static enum nst_status read_content(struct nst_work *w,
                                    const struct nst_picture_size *size,
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
        st = nst_err_set(err, NST_ERR_FORMAT, "%s: contains no frame",
                         strcmp(w->item->content, "-") == 0 ? "standard input"
                                                            : w->item->content);
    if (st == NST_OK && nst_frames_count(w->frames) == 1) {
        nst_frames_free(w->frames);
        w->frames = NULL;
    }
    if (st == NST_OK && w->frames && (p->checkpoint || p->resume))
        st =
            nst_err_set(err, NST_ERR_ARG,
                        "%s: has several frames; a checkpoint works for one image only",
                        w->item->content);
    if (st == NST_OK && w->frames && p->preview && nst_series_is(p->preview))
        st = nst_err_set(err, NST_ERR_ARG,
                         "%s: has several frames; a preview series works for one image "
                         "only",
                         w->item->content);
    return st;
}

/* That what is written on the way can be, shows at once, too. */
static enum nst_status try_places(const struct nst_params *p, struct nst_err *err)
{
    struct nst_output *preview = NULL;
    struct nst_place *checkpoint = NULL;
    char *name = NULL;
    enum nst_status st = NST_OK;

    if (p->checkpoint)
        st = nst_place_open(&checkpoint, p->checkpoint, err);
    if (st == NST_OK && p->preview) {
        name = nst_series_name(p->preview, 0, 0);
        st = nst_output_open(&preview, name, NULL, err);
    }
    nst_place_free(checkpoint);
    nst_output_free(preview);
    free(name);
    return st;
}

/* Who has a large picture may not know that there is a size to ask for. */
static void tell_shrunk(const struct nst_work *w)
{
    const struct nst_run_events *events = w->maker->events;
    const struct nst_picture *c = w->content;
    int from = c->read_height > c->read_width ? c->read_height : c->read_width;
    int to = c->height > c->width ? c->height : c->width;

    if (events->picture_shrunk && from >= 2 * to && !w->p.dry_run)
        events->picture_shrunk(events->ctx, c->read_height, c->read_width, c->height,
                               c->width);
}

enum nst_status nst_work_prepare(struct nst_work *w, struct nst_err *err)
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
    if (w->output)
        nst_output_set_quality(w->output, (int)p->quality);
    if (st == NST_OK && !p->dry_run)
        st = try_places(p, err);
    if (st == NST_OK)
        st = read_common(w, &size, err);
    if (st == NST_OK)
        st = read_content(w, &size, err);
    if (st == NST_OK)
        st = nst_adapt(p, w->content, &w->styles, w->maker->events, err);
    if (st == NST_OK && p->colour == NST_COLOUR_MATCH && !p->dry_run)
        st = nst_work_match_colours(w, err);
    if (st == NST_OK)
        st = make_plan(w, err);
    if (st == NST_OK && p->trace &&
        !p->dry_run) /* last: a refused run spares the trace of another */
        st = nst_trace_open(&w->trace, p->trace, err);
    if (st == NST_OK)
        tell_shrunk(w);
    if (st == NST_OK)
        say_plan(w);
    if (st == NST_OK && p->verbose && !p->quiet)
        say_sizes(w);
    return st;
}
