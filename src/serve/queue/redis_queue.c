/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/redis_queue.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/queue/queue.h"
#include "serve/queue/redis.h"
#include "serve/queue/redis_scripts.h"
#include "serve/store.h"

#define PAGE_TASKS "1000"  /* tasks in one reply */
#define RETRY_SECONDS "60" /* until the next attempt to remove files */
#define NUMBER_SIZE 24

typedef void visit_fn(void *ctx, const struct serve_task *t);

static struct {
    const struct serve_settings *settings;
    void (*on_change)(const char *id);
    pthread_t listener;
    atomic_bool draining, stopping;
    char lease[NUMBER_SIZE], max_history[NUMBER_SIZE], max_queue[NUMBER_SIZE];
    pthread_mutex_t lock;
    struct serve_counts counts; /* from the last reply */
} redis_queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_string(const redisReply *r, const char *text)
{
    return r && r->type == REDIS_REPLY_STRING && strcmp(r->str, text) == 0;
}

static void set_number(json_t *j, const char *key, double v)
{
    if (isfinite(v))
        json_object_set_new(j, key, json_real(v));
}

char *serve_progress_text(const struct serve_progress *progress)
{
    json_t *j = json_pack("{s:I, s:I}", "done", (json_int_t)progress->done, "total",
                          (json_int_t)progress->total);
    char *text;

    set_number(j, "content_loss", progress->content_loss);
    set_number(j, "style_loss", progress->style_loss);
    set_number(j, "eta", progress->eta);
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(j);
    return text;
}

bool serve_task_from_row(struct serve_task *t, const redisReply *row)
{
    const char *text[6];
    json_t *record, *step;

    if (row->type != REDIS_REPLY_ARRAY || row->elements < 6)
        return false;
    for (int i = 0; i < 6; i++)
        text[i] =
            row->element[i]->type == REDIS_REPLY_STRING ? row->element[i]->str : NULL;
    if (!text[0] || !serve_task_is_valid_id(text[0]) ||
        serve_state_parse(text[1]) == SERVE_STATES || !text[2] || !text[3] || !text[4])
        return false;
    record = json_loads(text[4], 0, NULL);
    if (!serve_task_is_valid_record(record)) {
        json_decref(record);
        return false;
    }
    step = text[5] ? json_loads(text[5], 0, NULL) : NULL;
    *t = (struct serve_task){.state = serve_state_parse(text[1]),
                             .attempts = (unsigned)strtoul(text[2], NULL, 10),
                             .version = (unsigned)strtoul(text[3], NULL, 10),
                             .record = record,
                             .progress = serve_progress_parse(step, "eta")};
    json_decref(step);
    memcpy(t->id, text[0], sizeof t->id);
    return true;
}

void serve_redis_cleanup_task(const char *id)
{
    redisReply *r = serve_task_is_valid_id(id)
                        ? serve_redis_eval(serve_script_get, id, NULL)
                        : NULL;
    bool known = r && r->type == REDIS_REPLY_ARRAY && r->elements > 1;
    const char *name = known ? r->element[1]->str : "";
    enum serve_state state = serve_state_parse(name);

    if (r && (!known || serve_state_is_final(state))) {
        bool removed = serve_store_remove_work_dir(id);

        if (state != SERVE_COMPLETED)
            serve_task_remove_result(id);
        freeReplyObject(serve_redis_eval(serve_script_cleanup_done, id, name,
                                         removed ? "" : RETRY_SECONDS, NULL));
    }
    freeReplyObject(r);
}

void serve_redis_cleanup(void)
{
    redisReply *r = serve_redis_eval(serve_script_cleanup_due, NULL);

    for (size_t i = 0; r && r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        serve_redis_cleanup_task(r->element[i]->str);
    freeReplyObject(r);
}

static void *listen_for_changes(void *unused)
{
    (void)unused;
    serve_redis_subscribe(SERVE_CHANNEL_CHANGES, redis_queue.on_change,
                          &redis_queue.stopping);
    return NULL;
}

static enum nst_status open_queue(const struct serve_settings *s,
                                  void (*on_change)(const char *id),
                                  struct nst_err *err)
{
    enum nst_status st = serve_redis_open(s->queue, err);

    if (st != NST_OK)
        return st;
    redis_queue.settings = s;
    redis_queue.on_change = on_change;
    snprintf(redis_queue.lease, sizeof redis_queue.lease, "%" PRId64, s->lease);
    snprintf(redis_queue.max_history, sizeof redis_queue.max_history, "%" PRId64,
             s->max_history_images);
    snprintf(redis_queue.max_queue, sizeof redis_queue.max_queue, "%" PRId64,
             s->max_queue);
    if (pthread_create(&redis_queue.listener, NULL, listen_for_changes, NULL) != 0)
        return nst_err_set(err, NST_ERR_IO, "cannot start a thread");
    return NST_OK;
}

static void drain(void)
{
    atomic_store(&redis_queue.draining, true);
}

static unsigned running(void)
{
    return 0; /* tasks run in workers */
}

static void close_queue(void)
{
    drain();
    if (redis_queue.settings) {
        atomic_store(&redis_queue.stopping, true);
        pthread_join(redis_queue.listener, NULL);
    }
    serve_redis_close();
}

static enum serve_add_status add(const char *id, json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    const char *content = json_string_value(json_object_get(record, "content_img"));
    redisReply *r = NULL;
    enum serve_add_status status = SERVE_ADD_UNAVAILABLE;

    if (atomic_load(&redis_queue.draining))
        status = SERVE_ADD_SHUTTING_DOWN;
    else {
        r = serve_redis_eval(serve_script_add, id, text, content, redis_queue.max_queue,
                             NULL);
        if (r)
            status = is_string(r, "added") ? SERVE_ADD_OK : SERVE_ADD_QUEUE_FULL;
    }
    freeReplyObject(r);
    free(text);
    json_decref(record);
    return status;
}

static json_t *progress(const char *id, unsigned *version, bool *is_final)
{
    redisReply *r = NULL;
    struct serve_task t;
    json_t *j = NULL;
    bool unavailable;

    errno = ENOENT;
    if (!serve_task_is_valid_id(id))
        return NULL;
    r = serve_redis_eval(serve_script_get, id, NULL);
    if (r && serve_task_from_row(&t, r)) {
        j = serve_task_progress_json(&t);
        if (version)
            *version = t.version;
        if (is_final)
            *is_final = serve_state_is_final(t.state);
        json_decref(t.record);
    }
    unavailable = !r;
    freeReplyObject(r);
    errno = unavailable ? EAGAIN : ENOENT;
    return j;
}

static enum serve_cancel_status cancel(const char *id)
{
    enum serve_cancel_status status;
    redisReply *r;

    if (!serve_task_is_valid_id(id))
        return SERVE_CANCEL_UNKNOWN;
    r = serve_redis_eval(serve_script_cancel, id, redis_queue.lease,
                         redis_queue.max_history, NULL);
    status = !r                     ? SERVE_CANCEL_UNAVAILABLE
             : is_string(r, "done") ? SERVE_CANCEL_OK
             : is_string(r, "over") ? SERVE_CANCEL_FINISHED
                                    : SERVE_CANCEL_UNKNOWN;
    freeReplyObject(r);
    serve_redis_cleanup();
    return status;
}

static enum serve_stop_status stop_and_keep(const char *id)
{
    enum serve_stop_status status;
    redisReply *r;

    if (!serve_task_is_valid_id(id))
        return SERVE_STOP_UNKNOWN;
    r = serve_redis_eval(serve_script_stop, id, NULL);
    status = !r                         ? SERVE_STOP_UNAVAILABLE
             : is_string(r, "stopping") ? SERVE_STOP_OK
             : is_string(r, "queued")   ? SERVE_STOP_QUEUED
             : is_string(r, "over")     ? SERVE_STOP_FINISHED
                                        : SERVE_STOP_UNKNOWN;
    freeReplyObject(r);
    return status;
}

static enum serve_delete_status delete_task(const char *id)
{
    enum serve_delete_status status;
    redisReply *r;

    if (!serve_task_is_valid_id(id))
        return SERVE_DELETE_UNKNOWN;
    r = serve_redis_eval(serve_script_delete_task, id, NULL);
    status = !r                        ? SERVE_DELETE_UNAVAILABLE
             : is_string(r, "deleted") ? SERVE_DELETE_OK
             : is_string(r, "busy")    ? SERVE_DELETE_BUSY
                                       : SERVE_DELETE_UNKNOWN;
    freeReplyObject(r);
    serve_redis_cleanup();
    return status;
}

/* Visit the rows of a page, which is taken over. Returns the number in its first
 * element; -1 if there is no page. */
static long long visit_page(redisReply *page, visit_fn *visit, void *ctx)
{
    long long n = -1;
    struct serve_task t;

    if (page && page->type == REDIS_REPLY_ARRAY && page->elements > 0)
        n = page->element[0]->integer;
    for (size_t i = 1; n >= 0 && i < page->elements; i++)
        if (serve_task_from_row(&t, page->element[i])) {
            visit(ctx, &t);
            json_decref(t.record);
        }
    freeReplyObject(page);
    return n;
}

/* Visit all tasks of a sorted set. Pages continue after the last number, not at an
 * index, so that no task is skipped when others leave the set. False: Redis is
 * unreachable. */
static bool visit_set(const char *set, visit_fn *visit, void *ctx)
{
    long long last = 0, before;

    do {
        char after[NUMBER_SIZE];

        before = last;
        snprintf(after, sizeof after, "%lld", before);
        last = visit_page(
            serve_redis_eval(serve_script_range, set, after, PAGE_TASKS, NULL), visit,
            ctx);
    } while (last > before);
    return last >= 0;
}

static void add_progress(void *list, const struct serve_task *t)
{
    json_array_append_new(list, serve_task_progress_json(t));
}

static json_t *list_open(void)
{
    json_t *list = json_array();

    if (visit_set("nst:open", add_progress, list))
        return list;
    json_decref(list);
    return NULL;
}

struct state_query {
    enum serve_state state;
    size_t limit;
    json_t *list;
};

/* The rows come oldest first. */
static void add_in_state(void *ctx, const struct serve_task *t)
{
    struct state_query *q = ctx;

    if (t->state != q->state)
        return;
    json_array_insert_new(q->list, 0, serve_task_progress_json(t));
    if (json_array_size(q->list) > q->limit)
        json_array_remove(q->list, q->limit);
}

static json_t *list_state(enum serve_state state, size_t limit)
{
    struct state_query q = {state, limit, json_array()};

    if (visit_set(serve_state_is_final(state) ? "nst:over" : "nst:open", add_in_state,
                  &q))
        return q.list;
    json_decref(q.list);
    return NULL;
}

struct style_query {
    const char *style;
    bool in_use;
};

static void check_style(void *ctx, const struct serve_task *t)
{
    struct style_query *q = ctx;

    q->in_use = q->in_use || serve_task_uses_style(t->record, q->style);
}

static enum serve_style_status style_status(const char *style)
{
    struct style_query q = {style, false};

    if (!visit_set("nst:open", check_style, &q))
        return SERVE_STYLE_UNAVAILABLE;
    return q.in_use ? SERVE_STYLE_IN_USE : SERVE_STYLE_UNUSED;
}

static void add_to_history(void *by_content, const struct serve_task *t)
{
    serve_task_add_to_history(by_content, t);
}

static json_t *history(size_t offset, size_t limit, size_t *total)
{
    json_t *by_content = json_object();
    char from[NUMBER_SIZE], to[NUMBER_SIZE];
    long long n;

    snprintf(from, sizeof from, "%zu", offset);
    snprintf(to, sizeof to, "%zu", offset + limit - 1);
    n = visit_page(serve_redis_eval(serve_script_history, from, to, NULL),
                   add_to_history, by_content);
    *total = n < 0 ? 0 : (size_t)n;
    if (n >= 0)
        return by_content;
    json_decref(by_content);
    return NULL;
}

static void add_uploads(void *used, const struct serve_task *t)
{
    serve_task_collect_uploads(used, t->record);
}

static enum serve_delete_status delete_content(const char *content)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    enum serve_delete_status status = SERVE_DELETE_UNAVAILABLE;
    bool complete = visit_set("nst:open", add_uploads, used);
    redisReply *r = NULL;

    if (g_hash_table_contains(used, content)) /* as content or mask */
        status = SERVE_DELETE_BUSY;
    else if (complete && (r = serve_redis_eval(serve_script_delete, content, NULL)))
        status = is_string(r, "forgotten") ? SERVE_DELETE_OK
                 : is_string(r, "busy")    ? SERVE_DELETE_BUSY
                                           : SERVE_DELETE_UNKNOWN;
    freeReplyObject(r);
    g_hash_table_destroy(used);
    if (status == SERVE_DELETE_OK) {
        serve_store_remove_picture("uploads", content);
        serve_redis_cleanup();
    }
    return status;
}

static void sweep(int64_t max_age, size_t max_files)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    /* In this order, a task that ends in between is in at least one set. Nothing is
     * removed unless both sets are complete. */
    if (visit_set("nst:open", add_uploads, used) &&
        visit_set("nst:over", add_uploads, used))
        serve_store_sweep(used, max_age, max_files);
    g_hash_table_destroy(used);
}

static void parse_count(struct serve_counts *c, const char *name, const char *value)
{
    static const char ended[] = "ended:";
    bool is_ended = strncmp(name, ended, strlen(ended)) == 0;
    enum serve_state state = serve_state_parse(is_ended ? name + strlen(ended) : name);

    if (strcmp(name, "retries") == 0)
        c->retries = strtoull(value, NULL, 10);
    else if (strcmp(name, "seconds") == 0)
        c->seconds = g_ascii_strtod(value, NULL);
    else if (state < SERVE_STATES && is_ended)
        c->ended[state] = strtoull(value, NULL, 10);
    else if (state < SERVE_STATES)
        c->current[state] = (unsigned)strtoul(value, NULL, 10);
}

static void count(struct serve_counts *out)
{
    redisReply *r = serve_redis_eval(serve_script_count, NULL);
    struct serve_counts c = {0};

    for (size_t i = 0; r && r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2)
        parse_count(&c, r->element[i]->str, r->element[i + 1]->str);
    pthread_mutex_lock(&redis_queue.lock);
    if (r)
        redis_queue.counts = c;
    *out = redis_queue.counts;
    pthread_mutex_unlock(&redis_queue.lock);
    freeReplyObject(r);
}

const struct serve_queue serve_queue_redis = {.open = open_queue,
                                              .drain = drain,
                                              .running = running,
                                              .stop = drain, /* nothing runs here */
                                              .close = close_queue,
                                              .reachable = serve_redis_reachable,
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
