/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/kept_tasks.h"
#include "serve/log.h"
#include "serve/store.h"

static struct {
    const struct serve_settings *settings;
    void (*changed)(const char *id);
    pthread_t thread[SERVE_TASKS_MOST];
    unsigned threads, working;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t queued;
    GQueue queue;          /* of those that are queued */
    bool ending, stopping; /* no more are begun; those that run are to stop */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .queued = PTHREAD_COND_INITIALIZER,
         .queue = G_QUEUE_INIT};

static bool is_over(const struct serve_kept *t)
{
    return serve_task_is_over(t->is.state);
}

/* Nothing that a cancelled task made is kept; all is locked. */
static void turn_cancelled(struct serve_kept *t)
{
    json_object_set_new(t->is.record, "finished", json_real(serve_task_now()));
    serve_kept_turn(t, SERVE_CANCELLED);
    serve_store_end_work(t->is.id);
    serve_task_remove_result(t->is.id);
}

/* One of before the service was ended. What ran goes on; a kill of the service is no
 * failure of the task. */
static void take_up(void *ctx, const char *file)
{
    struct serve_kept *t = serve_kept_read(file);
    char *name, *path;
    struct stat st;

    (void)ctx;
    if (!t || is_over(t))
        return;
    path = serve_task_result(t->is.id, &name);
    if (json_is_true(json_object_get(t->is.record, "cancelled")))
        turn_cancelled(t);
    else if (stat(path, &st) == 0) {
        serve_task_complete(&t->is);
        serve_kept_turn(t, SERVE_COMPLETED);
    } else {
        if (t->is.state == SERVE_RUNNING && t->is.attempts > 0)
            t->is.attempts--;
        serve_kept_turn(t, SERVE_QUEUED);
    }
    free(name);
    free(path);
}

/* All that is open waits, now that all are taken up. */
static void queue_up(void *ctx, struct serve_kept *t)
{
    (void)ctx;
    g_queue_push_tail(&all.queue, t);
}

/* What a killed service left of tasks that are over, or never were. */
static void drop_work(void *ctx, const char *name)
{
    const struct serve_kept *t = serve_kept_find(name);

    (void)ctx;
    if (!t || is_over(t))
        serve_store_end_work(name);
}

static void drop_result(void *ctx, const char *name)
{
    char *id = nst_xasprintf("%.*s", (int)strcspn(name, "."), name);

    (void)ctx;
    if (!serve_kept_find(id))
        serve_store_remove_picture("results", name);
    free(id);
}

/* What became of an attempt; all is locked. */
static void settle(struct serve_kept *t, const struct serve_outcome *o)
{
    enum serve_state state =
        serve_task_settle(&t->is, o, t->making.cancelled, all.settings->retries);

    if (state == SERVE_COMPLETED)
        serve_kept_counts()->seconds += o->seconds;
    serve_kept_turn(t, state);
    if (serve_task_is_over(state)) {
        serve_task_log_end(&t->is, state);
        serve_store_end_work(t->is.id);
        if (state == SERVE_CANCELLED) /* it may just have been made */
            serve_task_remove_result(t->is.id);
    } else if (o->end == SERVE_CRASHED) {
        serve_kept_counts()->retries++;
        g_queue_push_head(&all.queue, t);
        pthread_cond_signal(&all.queued);
    }
}

/* serve_making.tell */
static void on_step(void *ctx, const struct serve_step *step)
{
    struct serve_kept *t = ctx;

    pthread_mutex_lock(&all.lock);
    t->is.step = *step;
    t->is.version++;
    pthread_mutex_unlock(&all.lock);
    all.changed(t->is.id);
}

/* Make the task, with all unlocked meanwhile. */
static void attempt(struct serve_kept *t)
{
    char id[sizeof t->is.id], *name, *result = serve_task_result(t->is.id, &name);
    struct serve_outcome outcome;
    json_t *record = json_deep_copy(t->is.record);

    memcpy(id, t->is.id, sizeof id);
    t->is.attempts++;
    t->making = (struct serve_making){.id = t->is.id,
                                      .record = record,
                                      .result = result,
                                      .share = ++all.working,
                                      .tell = on_step,
                                      .ctx = t,
                                      .stop = all.stopping};
    t->is.step = serve_no_step;
    json_object_set_new(t->is.record, "started", json_real(serve_task_now()));
    serve_kept_turn(t, SERVE_RUNNING);
    pthread_mutex_unlock(&all.lock);
    all.changed(id);
    serve_make(&t->making, all.settings, &outcome);
    pthread_mutex_lock(&all.lock);
    all.working--;
    settle(t, &outcome);
    serve_kept_drop_oldest(); /* perhaps this one */
    pthread_mutex_unlock(&all.lock);
    all.changed(id);
    pthread_mutex_lock(&all.lock);
    free(outcome.error);
    json_decref(record);
    free(result);
    free(name);
}

static void *work(void *none)
{
    (void)none;
    pthread_mutex_lock(&all.lock);
    while (!all.ending) {
        struct serve_kept *t = g_queue_pop_head(&all.queue);

        if (t)
            attempt(t);
        else
            pthread_cond_wait(&all.queued, &all.lock);
    }
    pthread_mutex_unlock(&all.lock);
    return NULL;
}

static enum nst_status open_queue(const struct serve_settings *s,
                                  void (*changed)(const char *id), struct nst_err *err)
{
    all.settings = s;
    all.changed = changed;
    serve_kept_open(s);
    pthread_mutex_lock(&all.lock);
    serve_store_each("tasks", take_up, NULL);
    serve_kept_each(SERVE_KEPT_OPEN, queue_up, NULL);
    serve_store_each("work", drop_work, NULL);
    serve_store_each("results", drop_result, NULL);
    serve_kept_drop_oldest();
    memset(serve_kept_counts()->ended, 0, sizeof serve_kept_counts()->ended);
    pthread_mutex_unlock(&all.lock);
    for (; all.threads < (unsigned)s->max_tasks; all.threads++)
        if (pthread_create(&all.thread[all.threads], NULL, work, NULL) != 0)
            return nst_err_set(err, NST_ERR_IO, "cannot start a thread");
    return NST_OK;
}

static void drain(void)
{
    pthread_mutex_lock(&all.lock);
    all.ending = true;
    pthread_cond_broadcast(&all.queued);
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

static void stop_one(void *ctx, struct serve_kept *t)
{
    (void)ctx;
    t->making.stop = true;
}

static void stop(void)
{
    drain();
    pthread_mutex_lock(&all.lock);
    serve_kept_each(SERVE_KEPT_OPEN, stop_one, NULL);
    all.stopping = true;
    pthread_mutex_unlock(&all.lock);
    for (unsigned i = 0; i < all.threads; i++)
        pthread_join(all.thread[i], NULL);
    all.threads = 0;
}

static void close_queue(void)
{
    g_queue_clear(&all.queue);
    serve_kept_close();
}

static bool reachable(void)
{
    return true; /* it is in this process */
}

/* All is locked. */
static enum serve_added enqueue(const char *id, json_t *record)
{
    struct serve_kept *t;

    if (all.ending)
        return SERVE_ENDING;
    if (g_queue_get_length(&all.queue) >= (guint)all.settings->max_queue)
        return SERVE_FULL;
    t = serve_kept_add(id, json_incref(record));
    if (!t)
        return serve_store_is_full(errno) ? SERVE_DISK_FULL : SERVE_BROKEN;
    g_queue_push_tail(&all.queue, t);
    pthread_cond_signal(&all.queued);
    return SERVE_ADDED;
}

static enum serve_added add(const char *id, json_t *record)
{
    enum serve_added added;

    pthread_mutex_lock(&all.lock);
    added = enqueue(id, record);
    json_decref(record); /* while nobody else has it */
    pthread_mutex_unlock(&all.lock);
    return added;
}

static json_t *progress(const char *id, unsigned *version, bool *over)
{
    const struct serve_kept *t;
    json_t *j = NULL;

    pthread_mutex_lock(&all.lock);
    t = serve_kept_find(id);
    if (t) {
        j = serve_task_progress(&t->is);
        if (version)
            *version = t->is.version;
        if (over)
            *over = is_over(t);
    } else
        errno = ENOENT;
    pthread_mutex_unlock(&all.lock);
    return j;
}

static void add_progress(void *ctx, struct serve_kept *t)
{
    json_array_append_new(ctx, serve_task_progress(&t->is));
}

static json_t *list_open(void)
{
    json_t *list = json_array();

    pthread_mutex_lock(&all.lock);
    serve_kept_each(SERVE_KEPT_OPEN, add_progress, list);
    pthread_mutex_unlock(&all.lock);
    return list;
}

/* Its thread sees to it; a service that is killed before that finds it written down.
 * All is locked. */
static void cancel_running(struct serve_kept *t)
{
    struct nst_err err;

    t->making.cancelled = true;
    json_object_set_new(t->is.record, "cancelled", json_true());
    if (serve_kept_write(t, &err) != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
}

static enum serve_cancel cancel(const char *id)
{
    enum serve_cancel done = SERVE_CANCEL_UNKNOWN;
    struct serve_kept *t;

    pthread_mutex_lock(&all.lock);
    t = serve_kept_find(id);
    if (t && is_over(t))
        done = SERVE_CANCEL_OVER;
    else if (t) {
        done = SERVE_CANCEL_DONE;
        if (t->is.state == SERVE_QUEUED) {
            g_queue_remove(&all.queue, t);
            turn_cancelled(t);
            serve_kept_drop_oldest(); /* perhaps this one */
        } else
            cancel_running(t);
    }
    pthread_mutex_unlock(&all.lock);
    if (done == SERVE_CANCEL_DONE)
        all.changed(id);
    return done;
}

/* Newest first: from the end of the list on. */
static json_t *history(size_t first, size_t most, size_t *total)
{
    json_t *by_content = json_object();
    GSequence *made;
    GSequenceIter *at;

    pthread_mutex_lock(&all.lock);
    made = serve_kept_in(SERVE_KEPT_COMPLETED);
    *total = (size_t)g_sequence_get_length(made);
    at = g_sequence_get_iter_at_pos(made, (gint)(*total - MIN(first, *total)));
    while (most-- > 0 && !g_sequence_iter_is_begin(at)) {
        at = g_sequence_iter_prev(at);
        serve_task_add_entry(by_content,
                             &((struct serve_kept *)g_sequence_get(at))->is);
    }
    pthread_mutex_unlock(&all.lock);
    return by_content;
}

struct forgetting {
    const char *content;
    enum serve_forgotten result;
};

static void note_use(void *ctx, struct serve_kept *t)
{
    struct forgetting *f = ctx;

    if (serve_task_uses(t->is.record, f->content))
        f->result = SERVE_BUSY;
}

static void forget_one(void *ctx, struct serve_kept *t)
{
    struct forgetting *f = ctx;

    if (g_strcmp0(serve_task_text(&t->is, "content_img"), f->content) != 0)
        return;
    serve_kept_forget(t);
    f->result = SERVE_FORGOTTEN;
}

static enum serve_forgotten forget_content(const char *content)
{
    struct forgetting f = {content, SERVE_UNKNOWN};

    pthread_mutex_lock(&all.lock);
    serve_kept_each(SERVE_KEPT_OPEN, note_use, &f);
    if (f.result != SERVE_BUSY)
        serve_kept_each(SERVE_KEPT_OVER, forget_one, &f);
    if (f.result == SERVE_FORGOTTEN)
        serve_store_remove_picture("uploads", content);
    pthread_mutex_unlock(&all.lock);
    return f.result;
}

struct need {
    const char *style;
    bool is;
};

static void note_style(void *ctx, struct serve_kept *t)
{
    struct need *n = ctx;

    n->is = n->is || serve_task_has_style(t->is.record, n->style);
}

static enum serve_needed needs(const char *style)
{
    struct need n = {style, false};

    pthread_mutex_lock(&all.lock);
    serve_kept_each(SERVE_KEPT_OPEN, note_style, &n);
    pthread_mutex_unlock(&all.lock);
    return n.is ? SERVE_NEEDED : SERVE_NOT_NEEDED;
}

static void count(struct serve_counts *out)
{
    pthread_mutex_lock(&all.lock);
    *out = *serve_kept_counts();
    pthread_mutex_unlock(&all.lock);
}

static void use(void *ctx, struct serve_kept *t)
{
    serve_task_use(ctx, t->is.record);
}

static void sweep(int64_t seconds, size_t most)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    pthread_mutex_lock(&all.lock);
    serve_kept_each(SERVE_KEPT_OPEN, use, used);
    serve_kept_each(SERVE_KEPT_OVER, use, used);
    serve_store_sweep(used, seconds, most);
    pthread_mutex_unlock(&all.lock);
    g_hash_table_destroy(used);
}

const struct serve_queue serve_queue_local = {.open = open_queue,
                                              .drain = drain,
                                              .working = working,
                                              .stop = stop,
                                              .close = close_queue,
                                              .reachable = reachable,
                                              .add = add,
                                              .progress = progress,
                                              .cancel = cancel,
                                              .list = list_open,
                                              .history = history,
                                              .forget = forget_content,
                                              .needs = needs,
                                              .sweep = sweep,
                                              .count = count};
