/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/redis_lists.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "serve/owners.h"
#include "serve/queue/redis.h"
#include "serve/queue/redis_scripts.h"
#include "serve/queue/redis_task.h"
#include "serve/store.h"
#include "serve/sweep.h"

#define PAGE_TASKS "1000" /* tasks in one reply */
#define NUMBER_SIZE 24

typedef void visit_fn(void *ctx, const struct serve_task *t);

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

json_t *serve_redis_list_open(const struct serve_identity *who)
{
    return list_set("nst:open", who, SERVE_STATES);
}

json_t *serve_redis_list_state(const struct serve_identity *who, enum serve_state state,
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

enum serve_style_status serve_redis_style_status(const char *style)
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

json_t *serve_redis_history(const struct serve_identity *who, size_t offset,
                            size_t limit, size_t *total)
{
    json_t *by_content = json_object();
    char from[NUMBER_SIZE], to[NUMBER_SIZE];
    long long n;

    snprintf(from, sizeof from, "%zu", offset);
    snprintf(to, sizeof to, "%zu", offset + limit - 1);
    n = visit_page(
        serve_redis_eval(serve_script_history, from, to, serve_redis_who(who), NULL),
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

enum serve_delete_status serve_redis_delete_content(const struct serve_identity *who,
                                                    const char *content)
{
    struct upload_query q = {.upload = content, .who = who};
    enum serve_delete_status status = SERVE_DELETE_UNAVAILABLE;
    bool complete = visit_set("nst:open", check_upload, &q), forgotten = false;
    redisReply *r = NULL;

    if (q.by_who)
        status = SERVE_DELETE_BUSY;
    else if (complete && (r = serve_redis_eval(serve_script_delete, content,
                                               serve_redis_who(who), NULL))) {
        forgotten = serve_redis_is(r, "forgotten");
        status = forgotten || serve_redis_is(r, "kept") ? SERVE_DELETE_OK
                 : serve_redis_is(r, "busy")            ? SERVE_DELETE_BUSY
                                                        : SERVE_DELETE_UNKNOWN;
    }
    freeReplyObject(r);
    if (forgotten && !q.by_others)
        serve_store_remove_picture("uploads", content);
    if (status == SERVE_DELETE_OK)
        serve_redis_cleanup();
    return status;
}

void serve_redis_sweep(int64_t max_age, size_t max_files)
{
    GHashTable *used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    /* In this order, a task that ends in between is in at least one set. Nothing is
     * removed unless both sets are complete. */
    if (visit_set("nst:open", add_uploads, used) &&
        visit_set("nst:over", add_uploads, used))
        serve_sweep_uploads(used, max_age, max_files, serve_owner_party);
    g_hash_table_destroy(used);
}
