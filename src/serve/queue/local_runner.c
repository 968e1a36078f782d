/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/local_runner.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/clock.h"
#include "serve/log.h"
#include "serve/queue/spent.h"
#include "serve/store.h"

struct serve_local serve_local = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .not_empty = PTHREAD_COND_INITIALIZER};

static bool task_is_final(const struct serve_table_entry *t)
{
    return serve_state_is_final(t->task.state);
}

static struct serve_table_entry *entry_of(struct serve_fair_task *place)
{
    return (struct serve_table_entry *)((char *)place -
                                        offsetof(struct serve_table_entry, place));
}

void serve_local_enqueue(struct serve_table_entry *t)
{
    serve_fair_add(serve_local.queue, &t->place, serve_task_party(&t->task),
                   json_integer_value(json_object_get(t->task.record, "max_running")));
    pthread_cond_signal(&serve_local.not_empty);
}

static void count_change(struct serve_fair_task *place)
{
    entry_of(place)->task.version++;
}

void serve_local_change_places(void)
{
    serve_fair_foreach(serve_local.queue, count_change);
}

void serve_local_tell_places(void)
{
    serve_local.on_change(NULL);
}

void serve_local_set_cancelled(struct serve_table_entry *t)
{
    json_object_set_new(t->task.record, "finished", json_real(serve_now()));
    serve_store_remove_work_dir(t->task.id); /* first: it makes room for the record */
    serve_task_remove_result(t->task.id);
    serve_table_set_state(t, SERVE_CANCELLED);
}

/* Load a task of the previous process. A running task is queued again; a kill of the
 * service does not count as an attempt. */
static void restore(void *ctx, const char *file)
{
    struct serve_table_entry *t = serve_table_load(file);
    char *name, *path;
    struct stat st;

    (void)ctx;
    if (!t || task_is_final(t))
        return;
    path = serve_task_result_path(t->task.id, t->task.record, &name);
    if (json_is_true(json_object_get(t->task.record, "cancelled")))
        serve_local_set_cancelled(t);
    else if (stat(path, &st) == 0) {
        serve_task_set_completed(&t->task);
        serve_table_set_state(t, SERVE_COMPLETED);
    } else {
        if (t->task.state == SERVE_RUNNING && t->task.attempts > 0)
            t->task.attempts--;
        serve_table_set_state(t, SERVE_QUEUED);
    }
    free(name);
    free(path);
}

/* Remove the work directory of a finished or unknown task, left by a killed service. */
static void remove_stale_work(void *ctx, const char *name)
{
    const struct serve_table_entry *t = serve_table_find(name);

    (void)ctx;
    if (!t || task_is_final(t))
        serve_store_remove_work_dir(name);
}

/* Remove a result, or its figures, without a task. */
static void remove_stale_result(void *folder, const char *name)
{
    char *id = nst_xasprintf("%.*s", (int)strcspn(name, "."), name);

    if (!serve_table_find(id))
        serve_store_remove_picture(folder, name);
    free(id);
}

/* Change the task's state after an attempt. The lock is held. */
static void finish_attempt(struct serve_table_entry *t, const struct serve_outcome *o)
{
    enum serve_state state = serve_task_finish_attempt(
        &t->task, o, t->attempt.cancelled, serve_local.settings->retries);

    if (state == SERVE_COMPLETED)
        serve_table_counts()->seconds += o->seconds;
    if (state == SERVE_CANCELLED) /* the attempt may have written a result */
        serve_task_remove_result(t->task.id);
    if (serve_state_is_final(state)) {
        serve_store_remove_work_dir(t->task.id); /* makes room for the record */
        serve_task_log_state(&t->task, state);
    }
    serve_table_set_state(t, state);
    serve_room_note(&serve_local.room, o->exit);
    if (state == SERVE_QUEUED) {
        serve_table_counts()->retries += o->exit == SERVE_EXIT_RETRYABLE;
        serve_fair_retry(serve_local.queue, &t->place);
        pthread_cond_signal(&serve_local.not_empty);
    } else
        serve_fair_remove(serve_local.queue, &t->place);
}

/* serve_attempt.on_progress */
static void on_progress(void *ctx, const struct serve_progress *latest)
{
    struct serve_table_entry *t = ctx;

    pthread_mutex_lock(&serve_local.lock);
    t->task.progress = *latest;
    t->task.version++;
    pthread_mutex_unlock(&serve_local.lock);
    serve_local.on_change(t->task.id);
}

/* Run one attempt at a task. Releases the lock while nst runs. */
static void run_attempt(struct serve_table_entry *t)
{
    char id[sizeof t->task.id], *name,
        *result = serve_task_result_path(t->task.id, t->task.record, &name);
    struct serve_outcome outcome;
    json_t *record = json_deep_copy(t->task.record);
    double start;

    memcpy(id, t->task.id, sizeof id);
    t->task.attempts++;
    t->attempt = (struct serve_attempt){
        .id = t->task.id,
        .record = record,
        .result = result,
        .concurrency = ++serve_local.running,
        .on_progress = on_progress,
        .ctx = t,
        .stop = serve_local.stopping,
        .keep = json_is_true(json_object_get(record, "stop_requested"))};
    t->task.no_space = false;
    t->task.progress = serve_progress_unknown;
    if (!json_object_get(t->task.record, "started"))
        serve_histogram_add(&serve_table_counts()->wait, serve_task_bounds,
                            serve_task_age(&t->task));
    json_object_set_new(t->task.record, "started", json_real(serve_now()));
    serve_table_set_state(t, SERVE_RUNNING);
    serve_local_change_places();
    pthread_mutex_unlock(&serve_local.lock);
    serve_local_tell_places();
    start = nst_clock_seconds();
    serve_attempt_run(&t->attempt, serve_local.settings, &outcome);
    pthread_mutex_lock(&serve_local.lock);
    serve_local.running--;
    serve_histogram_add(&serve_table_counts()->run, serve_task_bounds,
                        nst_clock_seconds() - start);
    finish_attempt(t, &outcome);
    serve_table_evict(); /* may free t */
    pthread_mutex_unlock(&serve_local.lock);
    serve_local.on_change(id);
    pthread_mutex_lock(&serve_local.lock);
    free(outcome.error);
    json_decref(record);
    free(result);
    free(name);
}

static void *run_tasks(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&serve_local.lock);
    while (!serve_local.draining) {
        struct serve_fair_task *next = serve_fair_waiting(serve_local.queue) > 0 &&
                                               serve_room_has(&serve_local.room)
                                           ? serve_fair_start(serve_local.queue)
                                           : NULL;

        if (next)
            run_attempt(entry_of(next));
        else
            pthread_cond_wait(&serve_local.not_empty, &serve_local.lock);
    }
    pthread_mutex_unlock(&serve_local.lock);
    return NULL;
}

enum nst_status serve_local_open(const struct serve_settings *s,
                                 void (*on_change)(const char *id), struct nst_err *err)
{
    struct serve_table_entry *t = NULL;

    serve_local.settings = s;
    serve_local.on_change = on_change;
    serve_local.queue = serve_fair_new();
    serve_spent_open();
    serve_table_open(s);
    pthread_mutex_lock(&serve_local.lock);
    serve_store_foreach("tasks", restore, NULL);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        serve_local_enqueue(t);
    serve_store_foreach("work", remove_stale_work, NULL);
    serve_store_foreach("results", remove_stale_result, "results");
    serve_store_foreach("quality", remove_stale_result, "quality");
    serve_table_evict();
    memset(serve_table_counts()->ended, 0, sizeof serve_table_counts()->ended);
    pthread_mutex_unlock(&serve_local.lock);
    for (; serve_local.thread_count < (unsigned)s->max_tasks;
         serve_local.thread_count++)
        if (pthread_create(&serve_local.threads[serve_local.thread_count], NULL,
                           run_tasks, NULL) != 0)
            return nst_err_set(err, NST_ERR_IO, "cannot start a thread");
    return NST_OK;
}

void serve_local_drain(void)
{
    pthread_mutex_lock(&serve_local.lock);
    serve_local.draining = true;
    pthread_cond_broadcast(&serve_local.not_empty);
    pthread_mutex_unlock(&serve_local.lock);
}

unsigned serve_local_running(void)
{
    unsigned n;

    pthread_mutex_lock(&serve_local.lock);
    n = serve_local.running;
    pthread_mutex_unlock(&serve_local.lock);
    return n;
}

void serve_local_stop(void)
{
    struct serve_table_entry *t = NULL;

    serve_local_drain();
    pthread_mutex_lock(&serve_local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        t->attempt.stop = true;
    serve_local.stopping = true;
    pthread_mutex_unlock(&serve_local.lock);
    for (unsigned i = 0; i < serve_local.thread_count; i++)
        pthread_join(serve_local.threads[i], NULL);
    serve_local.thread_count = 0;
}

void serve_local_close(void)
{
    serve_fair_free(serve_local.queue);
    serve_local.queue = NULL;
    serve_table_close();
    serve_spent_close();
}

/* Wake threads that wait for disk space. */
void serve_local_tick(void)
{
    pthread_mutex_lock(&serve_local.lock);
    serve_table_save_pending();
    if (serve_fair_waiting(serve_local.queue) > 0)
        pthread_cond_broadcast(&serve_local.not_empty);
    pthread_mutex_unlock(&serve_local.lock);
}
