/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/task_routes.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>

#include "serve/film.h"
#include "serve/hooks.h"
#include "serve/http/events.h"
#include "serve/idempotency.h"
#include "serve/init_image.h"
#include "serve/queue/queue.h"
#include "serve/request.h"
#include "serve/request_check.h"
#include "serve/store.h"
#include "serve/usage.h"
#include "serve/webhook.h"

#define MAX_TASKS 1000   /* in a list of one state */
#define RETRY_SECONDS 10 /* when the queue is full */

static struct serve_response store_error(bool disk_full)
{
    if (disk_full)
        return serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                    "the task cannot be stored: the disk is full");
    return serve_response_error(MHD_HTTP_INTERNAL_SERVER_ERROR,
                                "the task could not be stored");
}

/* The answer to a task that the queue has not taken; work: of the task. */
static struct serve_response refusal(const struct serve_request *r,
                                     enum serve_add_status status, int64_t work)
{
    switch (status) {
    case SERVE_ADD_PARTY_FULL:
    case SERVE_ADD_WORK_USED:
        return serve_usage_refusal(&r->identity, r->settings, status, work);
    case SERVE_ADD_QUEUE_FULL:
        return serve_response_because(
            SERVE_REASON_QUEUE_FULL,
            serve_response_retry_after(MHD_HTTP_TOO_MANY_REQUESTS, RETRY_SECONDS,
                                       "%lld tasks wait already: try again later",
                                       (long long)r->settings->max_queue));
    case SERVE_ADD_SHUTTING_DOWN:
        return serve_response_because(
            SERVE_REASON_SHUTTING_DOWN,
            serve_response_retry_after(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                                       "the service is shutting down"));
    case SERVE_ADD_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return store_error(status == SERVE_ADD_DISK_FULL);
    }
}

/* record is taken over. */
static struct serve_response queue_task(struct serve_request *r, const char *id,
                                        json_t *record)
{
    int64_t work = json_integer_value(json_object_get(record, "work"));
    struct serve_place place;
    enum serve_add_status status = serve_queue->add(&r->identity, id, record, &place);

    if (status != SERVE_ADD_OK)
        return refusal(r, status, work);
    g_strlcpy(r->created, id, sizeof r->created);
    return serve_response_json(MHD_HTTP_OK, json_pack("{s:s, s:i, s:i}", "task_id", id,
                                                      "position", (int)place.position,
                                                      "waiting", (int)place.waiting));
}

/* The record of the task that the body asks for: a new reference. NULL: *response is
 * the error. */
static json_t *parse_task(const struct serve_request *r,
                          struct serve_response *response)
{
    char *error = NULL;
    json_t *record = serve_request_parse(r->body, r->settings, &r->identity, &error);

    if (record)
        error = serve_request_check(record, r->settings);
    if (record && !error)
        error = serve_film_plan(record, r->settings);
    if (error)
        *response = serve_response_error(MHD_HTTP_BAD_REQUEST, "%s", error);
    if (!error && serve_usage_allows_bytes(&r->identity, 1, response)) {
        json_object_set_new(record, "work", json_integer(serve_usage_work(record)));
        return record;
    }
    free(error);
    json_decref(record);
    return NULL;
}

/* The error of serve_init_hold(). */
static struct serve_response init_error(int error)
{
    if (error == ENOENT)
        return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "init_image: the result was deleted");
    return store_error(serve_store_is_disk_full(error));
}

/* url: of the webhook, or NULL. */
static struct serve_response create_task(struct serve_request *r,
                                         const struct serve_key *key, const char *url)
{
    char id[SERVE_TASK_ID_LENGTH + 1];
    struct serve_response response;
    json_t *record = parse_task(r, &response);
    char *held;

    if (!record)
        return response;
    if (!serve_init_hold(record, &r->identity, &held)) {
        response = init_error(errno);
        json_decref(record);
        return response;
    }
    serve_task_create(record, &r->identity, id);
    if (serve_key_store(key, id) && serve_hook_store(id, url))
        response = queue_task(r, id, record);
    else {
        response = store_error(serve_store_is_disk_full(errno));
        json_decref(record);
    }
    if (response.status != MHD_HTTP_OK) {
        serve_hook_remove(id);
        if (held)
            serve_store_remove_picture("uploads", held);
    }
    free(held);
    return response;
}

struct serve_response serve_post_transfer(struct serve_request *r)
{
    struct serve_response response;
    struct serve_key key;
    char *url = NULL;

    if (!serve_key_begin(&key, r, &response))
        return response;
    if (serve_webhook_take(r->body, &url, &response))
        response = create_task(r, &key, url);
    serve_key_end(&key, response.status == MHD_HTTP_OK);
    free(url);
    return response;
}

struct serve_response serve_get_tasks(struct serve_request *r)
{
    const char *name =
        MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "state");
    enum serve_state state = serve_state_parse(name);
    json_t *list;

    if (name && state == SERVE_STATES)
        return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "state: '%.40s' is not queued, running, completed, "
                                    "failed or cancelled",
                                    name);
    list = name ? serve_queue->list_state(&r->identity, state, MAX_TASKS)
                : serve_queue->list(&r->identity);
    return list ? serve_response_json(MHD_HTTP_OK, list) : serve_response_unavailable();
}

static struct serve_response unknown_task(const struct serve_request *r)
{
    return serve_response_unknown("task", r->argument);
}

struct serve_response serve_get_progress(struct serve_request *r)
{
    json_t *j = serve_queue->progress(&r->identity, r->argument, NULL, NULL);

    if (j)
        return serve_response_json(MHD_HTTP_OK, j);
    return errno == ENOENT ? unknown_task(r) : serve_response_unavailable();
}

/* serve_events_source, once the client may see the task */
static json_t *event_source(const char *id, unsigned *version, bool *is_final)
{
    return serve_queue->progress(NULL, id, version, is_final);
}

struct serve_response serve_get_events(struct serve_request *r)
{
    json_t *j = serve_queue->progress(&r->identity, r->argument, NULL, NULL);

    if (!j)
        return errno == ENOENT ? unknown_task(r) : serve_response_unavailable();
    json_decref(j);
    return serve_events(r->connection, r->argument, event_source,
                        (size_t)r->settings->max_connections / 2);
}

static struct serve_response delete_finished_task(struct serve_request *r)
{
    switch (serve_queue->delete_task(&r->identity, r->argument)) {
    case SERVE_DELETE_OK:
        r->change = "result deleted";
        return serve_response_message("the task is deleted");
    case SERVE_DELETE_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return unknown_task(r);
    }
}

struct serve_response serve_delete_task(struct serve_request *r)
{
    switch (serve_queue->cancel(&r->identity, r->argument)) {
    case SERVE_CANCEL_OK:
        return serve_response_message("the task is cancelled");
    case SERVE_CANCEL_FINISHED:
        return delete_finished_task(r);
    case SERVE_CANCEL_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return unknown_task(r);
    }
}

struct serve_response serve_post_stop(struct serve_request *r)
{
    switch (serve_queue->stop_and_keep(&r->identity, r->argument)) {
    case SERVE_STOP_OK:
        return serve_response_message("the task ends with the picture so far");
    case SERVE_STOP_QUEUED:
        return serve_response_error(MHD_HTTP_CONFLICT,
                                    "the task has no picture yet: cancel it instead");
    case SERVE_STOP_FINISHED:
        return serve_response_error(MHD_HTTP_CONFLICT, "the task is already over");
    case SERVE_STOP_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return unknown_task(r);
    }
}
