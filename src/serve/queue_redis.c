/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue_redis.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/queue.h"
#include "serve/redis.h"
#include "serve/scripts.h"
#include "serve/store.h"

#define PAGE "1000"    /* tasks that are asked for at once */
#define TRY_AGAIN "60" /* seconds, where files could not be removed */
#define NUMBER_SIZE 24

typedef void task_fn(void *ctx, const struct serve_task *t);

static struct {
    const struct serve_settings *settings;
    void (*changed)(const char *id);
    pthread_t listener;
    atomic_bool ending, ended;
    char lease[NUMBER_SIZE], kept[NUMBER_SIZE], waiting[NUMBER_SIZE];
    pthread_mutex_t lock;
    struct serve_counts counts; /* the last that are known */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_text(const redisReply *r, const char *text)
{
    return r && r->type == REDIS_REPLY_STRING && strcmp(r->str, text) == 0;
}

static void release(redisReply *r)
{
    if (r)
        freeReplyObject(r);
}

static double number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void set_number(json_t *j, const char *key, double v)
{
    if (isfinite(v))
        json_object_set_new(j, key, json_real(v));
}

char *serve_step_text(const struct serve_step *step)
{
    json_t *j = json_pack("{s:I, s:I}", "done", (json_int_t)step->done, "total",
                          (json_int_t)step->total);
    char *text;

    set_number(j, "content_loss", step->content_loss);
    set_number(j, "style_loss", step->style_loss);
    set_number(j, "eta", step->eta);
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(j);
    return text;
}

static struct serve_step read_step(const char *text)
{
    json_t *j = text ? json_loads(text, 0, NULL) : NULL;
    struct serve_step step = serve_no_step;

    if (j)
        step = (struct serve_step){
            .done = json_integer_value(json_object_get(j, "done")),
            .total = json_integer_value(json_object_get(j, "total")),
            .content_loss = number(j, "content_loss"),
            .style_loss = number(j, "style_loss"),
            .eta = number(j, "eta"),
            .seconds = NAN};
    json_decref(j);
    return step;
}

bool serve_row_read(struct serve_task *t, const redisReply *row)
{
    const char *text[6];
    json_t *record;

    if (row->type != REDIS_REPLY_ARRAY || row->elements < 6)
        return false;
    for (int i = 0; i < 6; i++)
        text[i] =
            row->element[i]->type == REDIS_REPLY_STRING ? row->element[i]->str : NULL;
    if (!text[0] || !serve_task_is_id(text[0]) ||
        serve_task_state(text[1]) == SERVE_STATES || !text[2] || !text[3] || !text[4])
        return false;
    record = json_loads(text[4], 0, NULL);
    if (!serve_task_is_sound(record)) {
        json_decref(record);
        return false;
    }
    *t = (struct serve_task){.state = serve_task_state(text[1]),
                             .attempts = (unsigned)strtoul(text[2], NULL, 10),
                             .version = (unsigned)strtoul(text[3], NULL, 10),
                             .record = record,
                             .step = read_step(text[5])};
    memcpy(t->id, text[0], sizeof t->id);
    return true;
}

void serve_redis_tidy_task(const char *id)
{
    redisReply *r =
        serve_task_is_id(id) ? serve_redis_run(serve_script_look, id, NULL) : NULL;
    bool known = r && r->type == REDIS_REPLY_ARRAY && r->elements > 1;
    const char *name = known ? r->element[1]->str : "";
    enum serve_state state = serve_task_state(name);

    if (r && (!known || serve_task_is_over(state))) {
        bool gone = serve_store_end_work(id);

        if (state != SERVE_COMPLETED)
            serve_task_remove_result(id);
        release(serve_redis_run(serve_script_tidied, id, name, gone ? "" : TRY_AGAIN,
                                NULL));
    }
    release(r);
}

void serve_redis_tidy(void)
{
    redisReply *r = serve_redis_run(serve_script_untidy, NULL);

    for (size_t i = 0; r && r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        serve_redis_tidy_task(r->element[i]->str);
    release(r);
}

static void *listen_on(void *none)
{
    (void)none;
    serve_redis_listen(SERVE_CHANGES, all.changed, &all.ended);
    return NULL;
}

static enum nst_status open_queue(const struct serve_settings *s,
                                  void (*changed)(const char *id), struct nst_err *err)
{
    enum nst_status st = serve_redis_open(s->queue, err);

    if (st != NST_OK)
        return st;
    all.settings = s;
    all.changed = changed;
    snprintf(all.lease, sizeof all.lease, "%" PRId64, s->lease);
    snprintf(all.kept, sizeof all.kept, "%" PRId64, s->max_history_images);
    snprintf(all.waiting, sizeof all.waiting, "%" PRId64, s->max_queue);
    if (pthread_create(&all.listener, NULL, listen_on, NULL) != 0)
        return nst_err_set(err, NST_ERR_IO, "cannot start a thread");
    return NST_OK;
}

static void drain(void)
{
    atomic_store(&all.ending, true);
}

static unsigned working(void)
{
    return 0; /* workers do */
}

static void close_queue(void)
{
    drain();
    if (all.settings) {
        atomic_store(&all.ended, true);
        pthread_join(all.listener, NULL);
    }
    serve_redis_close();
}

static enum serve_added add(const char *id, json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    const char *content = json_string_value(json_object_get(record, "content_img"));
    redisReply *r = NULL;
    enum serve_added added = SERVE_AWAY;

    if (atomic_load(&all.ending))
        added = SERVE_ENDING;
    else {
        r = serve_redis_run(serve_script_add, id, text, content, all.waiting, NULL);
        if (r)
            added = is_text(r, "added") ? SERVE_ADDED : SERVE_FULL;
    }
    release(r);
    free(text);
    json_decref(record);
    return added;
}

static json_t *progress(const char *id, unsigned *version, bool *over)
{
    redisReply *r = serve_redis_run(serve_script_look, id, NULL);
    struct serve_task t;
    json_t *j = NULL;
    bool away;

    if (r && serve_row_read(&t, r)) {
        j = serve_task_progress(&t);
        if (version)
            *version = t.version;
        if (over)
            *over = serve_task_is_over(t.state);
        json_decref(t.record);
    }
    away = !r;
    release(r);
    errno = away ? EAGAIN : ENOENT;
    return j;
}

static enum serve_cancel cancel(const char *id)
{
    redisReply *r = serve_redis_run(serve_script_cancel, id, all.lease, all.kept, NULL);
    enum serve_cancel done = !r                   ? SERVE_CANCEL_AWAY
                             : is_text(r, "done") ? SERVE_CANCEL_DONE
                             : is_text(r, "over") ? SERVE_CANCEL_OVER
                                                  : SERVE_CANCEL_UNKNOWN;

    release(r);
    serve_redis_tidy();
    return done;
}

/* Tell of the rows of a page, which is freed. The number before them; -1 if there is no
 * page. */
static long long each(redisReply *page, task_fn *tell, void *ctx)
{
    long long n = -1;
    struct serve_task t;

    if (page && page->type == REDIS_REPLY_ARRAY && page->elements > 0)
        n = page->element[0]->integer;
    for (size_t i = 1; n >= 0 && i < page->elements; i++)
        if (serve_row_read(&t, page->element[i])) {
            tell(ctx, &t);
            json_decref(t.record);
        }
    release(page);
    return n;
}

/* Tell of all tasks of a sorted set, some at a time, in the order of their numbers, so
 * that none is missed when others leave the set. False if Redis is away. */
static bool each_of(const char *set, task_fn *tell, void *ctx)
{
    long long last = 0, before;

    do {
        char after[NUMBER_SIZE];

        before = last;
        snprintf(after, sizeof after, "%lld", before);
        last = each(serve_redis_run(serve_script_after, set, after, PAGE, NULL), tell,
                    ctx);
    } while (last > before);
    return last >= 0;
}

static void add_progress(void *list, const struct serve_task *t)
{
    json_array_append_new(list, serve_task_progress(t));
}

static json_t *list_open(void)
{
    json_t *list = json_array();

    if (each_of("nst:open", add_progress, list))
        return list;
    json_decref(list);
    return NULL;
}

struct need {
    const char *style;
    bool is;
};

static void note_style(void *ctx, const struct serve_task *t)
{
    struct need *n = ctx;

    n->is = n->is || serve_task_has_style(t->record, n->style);
}

static enum serve_needed needs(const char *style)
{
    struct need n = {style, false};

    if (!each_of("nst:open", note_style, &n))
        return SERVE_NEED_AWAY;
    return n.is ? SERVE_NEEDED : SERVE_NOT_NEEDED;
}

static void add_entry(void *by_content, const struct serve_task *t)
{
    serve_task_add_entry(by_content, t);
}

static json_t *history(size_t first, size_t most, size_t *total)
{
    json_t *by_content = json_object();
    char from[NUMBER_SIZE], to[NUMBER_SIZE];
    long long n;

    snprintf(from, sizeof from, "%zu", first);
    snprintf(to, sizeof to, "%zu", first + most - 1);
    n = each(serve_redis_run(serve_script_history, from, to, NULL), add_entry,
             by_content);
    *total = n < 0 ? 0 : (size_t)n;
    if (n >= 0)
        return by_content;
    json_decref(by_content);
    return NULL;
}

static void add_used(void *used, const struct serve_task *t)
{
    serve_task_use(used, t->record);
}

/* Is a task that is not over of that picture, as content or as a mask? *away: nobody
 * knows. */
static bool is_needed(const char *picture, bool *away)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    bool needed;

    *away = !each_of("nst:open", add_used, used);
    needed = g_hash_table_contains(used, picture);
    g_hash_table_destroy(used);
    return needed;
}

static enum serve_forgotten forget(const char *content)
{
    bool away, needed = is_needed(content, &away);
    redisReply *r =
        needed || away ? NULL : serve_redis_run(serve_script_forget, content, NULL);
    enum serve_forgotten result = needed                    ? SERVE_BUSY
                                  : !r                      ? SERVE_FORGET_AWAY
                                  : is_text(r, "forgotten") ? SERVE_FORGOTTEN
                                  : is_text(r, "busy")      ? SERVE_BUSY
                                                            : SERVE_UNKNOWN;

    release(r);
    if (result == SERVE_FORGOTTEN) {
        serve_store_remove_picture("uploads", content);
        serve_redis_tidy();
    }
    return result;
}

static void sweep(int64_t seconds, size_t most)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    /* in this order, or one that ends meanwhile is in neither; nothing is removed
     * unless all are known */
    if (each_of("nst:open", add_used, used) && each_of("nst:over", add_used, used))
        serve_store_sweep(used, seconds, most);
    g_hash_table_destroy(used);
}

static void read_count(struct serve_counts *c, const char *name, const char *value)
{
    static const char ended[] = "ended:";
    bool over = strncmp(name, ended, strlen(ended)) == 0;
    enum serve_state state = serve_task_state(over ? name + strlen(ended) : name);

    if (strcmp(name, "retries") == 0)
        c->retries = strtoull(value, NULL, 10);
    else if (strcmp(name, "seconds") == 0)
        c->seconds = g_ascii_strtod(value, NULL);
    else if (state < SERVE_STATES && over)
        c->ended[state] = strtoull(value, NULL, 10);
    else if (state < SERVE_STATES)
        c->now[state] = (unsigned)strtoul(value, NULL, 10);
}

static void count(struct serve_counts *out)
{
    redisReply *r = serve_redis_run(serve_script_count, NULL);
    struct serve_counts c = {0};

    for (size_t i = 0; r && r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2)
        read_count(&c, r->element[i]->str, r->element[i + 1]->str);
    pthread_mutex_lock(&all.lock);
    if (r)
        all.counts = c;
    *out = all.counts;
    pthread_mutex_unlock(&all.lock);
    release(r);
}

const struct serve_queue serve_queue_redis = {.open = open_queue,
                                              .drain = drain,
                                              .working = working,
                                              .stop = drain, /* workers do */
                                              .close = close_queue,
                                              .reachable = serve_redis_is_there,
                                              .add = add,
                                              .progress = progress,
                                              .cancel = cancel,
                                              .list = list_open,
                                              .history = history,
                                              .forget = forget,
                                              .needs = needs,
                                              .sweep = sweep,
                                              .count = count};
