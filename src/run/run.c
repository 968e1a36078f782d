/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/run.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "job/regions.h"
#include "job/scales.h"
#include "run/making.h"
#include "run/networks.h"
#include "run/say.h"
#include "run/series.h"

#define MOST_SIDES 64
/* Each side has scratch for all threads, so with many cores there are no more of them
 * than this unless they are asked for. */
#define MANY_SIDES 8
/* And there is this much memory for each: threads and libraries take of it, too. */
#define SIDE_BYTES ((size_t)256 << 20)

struct sides;

/* One that makes pictures, on a thread of its own but for the first. */
struct side {
    struct sides *all;
    struct nst_engine *engine;
    pthread_t thread;
    bool works; /* and is given threads */
    /* bytes that its picture takes, of the process's and a GPU's; 0 between pictures */
    size_t memory, device_memory;
};

struct sides {
    const struct nst_batch *batch;
    const struct nst_params *p;
    const struct nst_run_events *events;
    struct nst_styles_shared *styles;
    struct side side[MOST_SIDES];
    int count, threads;

    pthread_mutex_t lock; /* for what follows, and memory and works of each */
    pthread_cond_t freed; /* memory */
    size_t next;          /* picture to be taken */
    bool hopeless;        /* all that begin would fail for the same reason */
    size_t memory;        /* bytes taken by all */
    struct nst_run_counts *made;
};

/* Give all threads to those that work. */
static void divide(struct sides *s)
{
    int working = 0, at = 0;

    for (int i = 0; i < s->count; i++)
        working += s->side[i].works;
    for (int i = 0; i < s->count; i++)
        if (s->side[i].works) {
            nst_engine_use(s->side[i].engine,
                           s->threads / working + (at < s->threads % working));
            at++;
        }
}

static void work(struct side *one, bool works)
{
    one->works = works;
    divide(one->all);
}

/* What those beside it take of the GPU's memory. */
static size_t device_memory(const struct side *one)
{
    const struct sides *s = one->all;
    size_t sum = 0;

    for (int i = 0; i < s->count; i++)
        if (nst_engine_same_device(s->side[i].engine, one->engine))
            sum += s->side[i].device_memory;
    return sum;
}

/* Nobody else has any memory, or there is room for so much more of either kind. */
static bool fits(const struct side *one, size_t bytes, size_t room,
                 const struct nst_plan *plan)
{
    size_t taken = one->all->memory;

    return taken == 0 ||
           (taken + bytes <= room &&
            device_memory(one) + plan->device_memory <= plan->device_limit);
}

/* Wait until it fits. */
static void take_memory(void *ctx, const struct nst_plan *plan)
{
    struct side *one = ctx;
    struct sides *s = one->all;

    size_t limit = nst_engine_limit(one->engine);
    size_t resident = nst_engine_resident(one->engine);
    size_t room = limit > resident ? limit - resident : 0;
    size_t bytes = plan->memory - resident;

    pthread_mutex_lock(&s->lock);
    if (!fits(one, bytes, room, plan)) {
        work(one, false);
        while (!fits(one, bytes, room, plan))
            pthread_cond_wait(&s->freed, &s->lock);
        work(one, true);
    }
    one->memory = bytes;
    one->device_memory = plan->device_memory;
    s->memory += bytes;
    pthread_mutex_unlock(&s->lock);
}

/* The next picture, or NULL; all is locked. */
static const struct nst_item *take_item(struct sides *s)
{
    if (s->next >= s->batch->items || s->hopeless)
        return NULL;
    if (s->next > 0 && nst_asked_to_stop(s->events)) {
        s->made->stopped = true;
        return NULL;
    }
    return &s->batch->item[s->next++];
}

/* What became of it; all is locked. */
static void count(struct side *one, enum nst_made made, const struct nst_err *err)
{
    struct sides *s = one->all;
    bool failed = made == NST_MADE_FAILED || made == NST_MADE_HOPELESS;

    if (failed && !(s->hopeless && made == NST_MADE_HOPELESS))
        nst_say(s->events, "%s", err->text);
    s->hopeless |= made == NST_MADE_HOPELESS;

    s->memory -= one->memory;
    one->memory = one->device_memory = 0;
    pthread_cond_broadcast(&s->freed);
    s->made->done += made == NST_MADE_DONE || made == NST_MADE_STOPPED;
    s->made->skipped += made == NST_MADE_SKIPPED;
    s->made->failed += failed;
    s->made->stopped |= made == NST_MADE_STOPPED || made == NST_MADE_LEFT;
}

static void *make_pictures(void *ctx)
{
    struct side *one = ctx;
    struct sides *s = one->all;
    const struct nst_maker maker = {.params = s->p,
                                    .engine = one->engine,
                                    .styles = s->styles,
                                    .events = s->events,
                                    .ctx = one,
                                    .take_memory = take_memory};
    const struct nst_item *item;

    pthread_mutex_lock(&s->lock);
    while ((item = take_item(s))) {
        enum nst_made made = NST_MADE_FAILED;
        struct nst_err err;

        pthread_mutex_unlock(&s->lock);
        if (!s->batch->directory || item->pixels || s->p->dry_run ||
            nst_batch_make_folder(item, &err) == NST_OK)
            made = nst_make(&maker, item, &err);
        pthread_mutex_lock(&s->lock);
        count(one, made, &err);
        if (s->events->picture_over)
            s->events->picture_over(s->events->ctx);
    }
    work(one, false);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

enum nst_status nst_run_check(const struct nst_params *p, struct nst_err *err)
{
    if (p->square && p->size == 0)
        return nst_err_set(err, NST_ERR_ARG,
                           "square: cannot be combined with --size native");
    if (p->style_scale != 1 && p->size == 0)
        return nst_err_set(err, NST_ERR_ARG,
                           "style-scale: cannot be combined with --size native");
    if (p->y4m && p->pnm)
        return nst_err_set(err, NST_ERR_ARG, "--pnm and --y4m are mutually exclusive");
    if (nst_params_stream(p) && (p->checkpoint || p->resume))
        return nst_err_set(err, NST_ERR_ARG,
                           "checkpoint: works for one image, not for a stream");
    if (p->compat && (p->checkpoint || p->resume))
        return nst_err_set(err, NST_ERR_ARG, "checkpoint: does not work with --compat");
    if (p->compat && p->preview)
        return nst_err_set(err, NST_ERR_ARG, "preview: does not work with --compat");
    if (p->preview && nst_series_check(p->preview, err) != NST_OK)
        return NST_ERR_ARG;
    if (nst_params_stream(p) && p->preview && nst_series_is(p->preview))
        return nst_err_set(err, NST_ERR_ARG,
                           "preview: a series works for one image, not for a stream");
    if (nst_engine_check(p, err) != NST_OK)
        return NST_ERR_ARG;
    if (nst_scales_check(p, err) != NST_OK)
        return NST_ERR_ARG;
    return nst_regions_check(p, err);
}

/* As many as are asked for, or as there are threads and memory for. */
static int how_many(const struct nst_params *p, size_t items, int threads)
{
    size_t fit = nst_memory_available() / SIDE_BYTES;
    int n = threads < MANY_SIDES ? threads : MANY_SIDES;

    if (fit < (size_t)n)
        n = fit ? (int)fit : 1;
    if (p->dry_run) /* prints one plan after the other */
        return 1;
    if (p->jobs)
        n = (int)p->jobs;
    return items < (size_t)n ? (int)items : n;
}

/* One after the other, sides begin to work: a system that gives no more threads makes
 * do with fewer. */
static void run(struct sides *s)
{
    sigset_t all, before;
    int started = 1;

    for (int i = 0; i < s->count; i++)
        s->side[i].works = true;
    divide(s);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < s->count && pthread_create(&s->side[started].thread, NULL,
                                                make_pictures, &s->side[started]) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_lock(&s->lock);
    for (int i = started; i < s->count; i++)
        work(&s->side[i], false);
    pthread_mutex_unlock(&s->lock);
    make_pictures(&s->side[0]);
    for (int i = 1; i < started; i++)
        pthread_join(s->side[i].thread, NULL);
}

/* Is there more than one picture, or frame, to be made? */
static bool several(const struct sides *s)
{
    return s->batch->items > 1 || nst_params_stream(s->p) ||
           (s->batch->item[0].output &&
            nst_output_animates(s->batch->item[0].output, s->p->format));
}

/* A side on each of the GPUs but the first, up to so many sides, then more on all of
 * these in turn, up to those wanted. Fewer do, too. */
static void open_beside(struct sides *s, int on_gpus, int wanted)
{
    struct nst_engine *first = s->side[0].engine;
    struct nst_err why;
    int opened;

    for (int gpu = 1; gpu < nst_engine_gpus(first) && s->count < on_gpus; gpu++)
        if (nst_engine_on(&s->side[s->count].engine, first, gpu, s->p, &why) == NST_OK)
            s->count++;
        else if (!s->p->quiet)
            nst_say(s->events, "%s; continuing without this GPU", why.text);
    opened = s->count;
    while (s->count < wanted &&
           nst_engine_share(&s->side[s->count].engine,
                            s->side[s->count % opened].engine, NULL) == NST_OK)
        s->count++;
}

/* The engine that the others are made from, with the networks that are used. */
static enum nst_status open_first(struct sides *s, struct nst_err *err)
{
    struct nst_params p = *s->p; /* borrows, but for the model */
    enum nst_status st = nst_networks_used(&p.model, s->p, s->batch, err);

    if (st == NST_OK)
        st = nst_engine_new(&s->side[0].engine, &p, err);
    free(p.model);
    return st;
}

static enum nst_status open_sides(struct sides *s, struct nst_err *err)
{
    enum nst_status st = open_first(s, err);
    struct nst_engine *first = s->side[0].engine;
    int wanted, on_gpus;

    if (st == NST_OK)
        st = nst_styles_shared_new(&s->styles, s->p, first, several(s), err);
    if (st != NST_OK)
        return st;
    if (nst_engine_instead(first) && !s->p->quiet)
        nst_say(s->events, "%s", nst_engine_instead(first));
    s->threads = nst_engine_threads(first);
    wanted = how_many(s->p, s->batch->items, s->threads);
    on_gpus = wanted;
    if (nst_engine_gpus(first) > wanted && !s->p->jobs && !s->p->dry_run)
        on_gpus = nst_engine_gpus(first);
    if ((size_t)on_gpus > s->batch->items)
        on_gpus = (int)s->batch->items;
    s->count = 1;
    open_beside(s, on_gpus, wanted);
    for (int i = 0; i < s->count; i++)
        s->side[i].all = s;
    return NST_OK;
}

static void close_sides(struct sides *s)
{
    for (int i = s->count; i-- > 0;)
        nst_engine_free(s->side[i].engine);
    if (!s->count)
        nst_engine_free(s->side[0].engine);
    nst_styles_shared_free(s->styles);
}

enum nst_status nst_run(const struct nst_batch *b, const struct nst_params *asked,
                        const struct nst_run_events *events, struct nst_run_counts *out,
                        struct nst_err *err)
{
    struct nst_params p = *asked; /* borrows, but for the model */
    enum nst_status st = nst_run_check(asked, err);
    struct sides *s = nst_xcalloc(1, sizeof *s);

    p.model = NULL;
    *out = (struct nst_run_counts){0};
    *s = (struct sides){.batch = b, .p = &p, .events = events, .made = out};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->freed, NULL);
    if (st == NST_OK && !b->items)
        st = nst_err_set(err, NST_ERR_ARG, "no image is given");
    if (st == NST_OK && !p.styles.count)
        st = nst_err_set(err, NST_ERR_ARG, "no style is given");
    if (st == NST_OK)
        st = nst_networks_choose(&p.model, asked, b, events, err);
    if (st == NST_OK)
        st = open_sides(s, err);
    if (st == NST_OK && events->ready)
        events->ready(events->ctx, s->count);
    if (st == NST_OK)
        run(s);
    close_sides(s);
    free(p.model);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->freed);
    free(s);
    return st;
}
