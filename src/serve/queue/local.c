/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/queue.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/clock.h"
#include "serve/log.h"
#include "serve/owners.h"
#include "serve/queue/spent.h"
#include "serve/queue/task_table.h"
#include "serve/store.h"

static struct {
    const struct serve_settings *settings;
    void (*on_change)(const char *id);
    pthread_t threads[SERVE_MAX_TASKS];
    unsigned thread_count, running;

    pthread_mutex_t lock; /* protects running, the table and the members below */
    pthread_cond_t not_empty;
    struct serve_fair_queue *queue; /* the tasks that wait, and those that run */
    bool draining, stopping;        /* start no more tasks; stop running tasks */
} local = {.lock = PTHREAD_MUTEX_INITIALIZER, .not_empty = PTHREAD_COND_INITIALIZER};

static bool task_is_final(const struct serve_table_entry *t)
{
    return serve_state_is_final(t->task.state);
}

static struct serve_table_entry *entry_of(struct serve_fair_task *place)
{
    return (struct serve_table_entry *)((char *)place -
                                        offsetof(struct serve_table_entry, place));
}

/* Let a task wait for its turn. The lock is held. */
static void enqueue(struct serve_table_entry *t)
{
    serve_fair_add(local.queue, &t->place, serve_task_party(&t->task),
                   json_integer_value(json_object_get(t->task.record, "max_running")));
    pthread_cond_signal(&local.not_empty);
}

static void count_change(struct serve_fair_task *place)
{
    entry_of(place)->task.version++;
}

/* The places in the queue have changed. The lock is held; call tell_places() later. */
static void change_places(void)
{
    serve_fair_foreach(local.queue, count_change);
}

/* Tell the clients of waiting tasks. The lock is not held. */
static void tell_places(void)
{
    local.on_change(NULL);
}

/* Cancel a task and remove its files. The lock is held. */
static void set_cancelled(struct serve_table_entry *t)
{
    json_object_set_new(t->task.record, "finished", json_real(serve_now()));
    serve_table_set_state(t, SERVE_CANCELLED);
    serve_store_remove_work_dir(t->task.id);
    serve_task_remove_result(t->task.id);
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
    path = serve_task_result_path(t->task.id, &name);
    if (json_is_true(json_object_get(t->task.record, "cancelled")))
        set_cancelled(t);
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

static void remove_stale_result(void *ctx, const char *name)
{
    char *id = nst_xasprintf("%.*s", (int)strcspn(name, "."), name);

    (void)ctx;
    if (!serve_table_find(id))
        serve_store_remove_picture("results", name);
    free(id);
}

/* Change the task's state after an attempt. The lock is held. */
static void finish_attempt(struct serve_table_entry *t, const struct serve_outcome *o)
{
    enum serve_state state = serve_task_finish_attempt(
        &t->task, o, t->attempt.cancelled, local.settings->retries);

    if (state == SERVE_COMPLETED)
        serve_table_counts()->seconds += o->seconds;
    serve_table_set_state(t, state);
    if (state == SERVE_QUEUED)
        serve_fair_retry(local.queue, &t->place);
    else
        serve_fair_remove(local.queue, &t->place);
    if (serve_state_is_final(state)) {
        serve_task_log_state(&t->task, state);
        serve_store_remove_work_dir(t->task.id);
        if (state == SERVE_CANCELLED) /* the attempt may have written a result */
            serve_task_remove_result(t->task.id);
    } else if (o->exit == SERVE_EXIT_RETRYABLE) {
        serve_table_counts()->retries++;
        pthread_cond_signal(&local.not_empty);
    }
}

/* serve_attempt.on_progress */
static void on_progress(void *ctx, const struct serve_progress *latest)
{
    struct serve_table_entry *t = ctx;

    pthread_mutex_lock(&local.lock);
    t->task.progress = *latest;
    t->task.version++;
    pthread_mutex_unlock(&local.lock);
    local.on_change(t->task.id);
}

/* Run one attempt at a task. Releases the lock while nst runs. */
static void run_attempt(struct serve_table_entry *t)
{
    char id[sizeof t->task.id], *name,
        *result = serve_task_result_path(t->task.id, &name);
    struct serve_outcome outcome;
    json_t *record = json_deep_copy(t->task.record);
    double start;

    memcpy(id, t->task.id, sizeof id);
    t->task.attempts++;
    t->attempt = (struct serve_attempt){.id = t->task.id,
                                        .record = record,
                                        .result = result,
                                        .concurrency = ++local.running,
                                        .on_progress = on_progress,
                                        .ctx = t,
                                        .stop = local.stopping};
    t->task.progress = serve_progress_unknown;
    if (!json_object_get(t->task.record, "started"))
        serve_histogram_add(&serve_table_counts()->wait, serve_task_bounds,
                            serve_task_age(&t->task));
    json_object_set_new(t->task.record, "started", json_real(serve_now()));
    serve_table_set_state(t, SERVE_RUNNING);
    change_places();
    pthread_mutex_unlock(&local.lock);
    tell_places();
    start = nst_clock_seconds();
    serve_attempt_run(&t->attempt, local.settings, &outcome);
    pthread_mutex_lock(&local.lock);
    local.running--;
    serve_histogram_add(&serve_table_counts()->run, serve_task_bounds,
                        nst_clock_seconds() - start);
    finish_attempt(t, &outcome);
    serve_table_evict(); /* may free t */
    pthread_mutex_unlock(&local.lock);
    local.on_change(id);
    pthread_mutex_lock(&local.lock);
    free(outcome.error);
    json_decref(record);
    free(result);
    free(name);
}

static void *run_tasks(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&local.lock);
    while (!local.draining) {
        struct serve_fair_task *next = serve_fair_start(local.queue);

        if (next)
            run_attempt(entry_of(next));
        else
            pthread_cond_wait(&local.not_empty, &local.lock);
    }
    pthread_mutex_unlock(&local.lock);
    return NULL;
}

static enum nst_status open_queue(const struct serve_settings *s,
                                  void (*on_change)(const char *id),
                                  struct nst_err *err)
{
    struct serve_table_entry *t = NULL;

    local.settings = s;
    local.on_change = on_change;
    local.queue = serve_fair_new();
    serve_spent_open();
    serve_table_open(s);
    pthread_mutex_lock(&local.lock);
    serve_store_foreach("tasks", restore, NULL);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        enqueue(t);
    serve_store_foreach("work", remove_stale_work, NULL);
    serve_store_foreach("results", remove_stale_result, NULL);
    serve_table_evict();
    memset(serve_table_counts()->ended, 0, sizeof serve_table_counts()->ended);
    pthread_mutex_unlock(&local.lock);
    for (; local.thread_count < (unsigned)s->max_tasks; local.thread_count++)
        if (pthread_create(&local.threads[local.thread_count], NULL, run_tasks, NULL) !=
            0)
            return nst_err_set(err, NST_ERR_IO, "cannot start a thread");
    return NST_OK;
}

static void drain(void)
{
    pthread_mutex_lock(&local.lock);
    local.draining = true;
    pthread_cond_broadcast(&local.not_empty);
    pthread_mutex_unlock(&local.lock);
}

static unsigned running(void)
{
    unsigned n;

    pthread_mutex_lock(&local.lock);
    n = local.running;
    pthread_mutex_unlock(&local.lock);
    return n;
}

static void stop(void)
{
    struct serve_table_entry *t = NULL;

    drain();
    pthread_mutex_lock(&local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        t->attempt.stop = true;
    local.stopping = true;
    pthread_mutex_unlock(&local.lock);
    for (unsigned i = 0; i < local.thread_count; i++)
        pthread_join(local.threads[i], NULL);
    local.thread_count = 0;
}

static void close_queue(void)
{
    serve_fair_free(local.queue);
    local.queue = NULL;
    serve_table_close();
    serve_spent_close();
}

static bool reachable(void)
{
    return true;
}

/* Whether the limits allow a task. The lock is held. */
static enum serve_add_status check_limits(const struct serve_identity *who,
                                          const char *party, int64_t work)
{
    const struct serve_quota *quota = &who->quota;
    const int64_t share = serve_party_share(who, local.settings);
    unsigned waiting, running;

    serve_fair_count(local.queue, party, &waiting, &running);
    if (local.draining)
        return SERVE_ADD_SHUTTING_DOWN;
    if (serve_fair_waiting(local.queue) >= (unsigned)local.settings->max_queue)
        return SERVE_ADD_QUEUE_FULL;
    if (share && waiting >= share)
        return SERVE_ADD_PARTY_FULL;
    if (quota->work_per_day && serve_spent_get(party) + work > quota->work_per_day)
        return SERVE_ADD_WORK_USED;
    return SERVE_ADD_OK;
}

static void set_place(struct serve_table_entry *t)
{
    t->task.position = serve_fair_position(local.queue, &t->place);
    t->task.waiting = serve_fair_waiting(local.queue);
}

static enum serve_add_status add(const struct serve_identity *who, const char *id,
                                 json_t *record, struct serve_place *place)
{
    const char *party = serve_party(who);
    int64_t work = json_integer_value(json_object_get(record, "work"));
    enum serve_add_status status;
    struct serve_table_entry *t;

    pthread_mutex_lock(&local.lock);
    status = check_limits(who, party, work);
    if (status == SERVE_ADD_OK) {
        t = !who->quota.work_per_day || serve_spent_add(party, work)
                ? serve_table_add(id, json_incref(record))
                : NULL;
        if (t) {
            enqueue(t);
            set_place(t);
            *place = (struct serve_place){t->task.position, t->task.waiting};
        } else
            status = serve_store_is_disk_full(errno) ? SERVE_ADD_DISK_FULL
                                                     : SERVE_ADD_IO_ERROR;
    }
    json_decref(record); /* under the lock: the count is shared with the table */
    pthread_mutex_unlock(&local.lock);
    return status;
}

/* A task that who sees, or NULL. The lock is held. */
static struct serve_table_entry *find(const struct serve_identity *who, const char *id)
{
    struct serve_table_entry *t = serve_table_find(id);

    return t && serve_task_seen_by(&t->task, who) ? t : NULL;
}

static json_t *progress(const struct serve_identity *who, const char *id,
                        unsigned *version, bool *is_final)
{
    struct serve_table_entry *t;
    json_t *j = NULL;

    pthread_mutex_lock(&local.lock);
    t = find(who, id);
    if (t) {
        set_place(t);
        j = serve_task_progress_json(&t->task);
        if (version)
            *version = t->task.version;
        if (is_final)
            *is_final = task_is_final(t);
    } else
        errno = ENOENT;
    pthread_mutex_unlock(&local.lock);
    return j;
}

static json_t *list_open(const struct serve_identity *who)
{
    json_t *list = json_array();
    struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        if (serve_task_seen_by(&t->task, who)) {
            set_place(t);
            json_array_append_new(list, serve_task_progress_json(&t->task));
        }
    pthread_mutex_unlock(&local.lock);
    return list;
}

static enum serve_cancel_status cancel(const struct serve_identity *who, const char *id)
{
    enum serve_cancel_status status = SERVE_CANCEL_OK;
    struct serve_table_entry *t;
    struct nst_err err;

    pthread_mutex_lock(&local.lock);
    t = find(who, id);
    if (!t)
        status = SERVE_CANCEL_UNKNOWN;
    else if (task_is_final(t))
        status = SERVE_CANCEL_FINISHED;
    else if (t->task.state == SERVE_QUEUED) {
        serve_fair_remove(local.queue, &t->place);
        set_cancelled(t);
        change_places();
        serve_table_evict(); /* may free t */
    } else {
        /* The task's thread kills nst. The record is saved so that the cancellation
         * survives a kill of the service. */
        t->attempt.cancelled = true;
        json_object_set_new(t->task.record, "cancelled", json_true());
        if (serve_table_save(t, &err) != NST_OK)
            serve_log(SERVE_ERROR, "%s", err.text);
    }
    pthread_mutex_unlock(&local.lock);
    if (status == SERVE_CANCEL_OK)
        tell_places();
    return status;
}

static json_t *history(const struct serve_identity *who, size_t offset, size_t limit,
                       size_t *total)
{
    json_t *by_content;

    pthread_mutex_lock(&local.lock);
    by_content = serve_table_history(who, offset, limit, total);
    pthread_mutex_unlock(&local.lock);
    return by_content;
}

static enum serve_delete_status delete_content(const struct serve_identity *who,
                                               const char *content)
{
    enum serve_delete_status status;

    pthread_mutex_lock(&local.lock);
    status = serve_table_delete_content(who, content);
    pthread_mutex_unlock(&local.lock);
    return status;
}

static enum serve_style_status style_status(const char *style)
{
    enum serve_style_status status = SERVE_STYLE_UNUSED;
    const struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        if (serve_task_uses_style(t->task.record, style))
            status = SERVE_STYLE_IN_USE;
    pthread_mutex_unlock(&local.lock);
    return status;
}

static void count(struct serve_counts *out)
{
    pthread_mutex_lock(&local.lock);
    *out = *serve_table_counts();
    pthread_mutex_unlock(&local.lock);
}

static bool usage(const char *party, struct serve_usage *out)
{
    pthread_mutex_lock(&local.lock);
    serve_fair_count(local.queue, party, &out->waiting, &out->running);
    out->work = serve_spent_get(party);
    pthread_mutex_unlock(&local.lock);
    return true;
}

static void sweep(int64_t max_age, size_t max_files)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        serve_task_collect_uploads(used, t->task.record);
    while ((t = serve_table_next(SERVE_LIST_FINISHED, t)))
        serve_task_collect_uploads(used, t->task.record);
    serve_store_sweep(used, max_age, max_files, serve_owner_party);
    pthread_mutex_unlock(&local.lock);
    g_hash_table_destroy(used);
}

const struct serve_queue serve_queue_local = {.open = open_queue,
                                              .drain = drain,
                                              .running = running,
                                              .stop = stop,
                                              .close = close_queue,
                                              .reachable = reachable,
                                              .add = add,
                                              .progress = progress,
                                              .cancel = cancel,
                                              .list = list_open,
                                              .history = history,
                                              .delete_content = delete_content,
                                              .style_status = style_status,
                                              .sweep = sweep,
                                              .count = count,
                                              .usage = usage};
