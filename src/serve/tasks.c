/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/log.h"
#include "serve/maker.h"
#include "serve/request.h"
#include "serve/store.h"

const char *const serve_state_names[SERVE_STATES] = {"queued", "running", "completed",
                                                     "failed", "cancelled"};

struct task {
    char id[SERVE_TASK_ID + 1];
    int64_t number; /* tasks are made in this order */
    enum serve_state state;
    json_t *record; /* what is on the disk */
    unsigned version, attempts;
    struct serve_step step; /* while it runs */
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

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void set_text(json_t *j, const char *key, const char *value)
{
    json_t *text = value ? json_string(value) : NULL;

    if (value && !text) /* not UTF-8 */
        text = json_string("?");
    json_object_set_new(j, key, text ? text : json_null());
}

static const char *text_of(const struct task *t, const char *key)
{
    return json_string_value(json_object_get(t->record, key));
}

static char *file_of(const struct task *t)
{
    return nst_xasprintf("%s.json", t->id);
}

static enum nst_status write_down(struct task *t, struct nst_err *err)
{
    char *name = file_of(t);
    enum nst_status st;

    set_text(t->record, "state", serve_state_names[t->state]);
    json_object_set_new(t->record, "attempts", json_integer(t->attempts));
    st = serve_store_write(name, t->record, err);
    free(name);
    return st;
}

/* Its state is another; all is locked. That it cannot be written down is worth a word:
 * a service that is killed then does it again. */
static void turn(struct task *t, enum serve_state state)
{
    struct nst_err err;

    all.counts.now[t->state]--;
    all.counts.now[state]++;
    all.counts.ended[state]++;
    t->state = state;
    t->version++;
    if (write_down(t, &err) != NST_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
}

static void free_task(gpointer p)
{
    struct task *t = p;

    json_decref(t->record);
    free(t);
}

static bool is_over(const struct task *t)
{
    return t->state != SERVE_QUEUED && t->state != SERVE_RUNNING;
}

/* All files of a task that is over. */
static void remove_files(const struct task *t)
{
    const char *result = text_of(t, "output_img");
    char *file = file_of(t);

    if (result)
        serve_store_remove_picture("results", result);
    serve_store_end_work(t->id);
    serve_store_remove("tasks", file);
    free(file);
}

static gint by_number(gconstpointer a, gconstpointer b, gpointer none)
{
    const struct task *x = a, *y = b;

    (void)none;
    return (x->number > y->number) - (x->number < y->number);
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

        if (state == SERVE_STATES ? is_over(t) : t->state == state)
            list = g_list_prepend(list, p);
    }
    return g_list_sort(list, newest_first);
}

static void forget(struct task *t)
{
    remove_files(t);
    all.counts.now[t->state]--;
    g_hash_table_remove(all.tasks, t->id);
}

/* The oldest that are over go when there are too many. */
static void drop_oldest(void)
{
    GList *list = tasks_of(SERVE_STATES);

    for (GList *l = g_list_nth(list, (guint)all.settings->max_history_images); l;
         l = l->next)
        forget(l->data);
    g_list_free(list);
}

static char *result_path(const struct task *t, char **name)
{
    *name = nst_xasprintf("%s.png", t->id);
    return serve_store_path("results", *name);
}

static void complete(struct task *t)
{
    char *name, *path = result_path(t, &name);

    free(path);
    set_text(t->record, "output_img", name);
    free(name);
    json_object_set_new(t->record, "finished", json_real(now()));
    turn(t, SERVE_COMPLETED);
}

static int state_called(const char *name)
{
    for (int i = 0; name && i < SERVE_STATES; i++)
        if (strcmp(name, serve_state_names[i]) == 0)
            return i;
    return -1;
}

/* Has the record all that is relied on? */
static bool is_sound(json_t *record)
{
    const char *state, *content, *style, *result = NULL;
    json_t *styles, *options;

    return json_unpack(record, "{s:s, s:s, s:s, s:o, s:o, s?s}", "state", &state,
                       "content_img", &content, "style_img", &style, "styles", &styles,
                       "options", &options, "output_img", &result) == 0 &&
           json_is_array(styles) && json_is_object(options) &&
           serve_store_name(content) && state_called(state) >= 0 &&
           (result ? serve_store_name(result) : state_called(state) != SERVE_COMPLETED);
}

/* A task of a file, or NULL if the file is none. */
static struct task *read_task(const char *name)
{
    char *path = serve_store_path("tasks", name);
    json_t *record = json_load_file(path, 0, NULL);
    struct task *t;

    free(path);
    if (strlen(name) != SERVE_TASK_ID + strlen(".json") || !is_sound(record)) {
        json_decref(record);
        serve_log(SERVE_WARNING, "tasks/%s: is not a task", name);
        return NULL;
    }
    t = nst_xcalloc(1, sizeof *t);
    memcpy(t->id, name, SERVE_TASK_ID);
    t->record = record;
    t->state = (enum serve_state)state_called(
        json_string_value(json_object_get(record, "state")));
    t->number = json_integer_value(json_object_get(record, "number"));
    t->attempts = (unsigned)json_integer_value(json_object_get(record, "attempts"));
    return t;
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
    if (t->number >= all.next)
        all.next = t->number + 1;
    all.counts.now[t->state]++;
    g_hash_table_insert(all.tasks, t->id, t);
    if (is_over(t))
        return;
    path = result_path(t, &name);
    if (stat(path, &st) == 0)
        complete(t);
    else {
        if (t->state == SERVE_RUNNING && t->attempts > 0)
            t->attempts--;
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
        serve_store_remove("results", name);
    free(id);
}

/* What became of an attempt; all is locked. */
static void settle(struct task *t, const struct serve_outcome *o)
{
    if (o->end == SERVE_MADE) {
        all.counts.seconds += o->seconds;
        json_object_set_new(t->record, "content_loss", json_real(o->content_loss));
        json_object_set_new(t->record, "style_loss", json_real(o->style_loss));
        json_object_set_new(t->record, "seconds", json_real(o->seconds));
        complete(t);
    } else if (o->end == SERVE_STOPPED && !t->making.cancelled) {
        t->attempts--; /* it was none */
        turn(t, SERVE_QUEUED);
    } else if (o->end == SERVE_CRASHED &&
               t->attempts <= (unsigned)all.settings->retries && !t->making.cancelled) {
        serve_log(SERVE_WARNING, "task %s: %s; it is tried again", t->id, o->error);
        all.counts.retries++;
        turn(t, SERVE_QUEUED);
        g_queue_push_head(&all.queue, t);
        pthread_cond_signal(&all.queued);
    } else {
        if (!t->making.cancelled)
            set_text(t->record, "error", o->error);
        json_object_set_new(t->record, "finished", json_real(now()));
        turn(t, t->making.cancelled ? SERVE_CANCELLED : SERVE_FAILED);
    }
    if (is_over(t)) {
        serve_log(t->state == SERVE_FAILED ? SERVE_WARNING : SERVE_INFO,
                  "task %s: %s%s%s", t->id, serve_state_names[t->state],
                  t->state == SERVE_FAILED ? ": " : "",
                  t->state == SERVE_FAILED ? o->error : "");
        serve_store_end_work(t->id);
    }
}

/* serve_making.tell */
static void on_step(void *ctx, const struct serve_step *step)
{
    struct task *t = ctx;

    pthread_mutex_lock(&all.lock);
    t->step = *step;
    t->version++;
    pthread_mutex_unlock(&all.lock);
    all.changed(t->id);
}

/* Make the task, with all unlocked meanwhile. */
static void attempt(struct task *t)
{
    char id[sizeof t->id], *name, *result = result_path(t, &name);
    struct serve_outcome outcome;
    json_t *record = json_deep_copy(t->record);

    memcpy(id, t->id, sizeof id);
    t->attempts++;
    t->making = (struct serve_making){.id = t->id,
                                      .record = record,
                                      .result = result,
                                      .share = ++all.working,
                                      .tell = on_step,
                                      .ctx = t,
                                      .stop = all.stopping};
    t->step = (struct serve_step){.content_loss = NAN, .style_loss = NAN, .eta = NAN};
    json_object_set_new(t->record, "started", json_real(now()));
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

enum nst_status serve_tasks_open(const struct serve_settings *s,
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
    while (all.threads < (unsigned)s->max_tasks)
        if (pthread_create(&all.thread[all.threads++], NULL, work, NULL) != 0)
            return nst_err_set(err, NST_ERR_IO, "cannot begin a thread");
    return NST_OK;
}

void serve_tasks_drain(void)
{
    pthread_mutex_lock(&all.lock);
    all.ending = true;
    pthread_cond_broadcast(&all.queued);
    pthread_mutex_unlock(&all.lock);
}

unsigned serve_tasks_working(void)
{
    unsigned n;

    pthread_mutex_lock(&all.lock);
    n = all.working;
    pthread_mutex_unlock(&all.lock);
    return n;
}

void serve_tasks_close(void)
{
    GHashTableIter at;
    gpointer p;

    serve_tasks_drain();
    pthread_mutex_lock(&all.lock);
    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p))
        ((struct task *)p)->making.stop = true;
    all.stopping = true;
    pthread_mutex_unlock(&all.lock);
    for (unsigned i = 0; i < all.threads; i++)
        pthread_join(all.thread[i], NULL);
    all.threads = 0;
    g_queue_clear(&all.queue);
    g_hash_table_destroy(all.tasks);
}

bool serve_tasks_reachable(void)
{
    return true; /* it is in this process */
}

/* All is locked. */
static enum serve_added add(struct task *t)
{
    struct nst_err err;

    if (all.ending)
        return SERVE_ENDING;
    if (g_queue_get_length(&all.queue) >= (guint)all.settings->max_queue)
        return SERVE_FULL;
    t->number = all.next++;
    json_object_set_new(t->record, "number", json_integer(t->number));
    if (write_down(t, &err) != NST_OK) {
        serve_log(SERVE_ERROR, "%s", err.text);
        return SERVE_BROKEN;
    }
    all.counts.now[SERVE_QUEUED]++;
    g_hash_table_insert(all.tasks, t->id, t);
    g_queue_push_tail(&all.queue, t);
    pthread_cond_signal(&all.queued);
    return SERVE_ADDED;
}

enum serve_added serve_tasks_add(json_t *record, char id[SERVE_TASK_ID + 1])
{
    struct task *t = nst_xcalloc(1, sizeof *t);
    char *name = serve_store_new_name("");
    enum serve_added added;

    memcpy(t->id, name, sizeof t->id);
    memcpy(id, name, sizeof t->id);
    free(name);
    t->record = record;
    json_object_set_new(record, "created", json_real(now()));
    pthread_mutex_lock(&all.lock);
    added = add(t);
    pthread_mutex_unlock(&all.lock);
    if (added != SERVE_ADDED)
        free_task(t);
    return added;
}

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *or_null(json_t *v)
{
    return v ? json_incref(v) : json_null();
}

/* The loss of the latest step, or the one that the task ended with. */
static json_t *loss(const struct task *t, const char *key, double latest)
{
    return t->state == SERVE_RUNNING ? number(latest)
                                     : or_null(json_object_get(t->record, key));
}

static json_t *output_url(const struct task *t)
{
    const char *name = text_of(t, "output_img");

    return name ? serve_url("results", name) : json_null();
}

/* All is locked. */
static json_t *progress_of(const struct task *t)
{
    const struct serve_step *m = &t->step;
    bool runs = t->state == SERVE_RUNNING && m->total > 0;
    json_int_t total = runs ? (json_int_t)m->total
                            : json_integer_value(json_object_get(t->record, "steps"));
    json_int_t done = t->state == SERVE_COMPLETED ? total
                      : runs                      ? (json_int_t)m->done
                                                  : 0;
    json_t *j =
        json_pack("{s:s, s:s, s:I, s:I, s:f, s:o, s:o, s:o, s:i}", "task_id", t->id,
                  "status", serve_state_names[t->state], "progress", done, "total",
                  total, "percent", total ? 100.0 * (double)done / (double)total : 0.0,
                  "content_loss", loss(t, "content_loss", m->content_loss),
                  "style_loss", loss(t, "style_loss", m->style_loss), "eta_seconds",
                  runs ? number(m->eta) : json_null(), "attempts", (int)t->attempts);
    static const char *const keys[] = {"error", "output_img", "content_img",
                                       "style_img"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set_new(j, keys[i], or_null(json_object_get(t->record, keys[i])));
    json_object_set_new(j, "output_url", output_url(t));
    return j;
}

json_t *serve_tasks_progress(const char *id, unsigned *version, bool *over)
{
    const struct task *t;
    json_t *j = NULL;

    pthread_mutex_lock(&all.lock);
    t = g_hash_table_lookup(all.tasks, id);
    if (t) {
        j = progress_of(t);
        if (version)
            *version = t->version;
        if (over)
            *over = is_over(t);
    }
    pthread_mutex_unlock(&all.lock);
    return j;
}

json_t *serve_tasks_list(void)
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
        json_array_append_new(list, progress_of(l->data));
    g_list_free(open);
    pthread_mutex_unlock(&all.lock);
    return list;
}

enum serve_cancel serve_tasks_cancel(const char *id)
{
    enum serve_cancel done = SERVE_CANCEL_UNKNOWN;
    struct task *t;

    pthread_mutex_lock(&all.lock);
    t = g_hash_table_lookup(all.tasks, id);
    if (t && is_over(t))
        done = SERVE_CANCEL_OVER;
    else if (t) {
        done = SERVE_CANCEL_DONE;
        t->making.cancelled = true;
        if (t->state == SERVE_QUEUED) {
            g_queue_remove(&all.queue, t);
            json_object_set_new(t->record, "finished", json_real(now()));
            turn(t, SERVE_CANCELLED);
            serve_store_end_work(t->id);
        }
    }
    pthread_mutex_unlock(&all.lock);
    if (done == SERVE_CANCEL_DONE)
        all.changed(id);
    return done;
}

int serve_tasks_preview(const char *id, char *name, uint64_t *size)
{
    char *path = NULL, *folder;
    const struct task *t;
    bool made = false;
    int fd;

    pthread_mutex_lock(&all.lock);
    t = g_hash_table_lookup(all.tasks, id);
    made = t && t->state == SERVE_COMPLETED;
    if (made)
        path = serve_store_path("results", text_of(t, "output_img"));
    else if (t && !is_over(t)) {
        folder = serve_store_path("work", id);
        path = nst_xasprintf("%s/" SERVE_PREVIEW, folder);
        free(folder);
    }
    pthread_mutex_unlock(&all.lock);
    fd = path ? serve_file_open(path, size) : -1;
    snprintf(name, SERVE_TASK_ID + 5, "%.*s%s", SERVE_TASK_ID, id,
             made ? ".png" : ".jpg");
    free(path);
    return fd;
}

static json_t *entry(const struct task *t)
{
    static const char *const keys[] = {
        "content_img", "style_img", "styles",     "style_weight", "steps",
        "preset",      "options",   "output_img", "content_loss", "style_loss",
        "seconds",     "created",   "finished"};
    json_t *j = json_pack("{s:s}", "task_id", t->id);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(t->record, keys[i]);

        if (v)
            json_object_set_new(j, keys[i], json_deep_copy(v));
    }
    json_object_set_new(j, "output_url", output_url(t));
    json_object_set_new(j, "thumbnail", serve_thumb_url(text_of(t, "output_img")));
    json_object_set_new(j, "content_url",
                        serve_url("uploads", text_of(t, "content_img")));
    return j;
}

json_t *serve_tasks_history(size_t first, size_t most, size_t *total)
{
    json_t *by_content = json_object();
    GList *list;

    pthread_mutex_lock(&all.lock);
    list = tasks_of(SERVE_COMPLETED);
    *total = g_list_length(list);
    for (GList *l = g_list_nth(list, (guint)first); l && most > 0;
         l = l->next, most--) {
        const char *key = text_of(l->data, "content_img");
        json_t *of = json_object_get(by_content, key);

        if (!of) {
            of = json_array();
            json_object_set_new(by_content, key, of);
        }
        json_array_append_new(of, entry(l->data));
    }
    g_list_free(list);
    pthread_mutex_unlock(&all.lock);
    return by_content;
}

enum serve_forgotten serve_tasks_forget(const char *content)
{
    enum serve_forgotten result = SERVE_UNKNOWN;
    GList *mine = NULL;
    GHashTableIter at;
    gpointer p;

    pthread_mutex_lock(&all.lock);
    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p))
        if (strcmp(text_of(p, "content_img"), content) == 0) {
            mine = g_list_prepend(mine, p);
            if (!is_over(p))
                result = SERVE_BUSY;
        }
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

void serve_tasks_count(struct serve_counts *out)
{
    pthread_mutex_lock(&all.lock);
    *out = all.counts;
    pthread_mutex_unlock(&all.lock);
}

static void use(GHashTable *used, const json_t *name)
{
    if (json_is_string(name))
        g_hash_table_add(used, g_strdup(json_string_value(name)));
}

/* The uploads that a task is of. All is locked. */
static void use_all(GHashTable *used, const struct task *t)
{
    const json_t *style;
    size_t i;

    use(used, json_object_get(t->record, "content_img"));
    use(used, json_object_get(t->record, "keep_mask"));
    json_array_foreach(json_object_get(t->record, "styles"), i, style)
        use(used, json_object_get(style, "mask"));
}

void serve_tasks_sweep(int64_t seconds, size_t most)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter at;
    gpointer p;

    pthread_mutex_lock(&all.lock);
    g_hash_table_iter_init(&at, all.tasks);
    while (g_hash_table_iter_next(&at, NULL, &p))
        use_all(used, p);
    serve_store_sweep(used, seconds, most);
    pthread_mutex_unlock(&all.lock);
    g_hash_table_destroy(used);
}
