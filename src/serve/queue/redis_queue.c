/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/owners.h"
#include "serve/queue/queue.h"
#include "serve/queue/redis.h"
#include "serve/queue/redis_lists.h"
#include "serve/queue/redis_scripts.h"
#include "serve/queue/redis_task.h"
#include "serve/queue/spent.h"

#define NUMBER_SIZE 24

static struct {
    const struct serve_settings *settings;
    void (*on_change)(const char *id);
    pthread_t listener;
    atomic_bool draining, stopping;
    char lease[NUMBER_SIZE], max_history[NUMBER_SIZE], max_queue[NUMBER_SIZE];
    pthread_mutex_t lock;
    struct serve_counts counts; /* from the last reply */
} redis_queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

/* The reply of add.lua. */
static enum serve_add_status parse_added(const redisReply *r, struct serve_place *place)
{
    const redisReply *status =
        r && r->type == REDIS_REPLY_ARRAY && r->elements > 0 ? r->element[0] : NULL;

    if (serve_redis_is(status, "added") && r->elements == 3) {
        /* 0 if the script ran again, after the task has started */
        *place = (struct serve_place){(unsigned)MAX(r->element[1]->integer, 1),
                                      (unsigned)MAX(r->element[2]->integer, 1)};
        return SERVE_ADD_OK;
    }
    return serve_redis_is(status, "full")    ? SERVE_ADD_QUEUE_FULL
           : serve_redis_is(status, "share") ? SERVE_ADD_PARTY_FULL
           : serve_redis_is(status, "work")  ? SERVE_ADD_WORK_USED
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
    r = serve_redis_eval(serve_script_get, id, serve_redis_who(who), NULL);
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

/* See serve_task_keep_end(). */
static void keep_end(const char *id)
{
    redisReply *r = serve_redis_eval(serve_script_get, id, SERVE_REDIS_ALL, NULL);
    struct serve_task t;

    if (r && serve_task_from_row(&t, r)) {
        serve_task_keep_end(&t, t.state);
        json_decref(t.record);
    }
    freeReplyObject(r);
}

static enum serve_cancel_status cancel(const struct serve_identity *who, const char *id)
{
    enum serve_cancel_status status;
    redisReply *r;

    if (!serve_task_is_valid_id(id))
        return SERVE_CANCEL_UNKNOWN;
    r = serve_redis_eval(serve_script_cancel, id, redis_queue.lease,
                         redis_queue.max_history, serve_redis_who(who), NULL);
    status = !r                          ? SERVE_CANCEL_UNAVAILABLE
             : serve_redis_is(r, "done") ? SERVE_CANCEL_OK
             : serve_redis_is(r, "over") ? SERVE_CANCEL_FINISHED
                                         : SERVE_CANCEL_UNKNOWN;
    freeReplyObject(r);
    if (status == SERVE_CANCEL_OK)
        keep_end(id);
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
    r = serve_redis_eval(serve_script_stop, id, serve_redis_who(who), NULL);
    status = !r                              ? SERVE_STOP_UNAVAILABLE
             : serve_redis_is(r, "stopping") ? SERVE_STOP_OK
             : serve_redis_is(r, "queued")   ? SERVE_STOP_QUEUED
             : serve_redis_is(r, "over")     ? SERVE_STOP_FINISHED
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
    r = serve_redis_eval(serve_script_delete_task, id, serve_redis_who(who), NULL);
    status = !r                             ? SERVE_DELETE_UNAVAILABLE
             : serve_redis_is(r, "deleted") ? SERVE_DELETE_OK
             : serve_redis_is(r, "busy")    ? SERVE_DELETE_BUSY
                                            : SERVE_DELETE_UNKNOWN;
    freeReplyObject(r);
    serve_redis_cleanup();
    return status;
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
                                              .list = serve_redis_list_open,
                                              .list_state = serve_redis_list_state,
                                              .history = serve_redis_history,
                                              .delete_content =
                                                  serve_redis_delete_content,
                                              .style_status = serve_redis_style_status,
                                              .sweep = serve_redis_sweep,
                                              .count = count,
                                              .usage = usage};
