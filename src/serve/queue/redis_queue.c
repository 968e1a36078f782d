/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/owners.h"
#include "serve/queue/queue.h"
#include "serve/queue/redis.h"
#include "serve/queue/redis_scripts.h"
#include "serve/queue/redis_task.h"
#include "serve/queue/spent.h"
#include "serve/store.h"
#include "serve/sweep.h"

#define PAGE_TASKS "1000" /* tasks in one reply */
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

static void on_message(const char *id)
{
    redis_queue.on_change(id && *id ? id : NULL);
}

static void *listen_for_changes(void *unused)
{
    (void)unused;
    serve_redis_subscribe(SERVE_CHANNEL_CHANGES, on_message, &redis_queue.stopping);
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

/* who as an argument of scripts */
static const char *who_text(const struct serve_identity *who)
{
    return !who || who->is_operator ? SERVE_REDIS_ALL : who->owner;
}

/* The reply of add.lua. */
static enum serve_add_status parse_added(const redisReply *r, struct serve_place *place)
{
    const redisReply *status =
        r && r->type == REDIS_REPLY_ARRAY && r->elements > 0 ? r->element[0] : NULL;

    if (is_string(status, "added") && r->elements == 3) {
        /* 0 if the script ran again, after the task has started */
        *place = (struct serve_place){(unsigned)MAX(r->element[1]->integer, 1),
                                      (unsigned)MAX(r->element[2]->integer, 1)};
        return SERVE_ADD_OK;
    }
    return is_string(status, "full")    ? SERVE_ADD_QUEUE_FULL
           : is_string(status, "share") ? SERVE_ADD_PARTY_FULL
           : is_string(status, "work")  ? SERVE_ADD_WORK_USED
                                        : SERVE_ADD_UNAVAILABLE;
}

static void print_number(char text[NUMBER_SIZE], int64_t n)
{
    snprintf(text, NUMBER_SIZE, "%" PRId64, n);
}

static enum serve_add_status add(const struct serve_identity *who, const char *id,
                                 json_t *record, struct serve_place *place)
{
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15));
    const char *content = json_string_value(json_object_get(record, "content_img"));
    char share[NUMBER_SIZE], running_limit[NUMBER_SIZE], work[NUMBER_SIZE],
        max_work[NUMBER_SIZE], day[NUMBER_SIZE];
    enum serve_add_status status = SERVE_ADD_SHUTTING_DOWN;

    print_number(share, serve_party_share(who, redis_queue.settings));
    print_number(running_limit, who->quota.running);
    print_number(work, json_integer_value(json_object_get(record, "work")));
    print_number(max_work, who->quota.work_per_day);
    print_number(day, serve_spent_day());
    if (!atomic_load(&redis_queue.draining)) {
        redisReply *r = serve_redis_eval(
            serve_script_add, id, text, content, redis_queue.max_queue, who->owner,
            serve_party(who), share, running_limit, work, max_work, day, NULL);

        status = parse_added(r, place);
        freeReplyObject(r);
    }
    free(text);
    json_decref(record);
    return status;
}

static json_t *progress(const struct serve_identity *who, const char *id,
                        unsigned *version, bool *is_final)
{
    redisReply *r = NULL;
    struct serve_task t;
    json_t *j = NULL;
    bool unavailable;

    errno = ENOENT;
    if (!serve_task_is_valid_id(id))
        return NULL;
    r = serve_redis_eval(serve_script_get, id, who_text(who), NULL);
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

static enum serve_cancel_status cancel(const struct serve_identity *who, const char *id)
{
    enum serve_cancel_status status;
    redisReply *r;

    if (!serve_task_is_valid_id(id))
        return SERVE_CANCEL_UNKNOWN;
    r = serve_redis_eval(serve_script_cancel, id, redis_queue.lease,
                         redis_queue.max_history, who_text(who), NULL);
    status = !r                     ? SERVE_CANCEL_UNAVAILABLE
             : is_string(r, "done") ? SERVE_CANCEL_OK
             : is_string(r, "over") ? SERVE_CANCEL_FINISHED
                                    : SERVE_CANCEL_UNKNOWN;
    freeReplyObject(r);
    serve_redis_cleanup();
    return status;
}

static enum serve_stop_status stop_and_keep(const struct serve_identity *who,
                                            const char *id)
{
    enum serve_stop_status status;
    redisReply *r;

    if (!serve_task_is_valid_id(id))
        return SERVE_STOP_UNKNOWN;
    r = serve_redis_eval(serve_script_stop, id, who_text(who), NULL);
    status = !r                         ? SERVE_STOP_UNAVAILABLE
             : is_string(r, "stopping") ? SERVE_STOP_OK
             : is_string(r, "queued")   ? SERVE_STOP_QUEUED
             : is_string(r, "over")     ? SERVE_STOP_FINISHED
                                        : SERVE_STOP_UNKNOWN;
    freeReplyObject(r);
    return status;
}

static enum serve_delete_status delete_task(const struct serve_identity *who,
                                            const char *id)
{
    enum serve_delete_status status;
    redisReply *r;

    if (!serve_task_is_valid_id(id))
        return SERVE_DELETE_UNKNOWN;
    r = serve_redis_eval(serve_script_delete_task, id, who_text(who), NULL);
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

struct task_list {
    const struct serve_identity *who;
    enum serve_state state; /* SERVE_STATES: any */
    json_t *tasks;
    GHashTable *position; /* of waiting tasks, by id */
    unsigned waiting;
};

static void add_progress(void *ctx, const struct serve_task *t)
{
    const struct task_list *l = ctx;
    struct serve_task copy = *t;

    if ((l->state != SERVE_STATES && t->state != l->state) ||
        !serve_task_seen_by(t, l->who))
        return;
    if (t->state == SERVE_QUEUED) { /* a released one is next */
        copy.position = GPOINTER_TO_UINT(g_hash_table_lookup(l->position, t->id));
        copy.position = MAX(copy.position, 1);
        copy.waiting = l->waiting;
    }
    json_array_append_new(l->tasks, serve_task_progress_json(&copy));
}

/* The tasks of a sorted set, oldest first: a new reference, or NULL. */
static json_t *list_set(const char *set, const struct serve_identity *who,
                        enum serve_state state)
{
    struct task_list l = {who, state, json_array(),
                          g_hash_table_new(g_str_hash, g_str_equal), 0};
    redisReply *order = serve_redis_eval(serve_script_order, NULL);
    bool complete = order && order->type == REDIS_REPLY_ARRAY && order->elements > 0;

    if (complete)
        l.waiting = (unsigned)order->element[0]->integer;
    for (size_t i = 1; complete && i < order->elements; i++)
        g_hash_table_insert(l.position, order->element[i]->str, GUINT_TO_POINTER(i));
    complete = complete && visit_set(set, add_progress, &l);
    g_hash_table_destroy(l.position);
    freeReplyObject(order);
    if (complete)
        return l.tasks;
    json_decref(l.tasks);
    return NULL;
}

static json_t *list_open(const struct serve_identity *who)
{
    return list_set("nst:open", who, SERVE_STATES);
}

static json_t *list_state(const struct serve_identity *who, enum serve_state state,
                          size_t limit)
{
    json_t *oldest_first =
        list_set(serve_state_is_final(state) ? "nst:over" : "nst:open", who, state);
    json_t *list = oldest_first ? json_array() : NULL;

    for (size_t i = json_array_size(oldest_first); i-- > 0 && limit-- > 0;)
        json_array_append(list, json_array_get(oldest_first, i));
    json_decref(oldest_first);
    return list;
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

static json_t *history(const struct serve_identity *who, size_t offset, size_t limit,
                       size_t *total)
{
    json_t *by_content = json_object();
    char from[NUMBER_SIZE], to[NUMBER_SIZE];
    long long n;

    snprintf(from, sizeof from, "%zu", offset);
    snprintf(to, sizeof to, "%zu", offset + limit - 1);
    n = visit_page(
        serve_redis_eval(serve_script_history, from, to, who_text(who), NULL),
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

/* Who uses an upload, as content or mask. */
struct upload_query {
    const char *upload;
    const struct serve_identity *who;
    bool by_who, by_others;
};

static void check_upload(void *ctx, const struct serve_task *t)
{
    struct upload_query *q = ctx;

    if (!serve_task_uses_upload(t->record, q->upload))
        return;
    if (serve_task_seen_by(t, q->who))
        q->by_who = true;
    else
        q->by_others = true;
}

static enum serve_delete_status delete_content(const struct serve_identity *who,
                                               const char *content)
{
    struct upload_query q = {.upload = content, .who = who};
    enum serve_delete_status status = SERVE_DELETE_UNAVAILABLE;
    bool complete = visit_set("nst:open", check_upload, &q), forgotten = false;
    redisReply *r = NULL;

    if (q.by_who)
        status = SERVE_DELETE_BUSY;
    else if (complete && (r = serve_redis_eval(serve_script_delete, content,
                                               who_text(who), NULL))) {
        forgotten = is_string(r, "forgotten");
        status = forgotten || is_string(r, "kept") ? SERVE_DELETE_OK
                 : is_string(r, "busy")            ? SERVE_DELETE_BUSY
                                                   : SERVE_DELETE_UNKNOWN;
    }
    freeReplyObject(r);
    if (forgotten && !q.by_others)
        serve_store_remove_picture("uploads", content);
    if (status == SERVE_DELETE_OK)
        serve_redis_cleanup();
    return status;
}

static void sweep(int64_t max_age, size_t max_files)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    /* In this order, a task that ends in between is in at least one set. Nothing is
     * removed unless both sets are complete. */
    if (visit_set("nst:open", add_uploads, used) &&
        visit_set("nst:over", add_uploads, used))
        serve_sweep_uploads(used, max_age, max_files, serve_owner_party);
    g_hash_table_destroy(used);
}

static bool usage(const char *party, struct serve_usage *out)
{
    char day[NUMBER_SIZE];
    redisReply *r;
    bool known;

    print_number(day, serve_spent_day());
    r = serve_redis_eval(serve_script_usage, party, day, NULL);
    known = r && r->type == REDIS_REPLY_ARRAY && r->elements == 3;
    if (known)
        *out = (struct serve_usage){(unsigned)r->element[0]->integer,
                                    (unsigned)r->element[1]->integer,
                                    r->element[2]->integer};
    freeReplyObject(r);
    return known;
}

/* A field of a histogram: its number after the colon, or sum. */
static void parse_duration(struct serve_histogram *h, const char *field,
                           const char *value)
{
    unsigned long bucket = strtoul(field, NULL, 10);

    if (strcmp(field, "sum") == 0)
        h->sum = g_ascii_strtod(value, NULL);
    else if (bucket <= SERVE_BOUNDS)
        h->bucket[bucket] = strtoull(value, NULL, 10);
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
    else if (g_str_has_prefix(name, "wait:"))
        parse_duration(&c->wait, name + strlen("wait:"), value);
    else if (g_str_has_prefix(name, "run:"))
        parse_duration(&c->run, name + strlen("run:"), value);
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
                                              .count = count,
                                              .usage = usage};
