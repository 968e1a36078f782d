/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/routes.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "serve/compare.h"
#include "serve/http/events.h"
#include "serve/http/static_files.h"
#include "serve/idempotency.h"
#include "serve/log.h"
#include "serve/monitor.h"
#include "serve/openapi.h"
#include "serve/pictures.h"
#include "serve/quality.h"
#include "serve/queue/queue.h"
#include "serve/request.h"
#include "serve/store.h"
#include "serve/styles.h"
#include "serve/webhook.h"

#define MAX_PAGE 1000    /* history entries in a response */
#define RETRY_SECONDS 10 /* when the queue is full */

static char *openapi; /* the response to GET /openapi.json */

static struct serve_response get_index(struct serve_request *r)
{
    return serve_static_file(r, "index.html");
}

static struct serve_response get_asset(struct serve_request *r)
{
    char *name = nst_xasprintf("assets/%s", r->argument);
    struct serve_response response = serve_static_file(r, name);

    free(name);
    return response;
}

static struct serve_response get_description(struct serve_request *r)
{
    (void)r;
    return serve_response_text("application/json", nst_xstrdup(openapi));
}

/* A message with the name and URLs of a stored picture; name is taken over. */
static struct serve_response upload_response(const char *message, const char *folder,
                                             char *name)
{
    json_t *j =
        json_pack("{s:s, s:s, s:o, s:o}", "message", message, "filename", name, "url",
                  serve_url(folder, name), "thumbnail", serve_thumb_url(name));

    free(name);
    return serve_response_json(MHD_HTTP_OK, j);
}

static struct serve_response post_content(struct serve_request *r)
{
    struct serve_response response;
    char *name = serve_upload_store(r->upload, "uploads", &response);

    return name ? upload_response("the picture is stored", "uploads", name) : response;
}

static struct serve_response post_style(struct serve_request *r)
{
    struct serve_response response;
    char *name;

    if (serve_styles_count() >= (size_t)r->settings->max_styles)
        return serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                    "there are %lld styles already: delete one first",
                                    (long long)r->settings->max_styles);
    name = serve_upload_store(r->upload, "styles", &response);
    if (!name)
        return response;
    serve_styles_add(name);
    return upload_response("the style is stored", "styles", name);
}

static struct serve_response get_styles(struct serve_request *r)
{
    (void)r;
    return serve_response_text("application/json", serve_styles_list());
}

static struct serve_response message_response(const char *text)
{
    return serve_response_json(MHD_HTTP_OK, json_pack("{s:s}", "message", text));
}

static struct serve_response not_found(const char *what, const struct serve_request *r)
{
    return serve_response_error(MHD_HTTP_NOT_FOUND, "%s: '%.64s' is not known", what,
                                r->argument);
}

static struct serve_response delete_style(struct serve_request *r)
{
    switch (serve_queue->style_status(r->argument)) {
    case SERVE_STYLE_IN_USE:
        return serve_response_error(
            MHD_HTTP_CONFLICT, "an unfinished task uses that style: cancel it first");
    case SERVE_STYLE_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return serve_styles_remove(r->argument)
                   ? message_response("the style is deleted")
                   : not_found("style", r);
    }
}

static struct serve_response store_error(bool disk_full)
{
    if (disk_full)
        return serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                    "the task cannot be stored: the disk is full");
    return serve_response_error(MHD_HTTP_INTERNAL_SERVER_ERROR,
                                "the task could not be stored");
}

/* record is taken over. */
static struct serve_response queue_task(const struct serve_request *r, const char *id,
                                        json_t *record)
{
    switch (serve_queue->add(id, record)) {
    case SERVE_ADD_OK:
        return serve_response_json(MHD_HTTP_OK, json_pack("{s:s}", "task_id", id));
    case SERVE_ADD_QUEUE_FULL:
        return serve_response_retry_after(MHD_HTTP_TOO_MANY_REQUESTS, RETRY_SECONDS,
                                          "%lld tasks wait already: try again later",
                                          (long long)r->settings->max_queue);
    case SERVE_ADD_SHUTTING_DOWN:
        return serve_response_retry_after(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                                          "the service is shutting down");
    case SERVE_ADD_UNAVAILABLE:
        return serve_response_unavailable();
    case SERVE_ADD_DISK_FULL:
        return store_error(true);
    default:
        return store_error(false);
    }
}

/* url: of the webhook, or NULL. */
static struct serve_response create_task(const struct serve_request *r,
                                         const struct serve_key *key, const char *url)
{
    char id[SERVE_TASK_ID_LENGTH + 1], *error;
    json_t *record = serve_request_parse(r->body, r->settings, &error);
    struct serve_response response;

    if (!record) {
        response = serve_response_error(MHD_HTTP_BAD_REQUEST, "%s", error);
        free(error);
        return response;
    }
    serve_task_create(record, id);
    if (serve_key_store(key, id) && serve_webhook_store(id, url))
        response = queue_task(r, id, record);
    else {
        response = store_error(serve_store_is_disk_full(errno));
        json_decref(record);
    }
    if (response.status != MHD_HTTP_OK)
        serve_webhook_forget(id);
    return response;
}

static struct serve_response post_transfer(struct serve_request *r)
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

/* The unfinished tasks, or with ?state= the latest ones in that state. */
static struct serve_response get_tasks(struct serve_request *r)
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
    list = name ? serve_queue->list_state(state, MAX_PAGE) : serve_queue->list();
    return list ? serve_response_json(MHD_HTTP_OK, list) : serve_response_unavailable();
}

static struct serve_response get_progress(struct serve_request *r)
{
    json_t *j = serve_queue->progress(r->argument, NULL, NULL);

    if (j)
        return serve_response_json(MHD_HTTP_OK, j);
    return errno == ENOENT ? not_found("task", r) : serve_response_unavailable();
}

static struct serve_response get_events(struct serve_request *r)
{
    json_t *j = serve_queue->progress(r->argument, NULL, NULL);

    if (!j)
        return errno == ENOENT ? not_found("task", r) : serve_response_unavailable();
    json_decref(j);
    return serve_events(r->connection, r->argument, serve_queue->progress,
                        (size_t)r->settings->max_connections / 2);
}

static struct serve_response delete_finished_task(struct serve_request *r)
{
    switch (serve_queue->delete_task(r->argument)) {
    case SERVE_DELETE_OK:
        return message_response("the task is deleted");
    case SERVE_DELETE_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return not_found("task", r);
    }
}

/* Cancel an unfinished task; delete a finished one. */
static struct serve_response delete_task(struct serve_request *r)
{
    switch (serve_queue->cancel(r->argument)) {
    case SERVE_CANCEL_OK:
        return message_response("the task is cancelled");
    case SERVE_CANCEL_FINISHED:
        return delete_finished_task(r);
    case SERVE_CANCEL_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return not_found("task", r);
    }
}

static struct serve_response post_stop(struct serve_request *r)
{
    switch (serve_queue->stop_and_keep(r->argument)) {
    case SERVE_STOP_OK:
        return message_response("the task ends with the picture so far");
    case SERVE_STOP_QUEUED:
        return serve_response_error(MHD_HTTP_CONFLICT,
                                    "the task has no picture yet: cancel it instead");
    case SERVE_STOP_FINISHED:
        return serve_response_error(MHD_HTTP_CONFLICT, "the task is already over");
    case SERVE_STOP_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return not_found("task", r);
    }
}

static struct serve_response file_response(int fd, uint64_t size, const char *name,
                                           bool may_change)
{
    return fd < 0 ? serve_response_error(MHD_HTTP_NOT_FOUND, "there is no such picture")
                  : serve_response_file(fd, size, serve_picture_media_type(name),
                                        may_change);
}

static struct serve_response get_preview(struct serve_request *r)
{
    uint64_t size = 0;
    char name[SERVE_TASK_ID_LENGTH + sizeof ".png"];
    int fd = serve_task_open_preview(r->argument, name, &size);

    return file_response(fd, size, name, true);
}

static struct serve_response picture_response(struct serve_request *r,
                                              const char *folder)
{
    uint64_t size = 0;
    int fd = serve_store_open_file(folder, r->argument, &size);

    return file_response(fd, size, r->argument, false);
}

static struct serve_response get_upload(struct serve_request *r)
{
    return picture_response(r, "uploads");
}

static struct serve_response get_result(struct serve_request *r)
{
    return picture_response(r, "results");
}

static struct serve_response get_thumb(struct serve_request *r)
{
    return picture_response(r, "thumbs");
}

static struct serve_response get_style_picture(struct serve_request *r)
{
    uint64_t size = 0;
    int fd = serve_styles_open_picture(r->argument, &size);
    size_t bytes = 0;
    void *preview = fd < 0 ? serve_styles_preview(r->argument, &bytes) : NULL;

    return preview ? serve_response_data("image/jpeg", preview, bytes)
                   : file_response(fd, size, r->argument, false);
}

static struct serve_response get_history(struct serve_request *r)
{
    struct serve_response response;
    int64_t offset, limit;
    size_t total;
    json_t *history;
    char text[24];

    if (!serve_query_integer(r, "offset", 0, INT32_MAX, 0, &offset, &response) ||
        !serve_query_integer(r, "limit", 1, MAX_PAGE, MAX_PAGE, &limit, &response))
        return response;
    history = serve_queue->history((size_t)offset, (size_t)limit, &total);
    if (!history)
        return serve_response_unavailable();
    response = serve_response_json(MHD_HTTP_OK, history);
    g_snprintf(text, sizeof text, "%zu", total);
    MHD_add_response_header(response.mhd, "X-Total-Count", text);
    return response;
}

static struct serve_response delete_history(struct serve_request *r)
{
    switch (serve_queue->delete_content(r->argument)) {
    case SERVE_DELETE_OK:
        return message_response("the history of that picture is deleted");
    case SERVE_DELETE_BUSY:
        return serve_response_error(
            MHD_HTTP_CONFLICT, "an unfinished task uses that picture: cancel it first");
    case SERVE_DELETE_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return not_found("history", r);
    }
}

struct presets {
    json_t *list;
    int64_t max_size;
};

/* Skips presets whose size exceeds --max-size: their tasks would be rejected. */
static void add_preset(void *ctx, const char *name, const char *path,
                       const char *description)
{
    struct presets *p = ctx;
    struct nst_params params;

    nst_params_init(&params);
    if (nst_preset_apply(&params, path, NULL) == NST_OK && params.size > 0 &&
        params.size <= p->max_size)
        json_array_append_new(
            p->list, json_pack("{s:s, s:s}", "name", name, "description", description));
    nst_params_clear(&params);
}

static struct serve_response get_presets(struct serve_request *r)
{
    struct presets p = {json_array(), r->settings->max_size};

    nst_preset_each(add_preset, &p);
    return serve_response_json(MHD_HTTP_OK, p.list);
}

static struct serve_response get_device(struct serve_request *r)
{
    (void)r;
    return serve_response_json(MHD_HTTP_OK, serve_monitor_device());
}

static struct serve_response get_health(struct serve_request *r)
{
    bool healthy;
    json_t *j = serve_monitor_health(&healthy);

    (void)r;
    return serve_response_json(healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, j);
}

static struct serve_response get_metrics(struct serve_request *r)
{
    (void)r;
    return serve_response_text("text/plain; version=0.0.4; charset=utf-8",
                               serve_monitor_metrics());
}

#define GET MHD_HTTP_METHOD_GET
#define POST MHD_HTTP_METHOD_POST
#define DELETE MHD_HTTP_METHOD_DELETE

static const struct serve_route routes[] = {
    {GET, "/", get_index, .is_public = true},
    {GET, "/assets/*", get_asset, .is_public = true},
    {GET, "/openapi.json", get_description, .is_public = true},
    {GET, "/health", get_health, .is_public = true},
    {GET, "/metrics", get_metrics, .uses_queue = true},
    {POST, "/api/upload-content", post_content, SERVE_BODY_FILE, "content_image",
     .pool = SERVE_POOL_DECODE},
    {POST, "/api/upload-style", post_style, SERVE_BODY_FILE, "style_image",
     .pool = SERVE_POOL_DECODE},
    {GET, "/api/styles", get_styles},
    {DELETE, "/api/styles/*", delete_style, .pool = SERVE_POOL_DISK},
    {GET, "/api/presets", get_presets},
    {POST, "/api/style-transfer", post_transfer, SERVE_BODY_JSON,
     .pool = SERVE_POOL_DISK},
    {GET, "/api/tasks", get_tasks, .uses_queue = true},
    {GET, "/api/progress/*", get_progress, .uses_queue = true},
    {GET, "/api/progress/*/events", get_events, .is_stream = true},
    {DELETE, "/api/tasks/*", delete_task, .pool = SERVE_POOL_DISK},
    {GET, "/api/tasks/*/quality", serve_quality, .pool = SERVE_POOL_DISK},
    {POST, "/api/tasks/*/stop", post_stop, .pool = SERVE_POOL_DISK},
    {GET, "/api/tasks/*/preview", get_preview},
    {GET, "/api/history", get_history, .uses_queue = true},
    {DELETE, "/api/delete-history/*", delete_history, .pool = SERVE_POOL_DISK},
    {GET, "/api/device-info", get_device},
    {POST, "/api/compare", serve_compare, SERVE_BODY_JSON,
     .pool = SERVE_POOL_EXCLUSIVE},
    {GET, "/uploads/*", get_upload},
    {GET, "/results/*", get_result},
    {GET, "/styles/*", get_style_picture},
    {GET, "/thumbs/*", get_thumb},
    {NULL, NULL, NULL}};

enum nst_status serve_routes_open(const struct serve_route **out,
                                  const struct serve_settings *s, struct nst_err *err)
{
    *out = routes;
    return serve_openapi(&openapi, s, err);
}

void serve_routes_close(void)
{
    free(openapi);
    openapi = NULL;
}
