/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/queue.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/clock.h"
#include "serve/log.h"
#include "serve/queue/room.h"
#include "serve/queue/task_table.h"
#include "serve/store.h"

static struct {
    const struct serve_settings *settings;
    void (*on_change)(const char *id);
    pthread_t threads[SERVE_MAX_TASKS];
    unsigned thread_count, running;

    pthread_mutex_t lock; /* protects running, the table and the members below */
    pthread_cond_t not_empty;
    GQueue queue; /* of struct serve_table_entry in state SERVE_QUEUED */
    struct serve_room room;
    bool draining, stopping; /* start no more tasks; stop running tasks */
} local = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .not_empty = PTHREAD_COND_INITIALIZER,
           .queue = G_QUEUE_INIT};

static bool task_is_final(const struct serve_table_entry *t)
{
    return serve_state_is_final(t->task.state);
}

/* Cancel a task and remove its files. The lock is held. */
static void set_cancelled(struct serve_table_entry *t)
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
        &t->task, o, t->attempt.cancelled, local.settings->retries);

    if (state == SERVE_COMPLETED)
        serve_table_counts()->seconds += o->seconds;
    if (state == SERVE_CANCELLED) /* the attempt may have written a result */
        serve_task_remove_result(t->task.id);
    if (serve_state_is_final(state)) {
        serve_store_remove_work_dir(t->task.id); /* makes room for the record */
        serve_task_log_state(&t->task, state);
    }
    serve_table_set_state(t, state);
    serve_room_note(&local.room, o->exit);
    if (state == SERVE_QUEUED && o->exit != SERVE_EXIT_STOPPED) {
        serve_table_counts()->retries += o->exit == SERVE_EXIT_RETRYABLE;
        g_queue_push_head(&local.queue, t);
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

    memcpy(id, t->task.id, sizeof id);
    t->task.attempts++;
    t->attempt = (struct serve_attempt){
        .id = t->task.id,
        .record = record,
        .result = result,
        .concurrency = ++local.running,
        .on_progress = on_progress,
        .ctx = t,
        .stop = local.stopping,
        .keep = json_is_true(json_object_get(record, "stop_requested"))};
    t->task.no_space = false;
    t->task.progress = serve_progress_unknown;
    json_object_set_new(t->task.record, "started", json_real(serve_now()));
    serve_table_set_state(t, SERVE_RUNNING);
    pthread_mutex_unlock(&local.lock);
    local.on_change(id);
    serve_attempt_run(&t->attempt, local.settings, &outcome);
    pthread_mutex_lock(&local.lock);
    local.running--;
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
        struct serve_table_entry *t =
            !g_queue_is_empty(&local.queue) && serve_room_has(&local.room)
                ? g_queue_pop_head(&local.queue)
                : NULL;

        if (t)
            run_attempt(t);
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
    serve_table_open(s);
    pthread_mutex_lock(&local.lock);
    serve_store_foreach("tasks", restore, NULL);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        g_queue_push_tail(&local.queue, t);
    serve_store_foreach("work", remove_stale_work, NULL);
    serve_store_foreach("results", remove_stale_result, "results");
    serve_store_foreach("quality", remove_stale_result, "quality");
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
    g_queue_clear(&local.queue);
    serve_table_close();
}

/* Wake threads that wait for disk space. */
static void tick(void)
{
    pthread_mutex_lock(&local.lock);
    serve_table_save_pending();
    if (!g_queue_is_empty(&local.queue))
        pthread_cond_broadcast(&local.not_empty);
    pthread_mutex_unlock(&local.lock);
}

static bool reachable(void)
{
    return true;
}

static enum serve_add_status add(const char *id, json_t *record)
{
    enum serve_add_status status = SERVE_ADD_OK;
    struct serve_table_entry *t;

    pthread_mutex_lock(&local.lock);
    if (local.draining)
        status = SERVE_ADD_SHUTTING_DOWN;
    else if (g_queue_get_length(&local.queue) >= (guint)local.settings->max_queue)
        status = SERVE_ADD_QUEUE_FULL;
    else if ((t = serve_table_add(id, json_incref(record)))) {
        g_queue_push_tail(&local.queue, t);
        pthread_cond_signal(&local.not_empty);
    } else
        status =
            serve_store_is_disk_full(errno) ? SERVE_ADD_DISK_FULL : SERVE_ADD_IO_ERROR;
    json_decref(record); /* under the lock: the count is shared with the table */
    pthread_mutex_unlock(&local.lock);
    return status;
}

static json_t *progress(const char *id, unsigned *version, bool *is_final)
{
    const struct serve_table_entry *t;
    json_t *j = NULL;

    pthread_mutex_lock(&local.lock);
    t = serve_table_find(id);
    if (t) {
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

static json_t *list_open(void)
{
    json_t *list = json_array();
    const struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        json_array_append_new(list, serve_task_progress_json(&t->task));
    pthread_mutex_unlock(&local.lock);
    return list;
}

static json_t *list_state(enum serve_state state, size_t limit)
{
    json_t *list;

    pthread_mutex_lock(&local.lock);
    list = serve_table_list_state(state, limit);
    pthread_mutex_unlock(&local.lock);
    return list;
}

static enum serve_cancel_status cancel(const char *id)
{
    enum serve_cancel_status status = SERVE_CANCEL_OK;
    struct serve_table_entry *t;

    pthread_mutex_lock(&local.lock);
    t = serve_table_find(id);
    if (!t)
        status = SERVE_CANCEL_UNKNOWN;
    else if (task_is_final(t))
        status = SERVE_CANCEL_FINISHED;
    else if (t->task.state == SERVE_QUEUED) {
        g_queue_remove(&local.queue, t);
        set_cancelled(t);
        serve_table_evict(); /* may free t */
    } else {
        /* The task's thread kills nst. The record is saved so that the cancellation
         * survives a kill of the service. */
        t->attempt.cancelled = true;
        json_object_set_new(t->task.record, "cancelled", json_true());
        serve_table_save(t);
    }
    pthread_mutex_unlock(&local.lock);
    if (status == SERVE_CANCEL_OK)
        local.on_change(id);
    return status;
}

static enum serve_stop_status stop_and_keep(const char *id)
{
    enum serve_stop_status status = SERVE_STOP_OK;
    struct serve_table_entry *t;

    pthread_mutex_lock(&local.lock);
    t = serve_table_find(id);
    if (!t)
        status = SERVE_STOP_UNKNOWN;
    else if (t->task.state == SERVE_QUEUED)
        status = SERVE_STOP_QUEUED;
    else if (task_is_final(t))
        status = SERVE_STOP_FINISHED;
    else { /* saved, so that the next attempt stops as well */
        t->attempt.keep = true;
        json_object_set_new(t->task.record, "stop_requested", json_true());
        serve_table_save(t);
    }
    pthread_mutex_unlock(&local.lock);
    return status;
}

static enum serve_delete_status delete_task(const char *id)
{
    enum serve_delete_status status = SERVE_DELETE_OK;
    struct serve_table_entry *t;

    pthread_mutex_lock(&local.lock);
    t = serve_table_find(id);
    if (!t)
        status = SERVE_DELETE_UNKNOWN;
    else if (!task_is_final(t))
        status = SERVE_DELETE_BUSY;
    else
        serve_table_remove(t);
    pthread_mutex_unlock(&local.lock);
    if (status == SERVE_DELETE_OK)
        local.on_change(id);
    return status;
}

/* Newest first: iterates from the end of the list. */
static json_t *history(size_t offset, size_t limit, size_t *total)
{
    json_t *by_content = json_object();
    GSequence *completed;
    GSequenceIter *iter;

    pthread_mutex_lock(&local.lock);
    completed = serve_table_sequence(SERVE_LIST_COMPLETED);
    *total = (size_t)g_sequence_get_length(completed);
    iter = g_sequence_get_iter_at_pos(completed, (gint)(*total - MIN(offset, *total)));
    while (limit-- > 0 && !g_sequence_iter_is_begin(iter)) {
        iter = g_sequence_iter_prev(iter);
        serve_task_add_to_history(
            by_content, &((struct serve_table_entry *)g_sequence_get(iter))->task);
    }
    pthread_mutex_unlock(&local.lock);
    return by_content;
}

static enum serve_delete_status delete_content(const char *content)
{
    enum serve_delete_status status = SERVE_DELETE_UNKNOWN;
    struct serve_table_entry *t = NULL, *next;

    pthread_mutex_lock(&local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        if (serve_task_uses_upload(t->task.record, content))
            status = SERVE_DELETE_BUSY;
    if (status != SERVE_DELETE_BUSY)
        t = serve_table_next(SERVE_LIST_FINISHED, NULL);
    for (; t; t = next) {
        next = serve_table_next(SERVE_LIST_FINISHED, t);
        if (g_strcmp0(serve_task_text(&t->task, "content_img"), content) == 0) {
            serve_table_remove(t);
            status = SERVE_DELETE_OK;
        }
    }
    if (status == SERVE_DELETE_OK)
        serve_store_remove_picture("uploads", content);
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

static void sweep(int64_t max_age, size_t max_files)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        serve_task_collect_uploads(used, t->task.record);
    while ((t = serve_table_next(SERVE_LIST_FINISHED, t)))
        serve_task_collect_uploads(used, t->task.record);
    serve_store_sweep(used, max_age, max_files);
    pthread_mutex_unlock(&local.lock);
    g_hash_table_destroy(used);
}

const struct serve_queue serve_queue_local = {.open = open_queue,
                                              .drain = drain,
                                              .running = running,
                                              .tick = tick,
                                              .stop = stop,
                                              .close = close_queue,
                                              .reachable = reachable,
                                              .add = add,
                                              .progress = progress,
                                              .cancel = cancel,
                                              .stop_and_keep = stop_and_keep,
                                              .delete_task = delete_task,
                                              .list = list_open,
                                              .list_state = list_state,
                                              .history = history,
                                              .delete_content = delete_content,
                                              .style_status = style_status,
                                              .sweep = sweep,
                                              .count = count};
