/* SPDX-License-Identifier: MIT */
/*
 * A worker of the queue on Redis (redis_scripts.h). Each of its threads claims a task
 * and runs one nst at a time; one more thread sends heartbeats and progress for all.
 * The worker may be killed or lose Redis at any time: another worker then continues
 * from the checkpoint in the work directory, and Redis ignores later changes by this
 * one.
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

#include "serve/clock.h"
#include "serve/log.h"
#include "serve/queue/queue.h"
#include "serve/queue/redis.h"
#include "serve/queue/redis_scripts.h"
#include "serve/queue/redis_task.h"
#include "serve/queue/room.h"
#include "serve/store.h"

#define TICK_MS 200       /* minimum interval of progress */
#define HEARTBEAT_TICKS 2 /* maximum interval of heartbeats */
#define CLEANUP_TICKS 10
#define POLL_MS 1000        /* interval of claims without a message */
#define REPORT_MS 200       /* interval of attempts to report an outcome */
#define MAX_REPORT_TRIES 25 /* attempts while the worker is stopping */
#define TEXT_SIZE 32

/* A task that this worker runs. */
struct claim {
    struct serve_task task;
    struct serve_attempt attempt;
    char *holder, *result;
    bool reported; /* the latest progress was sent */
    bool lost;     /* another worker has it, or it was cancelled */
    bool is_first; /* attempt */
};

/* Copy of a claim, to send without the lock. */
struct heartbeat {
    char id[SERVE_TASK_ID_LENGTH + 1], holder[SERVE_TASK_ID_LENGTH + 1];
    char *progress;
};

static struct {
    const struct serve_settings *settings;
    char *consumer;
    char lease_ms[TEXT_SIZE], max_history[TEXT_SIZE];
    pthread_t threads[SERVE_MAX_TASKS], listener, heartbeat_thread;
    unsigned thread_count;
    bool has_listener, has_heartbeat;
    atomic_bool stopped; /* ends the listener and heartbeat threads */

    pthread_mutex_t claim_lock; /* one thread claims at a time */
    pthread_mutex_t lock;       /* protects the members below */
    pthread_cond_t task_ready, beat_due;
    bool is_task_ready, is_beat_due;
    struct claim *claims[SERVE_MAX_TASKS];
    unsigned running;
    struct serve_room room;
    bool draining, stopping; /* start no more tasks; stop running tasks */
} worker = {.claim_lock = PTHREAD_MUTEX_INITIALIZER,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .task_ready = PTHREAD_COND_INITIALIZER,
            .beat_due = PTHREAD_COND_INITIALIZER};

/* Wait for a signal or a timeout. The lock is held. */
static void wait_for(pthread_cond_t *cond, long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_clockwait(cond, &worker.lock, CLOCK_MONOTONIC, &until);
}

/* A message of nst:work: "" if a task is queued, the id of a cancelled task, or NULL
 * if messages may have been missed. */
static void on_message(const char *id)
{
    pthread_mutex_lock(&worker.lock);
    if (!id || !*id) {
        worker.is_task_ready = true;
        pthread_cond_broadcast(&worker.task_ready);
    }
    if (!id || *id) {
        worker.is_beat_due = true;
        pthread_cond_signal(&worker.beat_due);
    }
    pthread_mutex_unlock(&worker.lock);
}

static void *listen_for_tasks(void *unused)
{
    (void)unused;
    serve_redis_subscribe(SERVE_CHANNEL_WORK, on_message, &worker.stopped);
    return NULL;
}

/* Copy the claims with new progress, or all that are not lost. The lock is held. */
static unsigned collect_heartbeats(struct heartbeat *heartbeats, bool all)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SERVE_MAX_TASKS; i++) {
        struct claim *c = worker.claims[i];

        if (!c || c->lost || (c->reported && !all))
            continue;
        memcpy(heartbeats[n].id, c->task.id, sizeof heartbeats[n].id);
        memcpy(heartbeats[n].holder, c->holder, sizeof heartbeats[n].holder);
        heartbeats[n++].progress =
            c->reported ? nst_xstrdup("") : serve_progress_text(&c->task.progress);
        c->reported = true;
    }
    return n;
}

/* The claim is no longer valid: kill its nst. */
static void mark_lost(const char *holder)
{
    pthread_mutex_lock(&worker.lock);
    for (unsigned i = 0; i < SERVE_MAX_TASKS; i++)
        if (worker.claims[i] && strcmp(worker.claims[i]->holder, holder) == 0) {
            worker.claims[i]->lost = true;
            atomic_store(&worker.claims[i]->attempt.cancelled, true);
        }
    pthread_mutex_unlock(&worker.lock);
}

static bool is_integer(const redisReply *r, int n)
{
    return r && r->type == REDIS_REPLY_INTEGER && r->integer == n;
}

static bool is_lost(const redisReply *r)
{
    return is_integer(r, 0);
}

/* The task shall end with the picture so far. */
static void keep_picture(const char *holder)
{
    pthread_mutex_lock(&worker.lock);
    for (unsigned i = 0; i < SERVE_MAX_TASKS; i++)
        if (worker.claims[i] && strcmp(worker.claims[i]->holder, holder) == 0)
            atomic_store(&worker.claims[i]->attempt.keep, true);
    pthread_mutex_unlock(&worker.lock);
}

static void *send_heartbeats(void *unused)
{
    struct heartbeat heartbeats[SERVE_MAX_TASKS];

    (void)unused;
    for (unsigned tick = 0; !atomic_load(&worker.stopped); tick++) {
        unsigned n;

        pthread_mutex_lock(&worker.lock);
        if (!worker.is_beat_due)
            wait_for(&worker.beat_due, TICK_MS);
        n = collect_heartbeats(heartbeats,
                               worker.is_beat_due || tick % HEARTBEAT_TICKS == 0);
        worker.is_beat_due = false;
        pthread_mutex_unlock(&worker.lock);
        for (unsigned i = 0; i < n; i++) {
            struct heartbeat *b = &heartbeats[i];
            redisReply *r = serve_redis_eval(serve_script_heartbeat, b->id, b->holder,
                                             worker.consumer, b->progress, NULL);

            if (is_lost(r))
                mark_lost(b->holder);
            else if (is_integer(r, 2))
                keep_picture(b->holder);
            freeReplyObject(r);
            free(b->progress);
        }
        if (tick % CLEANUP_TICKS == 0)
            serve_redis_cleanup();
    }
    return NULL;
}

/* serve_attempt.on_progress */
static void on_progress(void *ctx, const struct serve_progress *progress)
{
    struct claim *c = ctx;

    pthread_mutex_lock(&worker.lock);
    c->task.progress = *progress;
    c->reported = false;
    pthread_mutex_unlock(&worker.lock);
}

/* Claim a task, to be freed by process(); NULL if none is queued. */
static struct claim *claim_task(void)
{
    struct claim *c = nst_xcalloc(1, sizeof *c);
    redisReply *r;

    c->holder = serve_store_new_name("");
    c->reported = true;
    r = serve_redis_eval(serve_script_claim, worker.consumer, c->holder,
                         worker.lease_ms, NULL);
    if (r && serve_task_from_row(&c->task, r)) {
        c->is_first = c->task.attempts == 1 && r->elements > 6 &&
                      strcmp(r->element[6]->str, "queued") == 0;
        if (r->elements > 6 && strcmp(r->element[6]->str, "running") == 0)
            serve_log(SERVE_WARNING, "task %s: its worker is gone; continuing here",
                      c->task.id);
    } else {
        if (r && r->type == REDIS_REPLY_ARRAY)
            serve_log(SERVE_ERROR, "the queue contains an invalid task");
        free(c->holder);
        free(c);
        c = NULL;
    }
    freeReplyObject(r);
    return c;
}

/* Wait for a task and claim it; NULL when draining. */
static struct claim *next_task(void)
{
    struct claim *c = NULL;
    bool draining, has_room;

    pthread_mutex_lock(&worker.claim_lock);
    do {
        pthread_mutex_lock(&worker.lock);
        if (!worker.draining && !worker.is_task_ready)
            wait_for(&worker.task_ready, POLL_MS);
        worker.is_task_ready = false;
        draining = worker.draining;
        has_room = serve_room_has(&worker.room);
        pthread_mutex_unlock(&worker.lock);
        if (!draining && has_room)
            c = claim_task();
    } while (!c && !draining);
    pthread_mutex_lock(&worker.lock);
    worker.is_task_ready = true; /* there may be more */
    pthread_mutex_unlock(&worker.lock);
    pthread_mutex_unlock(&worker.claim_lock);
    return c;
}

static void add_claim(struct claim *c)
{
    unsigned i = 0;

    pthread_mutex_lock(&worker.lock);
    while (worker.claims[i]) /* at most SERVE_MAX_TASKS threads: there is a free slot */
        i++;
    worker.claims[i] = c;
    c->attempt.concurrency = ++worker.running;
    c->attempt.stop = worker.stopping;
    pthread_mutex_unlock(&worker.lock);
}

static void remove_claim(const struct claim *c)
{
    pthread_mutex_lock(&worker.lock);
    for (unsigned i = 0; i < SERVE_MAX_TASKS; i++)
        if (worker.claims[i] == c)
            worker.claims[i] = NULL;
    worker.running--;
    pthread_mutex_unlock(&worker.lock);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static redisReply *send_finish(const struct claim *c, enum serve_state state,
                               const struct serve_outcome *o)
{
    char *record = json_dumps(c->task.record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    char seconds[TEXT_SIZE];
    redisReply *r;

    snprintf(seconds, sizeof seconds, "%.6f",
             state == SERVE_COMPLETED && isfinite(o->seconds) ? o->seconds : 0.0);
    r = serve_redis_eval(serve_script_finish, c->task.id, c->holder,
                         serve_state_names[state], record, seconds, worker.max_history,
                         NULL);
    free(record);
    return r;
}

/* Unlimited until the worker is stopping. */
static bool may_retry(int tries)
{
    bool allowed;

    pthread_mutex_lock(&worker.lock);
    allowed = !worker.stopping || tries < MAX_REPORT_TRIES;
    pthread_mutex_unlock(&worker.lock);
    return allowed;
}

/* Report the outcome, with retries; heartbeats keep the lease. False: the task is lost,
 * or the report failed. */
static bool report(struct claim *c, enum serve_state state,
                   const struct serve_outcome *o)
{
    const char *retry = o->exit == SERVE_EXIT_RETRYABLE ? "1" : "0";
    redisReply *r = NULL;
    char attempts[TEXT_SIZE];
    bool done;

    snprintf(attempts, sizeof attempts, "%u", c->task.attempts);
    for (int tries = 0; !r && may_retry(tries); tries++) {
        if (tries > 0)
            nanosleep(&(struct timespec){.tv_nsec = REPORT_MS * 1000000L}, NULL);
        r = state == SERVE_QUEUED ? serve_redis_eval(serve_script_release, c->task.id,
                                                     c->holder, attempts, retry, NULL)
                                  : send_finish(c, state, o);
    }
    done = r && !is_lost(r);
    freeReplyObject(r);
    return done;
}

static void finish_attempt(struct claim *c, const struct serve_outcome *o)
{
    bool lost;
    enum serve_state state;

    pthread_mutex_lock(&worker.lock);
    lost = c->lost;
    serve_room_note(&worker.room, o->exit);
    pthread_mutex_unlock(&worker.lock);
    if (!lost) {
        state = serve_task_finish_attempt(&c->task, o, false, worker.settings->retries);
        serve_task_keep_end(&c->task, state); /* once it is told, it may be deleted */
        lost = !report(c, state, o);
        if (!lost && state != SERVE_QUEUED)
            serve_task_log_state(&c->task, state);
    }
    if (lost)
        serve_log(SERVE_INFO, "task %s: no longer belongs to this worker", c->task.id);
}

/* Add a duration to a histogram of /metrics. */
static void observe(const char *name, double seconds)
{
    char bucket[TEXT_SIZE], text[TEXT_SIZE];

    snprintf(bucket, sizeof bucket, "%u",
             serve_histogram_bucket(serve_task_bounds, seconds));
    snprintf(text, sizeof text, "%.6f", seconds);
    freeReplyObject(serve_redis_eval(serve_script_observe, name, bucket, text, NULL));
}

/* Run an attempt at a task that was claimed, and free the claim. */
static void process(struct claim *c)
{
    struct serve_outcome o = {.error = NULL};
    bool exists;
    char *name;

    c->result = serve_task_result_path(c->task.id, c->task.record, &name);
    c->attempt = (struct serve_attempt){.id = c->task.id,
                                        .result = c->result,
                                        .record = c->task.record,
                                        .on_progress = on_progress,
                                        .ctx = c};
    add_claim(c);
    exists = is_file(c->result);
    if (!exists) {
        double start = nst_clock_seconds();

        if (c->is_first)
            observe("wait", serve_task_age(&c->task));
        serve_attempt_run(&c->attempt, worker.settings, &o);
        observe("run", nst_clock_seconds() - start);
        exists = o.exit != SERVE_EXIT_SUCCESS && is_file(c->result);
    }
    if (exists) {
        /* a success: the result is from a worker that could not report it, or that lost
         * the task while it was still running */
        free(o.error);
        o = (struct serve_outcome){
            .exit = SERVE_EXIT_SUCCESS, .content_loss = NAN, .style_loss = NAN};
    }
    finish_attempt(c, &o);
    remove_claim(c);
    serve_redis_cleanup_task(c->task.id);
    free(o.error);
    free(name);
    json_decref(c->task.record);
    free(c->holder);
    free(c->result);
    free(c);
}

static void *run_tasks(void *unused)
{
    struct claim *c;

    (void)unused;
    while ((c = next_task()))
        process(c);
    return NULL;
}

static enum nst_status open_worker(const struct serve_settings *s,
                                   void (*on_change)(const char *id),
                                   struct nst_err *err)
{
    enum nst_status st = serve_redis_open(s->queue, err);
    char host[65] = "?";

    (void)on_change; /* a worker has no clients */
    if (st != NST_OK)
        return st;
    worker.settings = s;
    gethostname(host, sizeof host - 1);
    worker.consumer = nst_xasprintf("%s:%ld", host, (long)getpid());
    snprintf(worker.lease_ms, sizeof worker.lease_ms, "%lld",
             (long long)s->lease * 1000);
    snprintf(worker.max_history, sizeof worker.max_history, "%lld",
             (long long)s->max_history_images);
    worker.has_listener =
        pthread_create(&worker.listener, NULL, listen_for_tasks, NULL) == 0;
    worker.has_heartbeat =
        pthread_create(&worker.heartbeat_thread, NULL, send_heartbeats, NULL) == 0;
    while (worker.has_listener && worker.has_heartbeat &&
           worker.thread_count < (unsigned)s->max_tasks &&
           pthread_create(&worker.threads[worker.thread_count], NULL, run_tasks,
                          NULL) == 0)
        worker.thread_count++;
    return worker.thread_count == (unsigned)s->max_tasks
               ? NST_OK
               : nst_err_set(err, NST_ERR_IO, "cannot start a thread");
}

static void drain(void)
{
    pthread_mutex_lock(&worker.lock);
    worker.draining = true;
    pthread_cond_broadcast(&worker.task_ready);
    pthread_mutex_unlock(&worker.lock);
}

static unsigned running(void)
{
    unsigned n;

    pthread_mutex_lock(&worker.lock);
    n = worker.running;
    pthread_mutex_unlock(&worker.lock);
    return n;
}

/* Running tasks write a checkpoint and return to the queue. */
static void stop(void)
{
    drain();
    pthread_mutex_lock(&worker.lock);
    worker.stopping = true;
    for (unsigned i = 0; i < SERVE_MAX_TASKS; i++)
        if (worker.claims[i])
            atomic_store(&worker.claims[i]->attempt.stop, true);
    pthread_mutex_unlock(&worker.lock);
    while (worker.thread_count > 0)
        pthread_join(worker.threads[--worker.thread_count], NULL);
}

static void close_worker(void)
{
    atomic_store(&worker.stopped, true);
    if (worker.has_heartbeat)
        pthread_join(worker.heartbeat_thread, NULL);
    if (worker.has_listener)
        pthread_join(worker.listener, NULL);
    free(worker.consumer);
    serve_redis_close();
}

const struct serve_queue serve_worker = {.open = open_worker,
                                         .drain = drain,
                                         .running = running,
                                         .stop = stop,
                                         .close = close_worker};
