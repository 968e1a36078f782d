/* SPDX-License-Identifier: MIT */
/*
 * A worker of the queue on Redis (scripts.h): threads that each take a task and run one
 * nst at a time, and one that says for all of them that they are alive and how far they
 * are. It may be killed at any moment, or cut off from Redis: then another worker goes
 * on from the checkpoint in the folder of work, and what this one still does to the
 * task counts for nothing.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/log.h"
#include "serve/queue.h"
#include "serve/queue_redis.h"
#include "serve/redis.h"
#include "serve/scripts.h"
#include "serve/store.h"

#define TICK_MS 200   /* steps are told at most that often */
#define BEATS_TICKS 2 /* and that a task is alive, at least */
#define TIDY_TICKS 10
#define LOOK_MS 1000      /* how often it is asked for tasks, if nobody says */
#define RECORD_MS 200     /* how often it is tried to say what came of one */
#define PATIENCE_TRIES 25 /* of those, once the worker ends */
#define TEXT_SIZE 32

/* A task that this worker makes. */
struct held {
    struct serve_task task;
    struct serve_making making;
    char *holder, *result;
    bool told; /* its latest step */
    bool lost;
};

/* What is said of one while its lock is free. */
struct beat {
    char id[SERVE_TASK_ID + 1], holder[SERVE_TASK_ID + 1];
    char *step;
};

static struct {
    const struct serve_settings *settings;
    char *consumer;
    char lease_ms[TEXT_SIZE], kept[TEXT_SIZE];
    pthread_t thread[SERVE_TASKS_MOST], listener, beater;
    unsigned threads;
    bool listens, beats;
    atomic_bool ended; /* for those that listen and beat */

    pthread_mutex_t taking;     /* one thread asks for tasks at a time */
    pthread_mutex_t lock;       /* for what follows */
    pthread_cond_t news, pulse; /* a task may wait; say something at once */
    bool is_news, is_pulse;
    struct held *held[SERVE_TASKS_MOST];
    unsigned working;
    bool ending, stopping; /* no more are begun; those that run are to stop */
} all = {.taking = PTHREAD_MUTEX_INITIALIZER,
         .lock = PTHREAD_MUTEX_INITIALIZER,
         .news = PTHREAD_COND_INITIALIZER,
         .pulse = PTHREAD_COND_INITIALIZER};

/* All is locked. Until it is signalled, but no longer than that. */
static void wait_for(pthread_cond_t *cond, long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until); /* the other one may be set back */
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_clockwait(cond, &all.lock, CLOCK_MONOTONIC, &until);
}

/* A message: a task waits, or one that may be held here was lost. */
static void on_message(const char *id)
{
    pthread_mutex_lock(&all.lock);
    if (!id || !*id) {
        all.is_news = true;
        pthread_cond_broadcast(&all.news);
    }
    if (!id || *id) {
        all.is_pulse = true;
        pthread_cond_signal(&all.pulse);
    }
    pthread_mutex_unlock(&all.lock);
}

static void *listen_on(void *none)
{
    (void)none;
    serve_redis_listen(SERVE_WORK, on_message, &all.ended);
    return NULL;
}

/* What there is to say; all is locked. */
static unsigned collect(struct beat *beats, bool everybody)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SERVE_TASKS_MOST; i++) {
        struct held *h = all.held[i];

        if (!h || h->lost || (h->told && !everybody))
            continue;
        memcpy(beats[n].id, h->task.id, sizeof beats[n].id);
        memcpy(beats[n].holder, h->holder, sizeof beats[n].holder);
        beats[n++].step = h->told ? nst_xstrdup("") : serve_step_text(&h->task.step);
        h->told = true;
    }
    return n;
}

/* It is another's now, or over. */
static void lose(const char *holder)
{
    pthread_mutex_lock(&all.lock);
    for (unsigned i = 0; i < SERVE_TASKS_MOST; i++)
        if (all.held[i] && strcmp(all.held[i]->holder, holder) == 0) {
            all.held[i]->lost = true;
            atomic_store(&all.held[i]->making.cancelled, true);
        }
    pthread_mutex_unlock(&all.lock);
}

static bool is_lost(const redisReply *r)
{
    return r && r->type == REDIS_REPLY_INTEGER && r->integer == 0;
}

static void say(struct beat *b)
{
    redisReply *r = serve_redis_run(serve_script_beat, b->id, b->holder, all.consumer,
                                    b->step, NULL);

    if (is_lost(r))
        lose(b->holder);
    if (r)
        freeReplyObject(r);
    free(b->step);
}

static void *beat(void *none)
{
    struct beat beats[SERVE_TASKS_MOST];

    (void)none;
    for (unsigned tick = 0; !atomic_load(&all.ended); tick++) {
        unsigned n;

        pthread_mutex_lock(&all.lock);
        if (!all.is_pulse)
            wait_for(&all.pulse, TICK_MS);
        n = collect(beats, all.is_pulse || tick % BEATS_TICKS == 0);
        all.is_pulse = false;
        pthread_mutex_unlock(&all.lock);
        for (unsigned i = 0; i < n; i++)
            say(&beats[i]);
        if (tick % TIDY_TICKS == 0)
            serve_redis_tidy();
    }
    return NULL;
}

/* serve_making.tell */
static void on_step(void *ctx, const struct serve_step *step)
{
    struct held *h = ctx;

    pthread_mutex_lock(&all.lock);
    h->task.step = *step;
    h->told = false;
    pthread_mutex_unlock(&all.lock);
}

/* A task, with what is needed to make it; NULL if none waits. */
static struct held *take(void)
{
    struct held *h = nst_xcalloc(1, sizeof *h);
    redisReply *r;

    h->holder = serve_store_new_name("");
    h->told = true;
    r = serve_redis_run(serve_script_take, all.consumer, h->holder, all.lease_ms, NULL);
    if (r && serve_row_read(&h->task, r)) {
        if (r->elements > 6 && strcmp(r->element[6]->str, "running") == 0)
            serve_log(SERVE_WARNING, "task %s: its worker is gone; continuing here",
                      h->task.id);
    } else {
        if (r && r->type == REDIS_REPLY_ARRAY)
            serve_log(SERVE_ERROR, "the queue contains an invalid task");
        free(h->holder);
        free(h);
        h = NULL;
    }
    if (r)
        freeReplyObject(r);
    return h;
}

/* The next task, waited for; NULL when no more are to be begun. */
static struct held *next(void)
{
    struct held *h = NULL;
    bool ending;

    pthread_mutex_lock(&all.taking);
    do {
        pthread_mutex_lock(&all.lock);
        if (!all.ending && !all.is_news)
            wait_for(&all.news, LOOK_MS);
        all.is_news = false;
        ending = all.ending;
        pthread_mutex_unlock(&all.lock);
        if (!ending)
            h = take();
    } while (!h && !ending);
    pthread_mutex_lock(&all.lock);
    all.is_news = true; /* perhaps there is one more */
    pthread_mutex_unlock(&all.lock);
    pthread_mutex_unlock(&all.taking);
    return h;
}

static void hold(struct held *h)
{
    unsigned i = 0;

    pthread_mutex_lock(&all.lock);
    while (all.held[i]) /* there are no more threads than places */
        i++;
    all.held[i] = h;
    h->making.share = ++all.working;
    h->making.stop = all.stopping;
    pthread_mutex_unlock(&all.lock);
}

static void let_go(const struct held *h)
{
    pthread_mutex_lock(&all.lock);
    for (unsigned i = 0; i < SERVE_TASKS_MOST; i++)
        if (all.held[i] == h)
            all.held[i] = NULL;
    all.working--;
    pthread_mutex_unlock(&all.lock);
}

static bool is_there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* A result that is there was made by a worker that could not say so, or by one that
 * this task was taken from while both were at it. */
static void make(struct held *h, struct serve_outcome *o)
{
    *o = (struct serve_outcome){
        .end = SERVE_MADE, .content_loss = NAN, .style_loss = NAN};
    if (is_there(h->result))
        return;
    serve_make(&h->making, all.settings, o);
    if (o->end != SERVE_MADE && is_there(h->result)) {
        free(o->error);
        *o = (struct serve_outcome){
            .end = SERVE_MADE, .content_loss = NAN, .style_loss = NAN};
    }
}

static redisReply *send_end(const struct held *h, enum serve_state state,
                            const struct serve_outcome *o)
{
    char *record = json_dumps(h->task.record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    char seconds[TEXT_SIZE];
    redisReply *r;

    snprintf(seconds, sizeof seconds, "%.6f",
             state == SERVE_COMPLETED && isfinite(o->seconds) ? o->seconds : 0.0);
    r = serve_redis_run(serve_script_end, h->task.id, h->holder,
                        serve_state_names[state], record, seconds, all.kept, NULL);
    free(record);
    return r;
}

static redisReply *send_release(const struct held *h, const struct serve_outcome *o)
{
    char attempts[TEXT_SIZE];

    snprintf(attempts, sizeof attempts, "%u", h->task.attempts);
    return serve_redis_run(serve_script_release, h->task.id, h->holder, attempts,
                           o->end == SERVE_CRASHED ? "1" : "0", NULL);
}

/* Not while it is wanted that this process ends. */
static bool may_wait(int tries)
{
    bool may;

    pthread_mutex_lock(&all.lock);
    may = !all.stopping || tries < PATIENCE_TRIES;
    pthread_mutex_unlock(&all.lock);
    return may;
}

/* Say what became of it, as long as that takes; the lease goes on meanwhile. */
static bool record(struct held *h, enum serve_state state,
                   const struct serve_outcome *o)
{
    redisReply *r = NULL;
    bool done;

    for (int tries = 0; !r && may_wait(tries); tries++) {
        if (tries > 0)
            nanosleep(&(struct timespec){.tv_nsec = RECORD_MS * 1000000L}, NULL);
        r = state == SERVE_QUEUED ? send_release(h, o) : send_end(h, state, o);
    }
    done = r && !is_lost(r);
    if (r)
        freeReplyObject(r);
    return done;
}

static void settle(struct held *h, const struct serve_outcome *o)
{
    bool lost;
    enum serve_state state;

    pthread_mutex_lock(&all.lock);
    lost = h->lost;
    pthread_mutex_unlock(&all.lock);
    if (!lost) {
        state = serve_task_settle(&h->task, o, false, all.settings->retries);
        lost = !record(h, state, o);
        if (!lost && state != SERVE_QUEUED)
            serve_task_log_end(&h->task, state);
    }
    if (lost)
        serve_log(SERVE_INFO, "task %s: no longer belongs to this worker", h->task.id);
}

static void attempt(struct held *h)
{
    struct serve_outcome o;
    char *name;

    h->result = serve_task_result(h->task.id, &name);
    h->making = (struct serve_making){.id = h->task.id,
                                      .result = h->result,
                                      .record = h->task.record,
                                      .tell = on_step,
                                      .ctx = h};
    hold(h);
    make(h, &o);
    settle(h, &o);
    let_go(h);
    serve_redis_tidy_task(h->task.id);
    free(o.error);
    free(name);
}

static void free_held(struct held *h)
{
    json_decref(h->task.record);
    free(h->holder);
    free(h->result);
    free(h);
}

static void *work(void *none)
{
    struct held *h;

    (void)none;
    while ((h = next())) {
        attempt(h);
        free_held(h);
    }
    return NULL;
}

static char *consumer_name(void)
{
    char host[65] = "?";

    gethostname(host, sizeof host - 1);
    return nst_xasprintf("%s:%ld", host, (long)getpid());
}

static enum nst_status open_worker(const struct serve_settings *s,
                                   void (*changed)(const char *id), struct nst_err *err)
{
    enum nst_status st = serve_redis_open(s->queue, err);

    (void)changed; /* nobody here waits for that */
    if (st != NST_OK)
        return st;
    all.settings = s;
    all.consumer = consumer_name();
    snprintf(all.lease_ms, sizeof all.lease_ms, "%lld", (long long)s->lease * 1000);
    snprintf(all.kept, sizeof all.kept, "%lld", (long long)s->max_history_images);
    all.listens = pthread_create(&all.listener, NULL, listen_on, NULL) == 0;
    all.beats = pthread_create(&all.beater, NULL, beat, NULL) == 0;
    while (all.listens && all.beats && all.threads < (unsigned)s->max_tasks &&
           pthread_create(&all.thread[all.threads], NULL, work, NULL) == 0)
        all.threads++;
    return all.threads == (unsigned)s->max_tasks
               ? NST_OK
               : nst_err_set(err, NST_ERR_IO, "cannot start a thread");
}

static void drain(void)
{
    pthread_mutex_lock(&all.lock);
    all.ending = true;
    pthread_cond_broadcast(&all.news);
    pthread_mutex_unlock(&all.lock);
}

static unsigned working(void)
{
    unsigned n;

    pthread_mutex_lock(&all.lock);
    n = all.working;
    pthread_mutex_unlock(&all.lock);
    return n;
}

/* What runs writes its checkpoint and goes to another worker. */
static void stop(void)
{
    drain();
    pthread_mutex_lock(&all.lock);
    all.stopping = true;
    for (unsigned i = 0; i < SERVE_TASKS_MOST; i++)
        if (all.held[i])
            atomic_store(&all.held[i]->making.stop, true);
    pthread_mutex_unlock(&all.lock);
    while (all.threads > 0)
        pthread_join(all.thread[--all.threads], NULL);
}

static void close_worker(void)
{
    atomic_store(&all.ended, true);
    if (all.beats)
        pthread_join(all.beater, NULL);
    if (all.listens)
        pthread_join(all.listener, NULL);
    free(all.consumer);
    serve_redis_close();
}

const struct serve_queue serve_worker = {.open = open_worker,
                                         .drain = drain,
                                         .working = working,
                                         .stop = stop,
                                         .close = close_worker};
