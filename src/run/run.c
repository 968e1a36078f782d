/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/run.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "image/save.h"
#include "run/frame_link.h"
#include "run/net_run.h"
#include "run/networks.h"
#include "run/picture_run.h"
#include "run/pyramid.h"
#include "run/regions.h"
#include "run/report.h"
#include "run/series.h"

#define MAX_WORKERS 64
/* Limit without --jobs: each worker has scratch memory for all threads. */
#define DEFAULT_MAX_WORKERS 8
/* Pictures that take less to be read are read side by side without a reservation. */
#define SMALL_READ_BYTES ((size_t)12 << 20)
/* Memory required per worker: threads and libraries also need some. */
#define WORKER_BYTES ((size_t)256 << 20)

struct worker_pool;

/* A worker processes pictures on its own thread; the first uses the caller's. */
struct worker {
    struct worker_pool *pool;
    struct nst_session *session;
    pthread_t thread;
    bool active; /* gets a share of the threads */
    /* bytes reserved to read its picture, then for its run: host and GPU; 0 between
     * pictures */
    size_t memory, device_memory;
};

struct worker_pool {
    const struct nst_batch *batch;
    const struct nst_params *p;
    const struct nst_run_events *events;
    struct nst_styles_shared *styles;
    struct nst_frame_link link; /* with --frames, which has one worker */
    bool is_net;                /* the style is a feed-forward network */
    atomic_bool history_failed; /* to write a line; reported */
    struct worker worker[MAX_WORKERS];
    int count, threads;

    pthread_mutex_t lock;        /* for all below, and the workers' memory and active */
    pthread_cond_t memory_freed; /* signalled when memory is freed */
    /* The one that reads a picture, or waits for memory to process it. The others only
     * process theirs and will free their memory, so it cannot wait for ever. */
    const struct worker *reader;
    size_t next;   /* next picture */
    bool fatal;    /* all other pictures would fail for the same reason */
    size_t memory; /* bytes reserved by all workers */
    struct nst_run_counts *counts;
};

/* Divide the threads among the active workers. */
static void divide_threads(struct worker_pool *s)
{
    int active_count = 0, position = 0;

    for (int i = 0; i < s->count; i++)
        active_count += s->worker[i].active;
    for (int i = 0; i < s->count; i++)
        if (s->worker[i].active) {
            nst_session_set_threads(s->worker[i].session,
                                    s->threads / active_count +
                                        (position < s->threads % active_count));
            position++;
        }
}

static void set_active(struct worker *w, bool active)
{
    w->active = active;
    divide_threads(w->pool);
}

/* GPU memory that the other workers on this worker's GPU reserve. */
static size_t device_memory_used(const struct worker *w)
{
    const struct worker_pool *s = w->pool;
    size_t sum = 0;

    for (int i = 0; i < s->count; i++)
        if (&s->worker[i] != w &&
            nst_session_same_device(s->worker[i].session, w->session))
            sum += s->worker[i].device_memory;
    return sum;
}

/* Whether the memory that need states is free: no other worker has memory reserved, or
 * enough is left of both kinds. */
static bool fits(const struct worker *w, const struct worker *need, size_t device_limit)
{
    size_t limit = nst_session_memory_limit(w->session);
    size_t resident = nst_session_resident_memory(w->session);
    size_t taken = w->pool->memory - w->memory;

    return taken == 0 || (taken + need->memory + resident <= limit &&
                          device_memory_used(w) + need->device_memory <= device_limit);
}

/* Block until the memory of need is free, and for a reader until no other worker reads;
 * then reserve it. */
static void reserve(struct worker *w, const struct worker *need, size_t device_limit,
                    bool reads)
{
    struct worker_pool *s = w->pool;
    bool waits = false;

    pthread_mutex_lock(&s->lock);
    while ((reads && s->reader) || !fits(w, need, device_limit)) {
        if (!waits)
            set_active(w, false);
        waits = true;
        pthread_cond_wait(&s->memory_freed, &s->lock);
    }
    if (waits)
        set_active(w, true);
    if (reads || s->reader == w)
        s->reader = reads ? w : NULL;
    s->memory += need->memory - w->memory;
    w->memory = need->memory;
    w->device_memory = need->device_memory;
    pthread_cond_broadcast(&s->memory_freed);
    pthread_mutex_unlock(&s->lock);
}

static void reserve_reading(void *ctx, size_t bytes)
{
    const struct worker need = {.memory = bytes};

    if (bytes > SMALL_READ_BYTES)
        reserve(ctx, &need, 0, true);
}

static void reserve_memory(void *ctx, const struct nst_plan *plan)
{
    struct worker *w = ctx;
    const struct worker need = {.memory = plan->memory -
                                          nst_session_resident_memory(w->session),
                                .device_memory = plan->device_memory};

    reserve(w, &need, plan->device_limit, false);
}

/* The next picture, or NULL; called with the lock held. */
static const struct nst_batch_item *next_item(struct worker_pool *s)
{
    if (s->next >= s->batch->items || s->fatal)
        return NULL;
    if (s->next > 0 && nst_run_should_stop(s->events)) {
        s->counts->stopped = true;
        return NULL;
    }
    return &s->batch->item[s->next++];
}

void nst_run_count(struct nst_run_counts *counts, enum nst_outcome outcome)
{
    counts->done += outcome == NST_OUTCOME_DONE;
    counts->interrupted += outcome == NST_OUTCOME_STOPPED;
    counts->skipped += outcome == NST_OUTCOME_SKIPPED;
    counts->failed += outcome == NST_OUTCOME_FAILED || outcome == NST_OUTCOME_FATAL;
    counts->stopped |=
        outcome == NST_OUTCOME_STOPPED || outcome == NST_OUTCOME_CANCELLED;
}

/* Of several failures, a mistake of the user counts most, and then a full disk. */
static void count_failure(struct nst_run_counts *counts, enum nst_status st)
{
    if (counts->status != NST_ERR_ARG &&
        (counts->status != NST_ERR_SPACE || st == NST_ERR_ARG))
        counts->status = st;
}

/* Count and report an outcome and free its memory; called with the lock held. */
static void record_outcome(struct worker *w, const struct nst_batch_item *item,
                           enum nst_outcome outcome, const struct nst_err *err)
{
    struct worker_pool *s = w->pool;
    bool failed = outcome == NST_OUTCOME_FAILED || outcome == NST_OUTCOME_FATAL;

    if (failed)
        count_failure(s->counts, item->found && outcome == NST_OUTCOME_FAILED &&
                                         err->status == NST_ERR_ARG
                                     ? NST_ERR_IO /* nobody wrote its name */
                                     : err->status);
    if (failed && !(s->fatal && outcome == NST_OUTCOME_FATAL))
        nst_run_message(s->events, "%s", err->text);
    s->fatal |= outcome == NST_OUTCOME_FATAL;

    s->memory -= w->memory;
    w->memory = w->device_memory = 0;
    if (s->reader == w)
        s->reader = NULL;
    pthread_cond_broadcast(&s->memory_freed);
    nst_run_count(s->counts, outcome);
}

static void *worker_main(void *ctx)
{
    struct worker *w = ctx;
    struct worker_pool *s = w->pool;
    const struct nst_picture_runner runner = {
        .params = s->p,
        .session = w->session,
        .styles = s->styles,
        .events = s->events,
        .link = s->p->frames && !s->is_net ? &s->link : NULL,
        .to_directory = s->batch->to_directory,
        .history_failed = &s->history_failed,
        .ctx = w,
        .reserve_reading = s->count > 1 ? reserve_reading : NULL,
        .reserve_memory = reserve_memory};
    const struct nst_batch_item *item;

    pthread_mutex_lock(&s->lock);
    while ((item = next_item(s))) {
        enum nst_outcome outcome = NST_OUTCOME_FAILED;
        struct nst_err err;

        pthread_mutex_unlock(&s->lock);
        if (!s->batch->to_directory || item->picture.data || s->p->dry_run ||
            nst_batch_make_directories(item, &err) == NST_OK)
            outcome = nst_picture_run(&runner, item, &err);
        pthread_mutex_lock(&s->lock);
        record_outcome(w, item, outcome, &err);
        if (s->events->picture_done)
            s->events->picture_done(s->events->ctx, item, outcome);
    }
    set_active(w, false);
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
    if (nst_params_stream(p) && p->frames)
        return nst_err_set(err, NST_ERR_ARG,
                           "frames: takes pictures, and --%s reads a stream; give one "
                           "of the two",
                           nst_params_stream(p));
    if (p->frames && p->passes > 1)
        return nst_err_set(err, NST_ERR_ARG,
                           "passes: a film of several files (--frames) has one pass; "
                           "make a stream of them with ffmpeg and use --y4m");
    if (nst_params_stream(p) && (p->checkpoint || p->resume))
        return nst_err_set(err, NST_ERR_ARG,
                           "checkpoint: works for one image, not for a stream");
    if (p->preview && nst_series_check(p->preview, err) != NST_OK)
        return NST_ERR_ARG;
    if (nst_params_stream(p) && p->preview && nst_series_is_template(p->preview))
        return nst_err_set(err, NST_ERR_ARG,
                           "preview: a series works for one image, not for a stream");
    if (nst_session_check(p, err) != NST_OK)
        return NST_ERR_ARG;
    if (nst_pyramid_check(p, err) != NST_OK)
        return NST_ERR_ARG;
    return nst_regions_check(p, err);
}

/* --jobs, or as many workers as threads and memory allow. */
static int worker_count(const struct nst_params *p, size_t items, int threads)
{
    size_t fit = nst_memory_available() / WORKER_BYTES;
    int n = threads < DEFAULT_MAX_WORKERS ? threads : DEFAULT_MAX_WORKERS;

    if (fit < (size_t)n)
        n = fit ? (int)fit : 1;
    if (p->dry_run || p->frames) /* in order */
        return 1;
    if (p->jobs)
        n = (int)p->jobs;
    return items < (size_t)n ? (int)items : n;
}

/* Start the workers. If the system refuses a thread, continue with fewer workers. */
static void run_workers(struct worker_pool *s)
{
    sigset_t all, before;
    int started = 1;

    for (int i = 0; i < s->count; i++)
        s->worker[i].active = true;
    divide_threads(s);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < s->count && pthread_create(&s->worker[started].thread, NULL,
                                                worker_main, &s->worker[started]) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_lock(&s->lock);
    for (int i = started; i < s->count; i++)
        set_active(&s->worker[i], false);
    pthread_mutex_unlock(&s->lock);
    worker_main(&s->worker[0]);
    for (int i = 1; i < started; i++)
        pthread_join(s->worker[i].thread, NULL);
}

/* Open a worker on each further GPU, up to gpu_workers in total, then clones of all
 * these in turn, up to wanted. Failures leave fewer workers. */
static void open_more_workers(struct worker_pool *s, int gpu_workers, int wanted)
{
    struct nst_session *first = s->worker[0].session;
    struct nst_err reason;
    int opened;

    for (int gpu = 1; gpu < nst_session_gpu_count(first) && s->count < gpu_workers;
         gpu++)
        if (nst_session_new_on_gpu(&s->worker[s->count].session, first, gpu, s->p,
                                   &reason) == NST_OK)
            s->count++;
        else if (!s->p->quiet)
            nst_run_message(s->events, "%s; continuing without this GPU", reason.text);
    opened = s->count;
    while (s->count < wanted &&
           nst_session_clone(&s->worker[s->count].session,
                             s->worker[s->count % opened].session, NULL) == NST_OK)
        s->count++;
}

static enum nst_status open_workers(struct worker_pool *s, struct nst_err *err)
{
    const struct nst_batch_item *item = s->batch->item;
    bool several = s->batch->items > 1 || nst_params_stream(s->p) ||
                   (item->output && nst_output_is_animated(item->output, s->p->format));
    struct nst_params p = *s->p; /* borrows all but the model */
    enum nst_status st = NST_OK;
    struct nst_session *first;
    int wanted, gpu_workers;

    /* The session that the others are cloned from, with the networks that are used. */
    p.model = NULL;
    if (s->is_net)
        st = nst_session_new_bare(&s->worker[0].session, &p, err);
    else
        st = nst_networks_used(&p.model, s->p, s->batch, err);
    if (st == NST_OK && !s->is_net)
        st = nst_session_new(&s->worker[0].session, &p, err);
    free(p.model);
    first = s->worker[0].session;
    if (st == NST_OK)
        st = nst_styles_shared_new(&s->styles, s->p, first, several, err);
    if (st != NST_OK)
        return st;
    if (nst_session_fallback_reason(first) && !s->p->quiet)
        nst_run_message(s->events, "%s", nst_session_fallback_reason(first));
    s->threads = nst_session_threads(first);
    wanted = worker_count(s->p, s->batch->items, s->threads);
    gpu_workers = wanted;
    if (nst_session_gpu_count(first) > wanted && !s->p->jobs && !s->p->dry_run &&
        !s->p->frames)
        gpu_workers = nst_session_gpu_count(first);
    if ((size_t)gpu_workers > s->batch->items)
        gpu_workers = (int)s->batch->items;
    s->count = 1;
    open_more_workers(s, gpu_workers, wanted);
    for (int i = 0; i < s->count; i++)
        s->worker[i].pool = s;
    return NST_OK;
}

enum nst_status nst_run(const struct nst_batch *b, const struct nst_params *params,
                        const struct nst_run_events *events, struct nst_run_counts *out,
                        struct nst_err *err)
{
    struct nst_params p = *params; /* borrows all but the model */
    enum nst_status st = nst_run_check(params, err);
    struct worker_pool *s = nst_xcalloc(1, sizeof *s);

    p.model = NULL;
    *out = (struct nst_run_counts){0};
    *s = (struct worker_pool){.batch = b, .p = &p, .events = events, .counts = out};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->memory_freed, NULL);
    if (st == NST_OK && !b->items)
        st = nst_err_set(err, NST_ERR_ARG, "no image is given");
    if (st == NST_OK && !p.styles.count)
        st = nst_err_set(err, NST_ERR_ARG, "no style is given");
    if (st == NST_OK)
        st = nst_net_run_params(&p, &s->is_net, events, err);
    if (st == NST_OK && !s->is_net)
        st = nst_networks_choose(&p.model, params, b, events, err);
    if (st == NST_OK)
        st = open_workers(s, err);
    if (st == NST_OK && events->ready)
        events->ready(events->ctx, s->count);
    if (st == NST_OK)
        run_workers(s);
    for (int i = s->count; i-- > 0;)
        nst_session_free(s->worker[i].session);
    if (!s->count)
        nst_session_free(s->worker[0].session);
    nst_styles_shared_free(s->styles);
    nst_frame_link_clear(&s->link);
    free(p.model);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->memory_freed);
    free(s);
    return st;
}
