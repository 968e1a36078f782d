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

#include "serve/log.h"
#include "serve/store.h"
#include "serve/task.h"

struct task {
    struct serve_task is; /* its record is what is on the disk */
    struct serve_making making;
};

static struct {
    const struct serve_settings *settings;
    void (*changed)(const char *id);
    pthread_t thread[SERVE_TASKS_MOST];
    unsigned threads, working;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t queued;
    GHashTable *tasks; /* by their id */
    GQueue queue;      /* of those that are queued */
    int64_t next;
    bool ending, stopping; /* no more are begun; those that run are to stop */
    struct serve_counts counts;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .queued = PTHREAD_COND_INITIALIZER,
         .queue = G_QUEUE_INIT};

static char *file_of(const struct task *t)
{
    return nst_xasprintf("%s.json", t->is.id);
}

static enum nst_status write_down(struct task *t, struct nst_err *err)
{
    char *name = file_of(t);
    enum nst_status st;

    json_object_set_new(t->is.record, "state",
                        json_string(serve_state_names[t->is.state]));
    json_object_set_new(t->is.record, "attempts", json_integer(t->is.attempts));
    st = serve_store_write(name, t->is.record, err);
    free(name);
    return st;
}

/* Its state is another; all is locked. That it cannot be written down is worth a word:
 * a service that is killed then does it again. */
static void turn(struct task *t, enum serve_state state)
{
    struct nst_err err;

    all.counts.now[t->is.state]--;
    all.counts.now[state]++;
    all.counts.ended[state]++;
    t->is.state = state;
    t->is.version++;
    if (write_down(t, &err) != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
}

static bool is_over(const struct task *t)
{
    return serve_task_is_over(t->is.state);
}

static void free_task(gpointer p)
{
    struct task *t = p;

    json_decref(t->is.record);
    free(t);
}

/* All files of a task that is over. */
static void remove_files(const struct task *t)
{
    const char *result = serve_task_text(&t->is, "output_img");
    char *file = file_of(t);

    if (result)
        serve_store_remove_picture("results", result);
    serve_store_end_work(t->is.id);
    serve_store_remove("tasks", file);
    free(file);
}

static gint by_number(gconstpointer a, gconstpointer b, gpointer none)
{
    const struct task *x = a, *y = b;

    (void)none;
    return (x->is.number > y->is.number) - (x->is.number < y->is.number);
}

static gint oldest_first(gconstpointer a, gconstpointer b)
{
    return by_number(a, b, NULL);
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
    return by_number(b, a, NULL);
}

/* Those of a state, newest first; of SERVE_STATES, all that are over. g_list_free(). */
static GList *tasks_of(enum serve_state state)
{
    GList *list = NULL;
    GHashTableIter at;
    gpointer p;

    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p)) {
        const struct task *t = p;

        if (state == SERVE_STATES ? is_over(t) : t->is.state == state)
            list = g_list_prepend(list, p);
    }
    return g_list_sort(list, newest_first);
}

static void forget(struct task *t)
{
    remove_files(t);
    all.counts.now[t->is.state]--;
    g_hash_table_remove(all.tasks, t->is.id);
}

/* The oldest that are over go when there are too many. */
static void drop_oldest(void)
{
    const unsigned *n = all.counts.now;
    GList *list = NULL;

    if (n[SERVE_COMPLETED] + n[SERVE_FAILED] + n[SERVE_CANCELLED] >
        all.settings->max_history_images)
        list = tasks_of(SERVE_STATES);
    for (GList *l = g_list_nth(list, (guint)all.settings->max_history_images); l;
         l = l->next)
        forget(l->data);
    g_list_free(list);
}

/* A task of a file, or NULL if the file is none. */
static struct task *read_task(const char *name)
{
    char *path = serve_store_path("tasks", name);
    json_t *record = json_load_file(path, 0, NULL);
    enum serve_state state =
        serve_task_state(json_string_value(json_object_get(record, "state")));
    struct task *t;

    free(path);
    if (state == SERVE_STATES || strlen(name) != SERVE_TASK_ID + strlen(".json") ||
        !serve_task_is_sound(record) ||
        (state == SERVE_COMPLETED && !json_object_get(record, "output_img"))) {
        json_decref(record);
        serve_log(SERVE_WARNING, "tasks/%s: is not a task", name);
        return NULL;
    }
    t = nst_xcalloc(1, sizeof *t);
    memcpy(t->is.id, name, SERVE_TASK_ID);
    t->is.state = state;
    t->is.record = record;
    t->is.number = json_integer_value(json_object_get(record, "number"));
    t->is.attempts = (unsigned)json_integer_value(json_object_get(record, "attempts"));
    return t;
}

/* Nothing that a cancelled task made is kept; all is locked. */
static void turn_cancelled(struct task *t)
{
    json_object_set_new(t->is.record, "finished", json_real(serve_task_now()));
    turn(t, SERVE_CANCELLED);
    serve_store_end_work(t->is.id);
    serve_task_remove_result(t->is.id);
}

/* One of before the service was ended. What ran goes on; a kill of the service is no
 * failure of the task. */
static void take_up(void *ctx, const char *file)
{
    struct task *t = read_task(file);
    char *name, *path;
    struct stat st;

    (void)ctx;
    if (!t)
        return;
    if (t->is.number >= all.next)
        all.next = t->is.number + 1;
    all.counts.now[t->is.state]++;
    g_hash_table_insert(all.tasks, t->is.id, t);
    if (is_over(t))
        return;
    path = serve_task_result(t->is.id, &name);
    if (json_is_true(json_object_get(t->is.record, "cancelled")))
        turn_cancelled(t);
    else if (stat(path, &st) == 0) {
        serve_task_complete(&t->is);
        turn(t, SERVE_COMPLETED);
    } else {
        if (t->is.state == SERVE_RUNNING && t->is.attempts > 0)
            t->is.attempts--;
        turn(t, SERVE_QUEUED);
        g_queue_insert_sorted(&all.queue, t, by_number, NULL);
    }
    free(name);
    free(path);
}

/* What a killed service left of tasks that are over, or never were. */
static void drop_work(void *ctx, const char *name)
{
    const struct task *t = g_hash_table_lookup(all.tasks, name);

    (void)ctx;
    if (!t || is_over(t))
        serve_store_end_work(name);
}

static void drop_result(void *ctx, const char *name)
{
    char *id = nst_xasprintf("%.*s", (int)strcspn(name, "."), name);

    (void)ctx;
    if (!g_hash_table_lookup(all.tasks, id))
        serve_store_remove_picture("results", name);
    free(id);
}

/* What became of an attempt; all is locked. */
static void settle(struct task *t, const struct serve_outcome *o)
{
    enum serve_state state =
        serve_task_settle(&t->is, o, t->making.cancelled, all.settings->retries);

    if (state == SERVE_COMPLETED)
        all.counts.seconds += o->seconds;
    turn(t, state);
    if (serve_task_is_over(state)) {
        serve_task_log_end(&t->is, state);
        serve_store_end_work(t->is.id);
        if (state == SERVE_CANCELLED) /* it may just have been made */
            serve_task_remove_result(t->is.id);
    } else if (o->end == SERVE_CRASHED) {
        all.counts.retries++;
        g_queue_push_head(&all.queue, t);
        pthread_cond_signal(&all.queued);
    }
}

/* serve_making.tell */
static void on_step(void *ctx, const struct serve_step *step)
{
    struct task *t = ctx;

    pthread_mutex_lock(&all.lock);
    t->is.step = *step;
    t->is.version++;
    pthread_mutex_unlock(&all.lock);
    all.changed(t->is.id);
}

/* Make the task, with all unlocked meanwhile. */
static void attempt(struct task *t)
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
    turn(t, SERVE_RUNNING);
    pthread_mutex_unlock(&all.lock);
    all.changed(id);
    serve_make(&t->making, all.settings, &outcome);
    pthread_mutex_lock(&all.lock);
    all.working--;
    settle(t, &outcome);
    drop_oldest(); /* perhaps this one */
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
        struct task *t = g_queue_pop_head(&all.queue);

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
    all.tasks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_task);
    pthread_mutex_lock(&all.lock);
    serve_store_each("tasks", take_up, NULL);
    serve_store_each("work", drop_work, NULL);
    serve_store_each("results", drop_result, NULL);
    drop_oldest();
    memset(all.counts.ended, 0, sizeof all.counts.ended);
    pthread_mutex_unlock(&all.lock);
    for (; all.threads < (unsigned)s->max_tasks; all.threads++)
        if (pthread_create(&all.thread[all.threads], NULL, work, NULL) != 0)
            return nst_err_set(err, NST_ERR_IO, "cannot begin a thread");
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

static void stop(void)
{
    GHashTableIter at;
    gpointer p;

    drain();
    pthread_mutex_lock(&all.lock);
    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p))
        ((struct task *)p)->making.stop = true;
    all.stopping = true;
    pthread_mutex_unlock(&all.lock);
    for (unsigned i = 0; i < all.threads; i++)
        pthread_join(all.thread[i], NULL);
    all.threads = 0;
}

static void close_queue(void)
{
    g_queue_clear(&all.queue);
    g_hash_table_destroy(all.tasks);
}

static bool reachable(void)
{
    return true; /* it is in this process */
}

/* All is locked. */
static enum serve_added enqueue(struct task *t)
{
    struct nst_err err;

    if (all.ending)
        return SERVE_ENDING;
    if (g_queue_get_length(&all.queue) >= (guint)all.settings->max_queue)
        return SERVE_FULL;
    t->is.number = all.next++;
    json_object_set_new(t->is.record, "number", json_integer(t->is.number));
    if (write_down(t, &err) != NST_OK) {
        bool full = serve_store_is_full(errno);

        serve_log(SERVE_ERROR, "%s", err.text);
        return full ? SERVE_DISK_FULL : SERVE_BROKEN;
    }
    all.counts.now[SERVE_QUEUED]++;
    g_hash_table_insert(all.tasks, t->is.id, t);
    g_queue_push_tail(&all.queue, t);
    pthread_cond_signal(&all.queued);
    return SERVE_ADDED;
}

static enum serve_added add(const char *id, json_t *record)
{
    struct task *t = nst_xcalloc(1, sizeof *t);
    enum serve_added added;

    snprintf(t->is.id, sizeof t->is.id, "%s", id);
    t->is.record = record;
    pthread_mutex_lock(&all.lock);
    added = enqueue(t);
    pthread_mutex_unlock(&all.lock);
    if (added != SERVE_ADDED)
        free_task(t);
    return added;
}

static json_t *progress(const char *id, unsigned *version, bool *over)
{
    const struct task *t;
    json_t *j = NULL;

    pthread_mutex_lock(&all.lock);
    t = g_hash_table_lookup(all.tasks, id);
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

static json_t *list_open(void)
{
    json_t *list = json_array();
    GHashTableIter at;
    GList *open = NULL;
    gpointer p;

    pthread_mutex_lock(&all.lock);
    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p))
        if (!is_over(p))
            open = g_list_prepend(open, p);
    open = g_list_sort(open, oldest_first);
    for (GList *l = open; l; l = l->next)
        json_array_append_new(list, serve_task_progress(&((struct task *)l->data)->is));
    g_list_free(open);
    pthread_mutex_unlock(&all.lock);
    return list;
}

/* Its thread sees to it; a service that is killed before that finds it written down.
 * All is locked. */
static void cancel_running(struct task *t)
{
    struct nst_err err;

    t->making.cancelled = true;
    json_object_set_new(t->is.record, "cancelled", json_true());
    if (write_down(t, &err) != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
}

static enum serve_cancel cancel(const char *id)
{
    enum serve_cancel done = SERVE_CANCEL_UNKNOWN;
    struct task *t;

    pthread_mutex_lock(&all.lock);
    t = g_hash_table_lookup(all.tasks, id);
    if (t && is_over(t))
        done = SERVE_CANCEL_OVER;
    else if (t) {
        done = SERVE_CANCEL_DONE;
        if (t->is.state == SERVE_QUEUED) {
            g_queue_remove(&all.queue, t);
            turn_cancelled(t);
            drop_oldest(); /* perhaps this one */
        } else
            cancel_running(t);
    }
    pthread_mutex_unlock(&all.lock);
    if (done == SERVE_CANCEL_DONE)
        all.changed(id);
    return done;
}

static json_t *history(size_t first, size_t most, size_t *total)
{
    json_t *by_content = json_object();
    GList *list;

    pthread_mutex_lock(&all.lock);
    list = tasks_of(SERVE_COMPLETED);
    *total = g_list_length(list);
    for (GList *l = g_list_nth(list, (guint)first); l && most > 0; l = l->next, most--)
        serve_task_add_entry(by_content, &((struct task *)l->data)->is);
    g_list_free(list);
    pthread_mutex_unlock(&all.lock);
    return by_content;
}

static bool is_of(const struct task *t, const char *content)
{
    return g_strcmp0(serve_task_text(&t->is, "content_img"), content) == 0;
}

static enum serve_forgotten forget_content(const char *content)
{
    enum serve_forgotten result = SERVE_UNKNOWN;
    GList *mine = NULL;
    GHashTableIter at;
    gpointer p;

    pthread_mutex_lock(&all.lock);
    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p))
        if (!is_over(p) && serve_task_uses(((struct task *)p)->is.record, content))
            result = SERVE_BUSY;
        else if (is_of(p, content))
            mine = g_list_prepend(mine, p);
    if (mine && result != SERVE_BUSY) {
        result = SERVE_FORGOTTEN;
        for (GList *l = mine; l; l = l->next)
            forget(l->data);
        serve_store_remove_picture("uploads", content);
    }
    g_list_free(mine);
    pthread_mutex_unlock(&all.lock);
    return result;
}

static void count(struct serve_counts *out)
{
    pthread_mutex_lock(&all.lock);
    *out = all.counts;
    pthread_mutex_unlock(&all.lock);
}

static void sweep(int64_t seconds, size_t most)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter at;
    gpointer p;

    pthread_mutex_lock(&all.lock);
    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p))
        serve_task_use(used, ((struct task *)p)->is.record);
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
                                              .sweep = sweep,
                                              .count = count};
