/* SPDX-License-Identifier: MIT */
/* The queue in this process: the requests of clients. */
#include "config.h"

#include "serve/queue/queue.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>

#include "serve/log.h"
#include "serve/owners.h"
#include "serve/queue/local_runner.h"
#include "serve/queue/spent.h"
#include "serve/store.h"
#include "serve/sweep.h"

static bool task_is_final(const struct serve_table_entry *t)
{
    return serve_state_is_final(t->task.state);
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
    const int64_t share = serve_party_share(who, serve_local.settings);
    unsigned waiting, running;

    serve_fair_count(serve_local.queue, party, &waiting, &running);
    if (serve_local.draining)
        return SERVE_ADD_SHUTTING_DOWN;
    if (serve_fair_waiting(serve_local.queue) >=
        (unsigned)serve_local.settings->max_queue)
        return SERVE_ADD_QUEUE_FULL;
    if (share && waiting >= share)
        return SERVE_ADD_PARTY_FULL;
    if (quota->work_per_day && serve_spent_get(party) + work > quota->work_per_day)
        return SERVE_ADD_WORK_USED;
    return SERVE_ADD_OK;
}

static void set_place(struct serve_table_entry *t)
{
    t->task.position = serve_fair_position(serve_local.queue, &t->place);
    t->task.waiting = serve_fair_waiting(serve_local.queue);
}

static enum serve_add_status add(const struct serve_identity *who, const char *id,
                                 json_t *record, struct serve_place *place)
{
    const char *party = serve_party(who);
    int64_t work = json_integer_value(json_object_get(record, "work"));
    enum serve_add_status status;
    struct serve_table_entry *t;

    pthread_mutex_lock(&serve_local.lock);
    status = check_limits(who, party, work);
    if (status == SERVE_ADD_OK) {
        t = !who->quota.work_per_day || serve_spent_add(party, work)
                ? serve_table_add(id, json_incref(record))
                : NULL;
        if (t) {
            serve_local_enqueue(t);
            set_place(t);
            *place = (struct serve_place){t->task.position, t->task.waiting};
        } else
            status = serve_store_is_disk_full(errno) ? SERVE_ADD_DISK_FULL
                                                     : SERVE_ADD_IO_ERROR;
    }
    json_decref(record); /* under the lock: the count is shared with the table */
    pthread_mutex_unlock(&serve_local.lock);
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

    pthread_mutex_lock(&serve_local.lock);
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
    pthread_mutex_unlock(&serve_local.lock);
    return j;
}

static json_t *list_open(const struct serve_identity *who)
{
    json_t *list = json_array();
    struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&serve_local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        if (serve_task_seen_by(&t->task, who)) {
            set_place(t);
            json_array_append_new(list, serve_task_progress_json(&t->task));
        }
    pthread_mutex_unlock(&serve_local.lock);
    return list;
}

static json_t *list_state(const struct serve_identity *who, enum serve_state state,
                          size_t limit)
{
    struct serve_table_entry *t = NULL;
    json_t *list;

    pthread_mutex_lock(&serve_local.lock);
    while (state == SERVE_QUEUED && (t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        set_place(t);
    list = serve_table_list_state(who, state, limit);
    pthread_mutex_unlock(&serve_local.lock);
    return list;
}

static enum serve_cancel_status cancel(const struct serve_identity *who, const char *id)
{
    enum serve_cancel_status status = SERVE_CANCEL_OK;
    struct serve_table_entry *t;

    pthread_mutex_lock(&serve_local.lock);
    t = find(who, id);
    if (!t)
        status = SERVE_CANCEL_UNKNOWN;
    else if (task_is_final(t))
        status = SERVE_CANCEL_FINISHED;
    else if (t->task.state == SERVE_QUEUED) {
        serve_fair_remove(serve_local.queue, &t->place);
        serve_local_set_cancelled(t);
        serve_local_change_places();
        serve_table_evict(); /* may free t */
    } else {
        /* The task's thread kills nst. The record is saved so that the cancellation
         * survives a kill of the service. */
        t->attempt.cancelled = true;
        json_object_set_new(t->task.record, "cancelled", json_true());
        serve_table_save(t);
    }
    pthread_mutex_unlock(&serve_local.lock);
    if (status == SERVE_CANCEL_OK)
        serve_local_tell_places();
    return status;
}

static enum serve_stop_status stop_and_keep(const struct serve_identity *who,
                                            const char *id)
{
    enum serve_stop_status status = SERVE_STOP_OK;
    struct serve_table_entry *t;

    pthread_mutex_lock(&serve_local.lock);
    t = find(who, id);
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
    pthread_mutex_unlock(&serve_local.lock);
    return status;
}

static enum serve_delete_status delete_task(const struct serve_identity *who,
                                            const char *id)
{
    enum serve_delete_status status = SERVE_DELETE_OK;
    struct serve_table_entry *t;

    pthread_mutex_lock(&serve_local.lock);
    t = find(who, id);
    if (!t)
        status = SERVE_DELETE_UNKNOWN;
    else if (!task_is_final(t))
        status = SERVE_DELETE_BUSY;
    else
        serve_table_remove(t);
    pthread_mutex_unlock(&serve_local.lock);
    if (status == SERVE_DELETE_OK)
        serve_local.on_change(id);
    return status;
}

static json_t *history(const struct serve_identity *who, size_t offset, size_t limit,
                       size_t *total)
{
    json_t *by_content;

    pthread_mutex_lock(&serve_local.lock);
    by_content = serve_table_history(who, offset, limit, total);
    pthread_mutex_unlock(&serve_local.lock);
    return by_content;
}

static enum serve_delete_status delete_content(const struct serve_identity *who,
                                               const char *content)
{
    enum serve_delete_status status;

    pthread_mutex_lock(&serve_local.lock);
    status = serve_table_delete_content(who, content);
    pthread_mutex_unlock(&serve_local.lock);
    return status;
}

static enum serve_style_status style_status(const char *style)
{
    enum serve_style_status status = SERVE_STYLE_UNUSED;
    const struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&serve_local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        if (serve_task_uses_style(t->task.record, style))
            status = SERVE_STYLE_IN_USE;
    pthread_mutex_unlock(&serve_local.lock);
    return status;
}

static void count(struct serve_counts *out)
{
    pthread_mutex_lock(&serve_local.lock);
    *out = *serve_table_counts();
    pthread_mutex_unlock(&serve_local.lock);
}

static bool usage(const char *party, struct serve_usage *out)
{
    pthread_mutex_lock(&serve_local.lock);
    serve_fair_count(serve_local.queue, party, &out->waiting, &out->running);
    out->work = serve_spent_get(party);
    pthread_mutex_unlock(&serve_local.lock);
    return true;
}

static void sweep(int64_t max_age, size_t max_files)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const struct serve_table_entry *t = NULL;

    pthread_mutex_lock(&serve_local.lock);
    while ((t = serve_table_next(SERVE_LIST_ACTIVE, t)))
        serve_task_collect_uploads(used, t->task.record);
    while ((t = serve_table_next(SERVE_LIST_FINISHED, t)))
        serve_task_collect_uploads(used, t->task.record);
    serve_sweep_uploads(used, max_age, max_files, serve_owner_party);
    pthread_mutex_unlock(&serve_local.lock);
    g_hash_table_destroy(used);
}

const struct serve_queue serve_queue_local = {.open = serve_local_open,
                                              .drain = serve_local_drain,
                                              .running = serve_local_running,
                                              .tick = serve_local_tick,
                                              .stop = serve_local_stop,
                                              .close = serve_local_close,
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
                                              .count = count,
                                              .usage = usage};
