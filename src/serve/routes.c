/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/routes.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "serve/compare.h"
#include "serve/events.h"
#include "serve/log.h"
#include "serve/monitor.h"
#include "serve/openapi.h"
#include "serve/pages.h"
#include "serve/pictures.h"
#include "serve/request.h"
#include "serve/store.h"
#include "serve/styles.h"
#include "serve/tasks.h"

#define MOST_PAGE 1000   /* entries of the history at once */
#define RETRY_SECONDS 10 /* when the queue is full */

static char *openapi; /* openapi.json */

static struct serve_answer get_page(struct serve_request *r)
{
    return serve_page(r, "index.html");
}

static struct serve_answer get_asset(struct serve_request *r)
{
    char *name = nst_xasprintf("assets/%s", r->argument);
    struct serve_answer a = serve_page(r, name);

    free(name);
    return a;
}

static struct serve_answer get_description(struct serve_request *r)
{
    (void)r;
    return serve_answer_text("application/json", nst_xstrdup(openapi));
}

/* A message, and what was made: its name and where it is. */
static struct serve_answer made(const char *message, const char *folder, char *name)
{
    json_t *j =
        json_pack("{s:s, s:s, s:o, s:o}", "message", message, "filename", name, "url",
                  serve_url(folder, name), "thumbnail", serve_thumb_url(name));

    free(name);
    return serve_answer_json(MHD_HTTP_OK, j);
}

static struct serve_answer post_content(struct serve_request *r)
{
    struct serve_answer a;
    char *name = serve_upload_keep(r->upload, "uploads", &a);

    return name ? made("the picture is stored", "uploads", name) : a;
}

static struct serve_answer post_style(struct serve_request *r)
{
    struct serve_answer a;
    char *name;

    if (serve_styles_count() >= (size_t)r->settings->max_styles)
        return serve_answer_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                  "there are %lld styles already: delete one first",
                                  (long long)r->settings->max_styles);
    name = serve_upload_keep(r->upload, "styles", &a);
    if (!name)
        return a;
    serve_styles_add(name);
    return made("the style is stored", "styles", name);
}

static struct serve_answer get_styles(struct serve_request *r)
{
    (void)r;
    return serve_answer_text("application/json", serve_styles_list());
}

static struct serve_answer message(const char *text)
{
    return serve_answer_json(MHD_HTTP_OK, json_pack("{s:s}", "message", text));
}

static struct serve_answer unknown(const char *what, const struct serve_request *r)
{
    return serve_answer_error(MHD_HTTP_NOT_FOUND, "%s: '%.64s' is not known", what,
                              r->argument);
}

static struct serve_answer delete_style(struct serve_request *r)
{
    switch (serve_tasks_need_style(r->argument)) {
    case SERVE_NEEDED:
        return serve_answer_error(
            MHD_HTTP_CONFLICT, "an unfinished task uses that style: cancel it first");
    case SERVE_NEED_AWAY:
        return serve_answer_away();
    default:
        return serve_styles_remove(r->argument) ? message("the style is deleted")
                                                : unknown("style", r);
    }
}

static struct serve_answer post_transfer(struct serve_request *r)
{
    char id[SERVE_TASK_ID + 1], *error;
    json_t *record = serve_request_read(r->body, r->settings, &error);
    struct serve_answer a;

    if (!record) {
        a = serve_answer_error(MHD_HTTP_BAD_REQUEST, "%s", error);
        free(error);
        return a;
    }
    switch (serve_tasks_add(record, id)) {
    case SERVE_ADDED:
        return serve_answer_json(MHD_HTTP_OK, json_pack("{s:s}", "task_id", id));
    case SERVE_FULL:
        return serve_answer_later(MHD_HTTP_TOO_MANY_REQUESTS, RETRY_SECONDS,
                                  "%lld tasks wait already: try again later",
                                  (long long)r->settings->max_queue);
    case SERVE_ENDING:
        return serve_answer_later(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                                  "the service is shutting down");
    case SERVE_AWAY:
        return serve_answer_away();
    case SERVE_DISK_FULL:
        return serve_answer_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                  "the task cannot be stored: the disk is full");
    default:
        return serve_answer_error(MHD_HTTP_INTERNAL_SERVER_ERROR,
                                  "the task could not be stored");
    }
}

static struct serve_answer get_tasks(struct serve_request *r)
{
    json_t *list = serve_tasks_list();

    (void)r;
    return list ? serve_answer_json(MHD_HTTP_OK, list) : serve_answer_away();
}

static struct serve_answer get_progress(struct serve_request *r)
{
    json_t *j = serve_tasks_progress(r->argument, NULL, NULL);

    if (j)
        return serve_answer_json(MHD_HTTP_OK, j);
    return errno == ENOENT ? unknown("task", r) : serve_answer_away();
}

static struct serve_answer get_events(struct serve_request *r)
{
    return serve_events(r->connection, r->argument,
                        (size_t)r->settings->max_connections / 2);
}

static struct serve_answer delete_task(struct serve_request *r)
{
    switch (serve_tasks_cancel(r->argument)) {
    case SERVE_CANCEL_DONE:
        return message("the task is cancelled");
    case SERVE_CANCEL_OVER:
        return serve_answer_error(MHD_HTTP_CONFLICT, "the task is already over");
    case SERVE_CANCEL_AWAY:
        return serve_answer_away();
    default:
        return unknown("task", r);
    }
}

static struct serve_answer file(int fd, uint64_t size, const char *name, bool changes)
{
    return fd < 0 ? serve_answer_error(MHD_HTTP_NOT_FOUND, "there is no such picture")
                  : serve_answer_file(fd, size, serve_picture_type(name), changes);
}

static struct serve_answer get_preview(struct serve_request *r)
{
    uint64_t size = 0;
    char name[SERVE_TASK_ID + sizeof ".png"];
    int fd = serve_tasks_preview(r->argument, name, &size);

    return file(fd, size, name, true);
}

static struct serve_answer picture(struct serve_request *r, const char *folder)
{
    uint64_t size = 0;
    int fd = serve_store_read(folder, r->argument, &size);

    return file(fd, size, r->argument, false);
}

static struct serve_answer get_upload(struct serve_request *r)
{
    return picture(r, "uploads");
}

static struct serve_answer get_result(struct serve_request *r)
{
    return picture(r, "results");
}

static struct serve_answer get_thumb(struct serve_request *r)
{
    return picture(r, "thumbs");
}

static struct serve_answer get_style_picture(struct serve_request *r)
{
    uint64_t size = 0;
    int fd = serve_styles_read(r->argument, &size);
    size_t bytes = 0;
    void *preview = fd < 0 ? serve_styles_preview(r->argument, &bytes) : NULL;

    return preview ? serve_answer_data("image/jpeg", preview, bytes)
                   : file(fd, size, r->argument, false);
}

static struct serve_answer get_history(struct serve_request *r)
{
    struct serve_answer a;
    int64_t first, most;
    size_t total;
    json_t *history;
    char text[24];

    if (!serve_query(r, "offset", 0, INT32_MAX, 0, &first, &a) ||
        !serve_query(r, "limit", 1, MOST_PAGE, MOST_PAGE, &most, &a))
        return a;
    history = serve_tasks_history((size_t)first, (size_t)most, &total);
    if (!history)
        return serve_answer_away();
    a = serve_answer_json(MHD_HTTP_OK, history);
    g_snprintf(text, sizeof text, "%zu", total);
    MHD_add_response_header(a.response, "X-Total-Count", text);
    return a;
}

static struct serve_answer delete_history(struct serve_request *r)
{
    switch (serve_tasks_forget(r->argument)) {
    case SERVE_FORGOTTEN:
        return message("the history of that picture is deleted");
    case SERVE_BUSY:
        return serve_answer_error(
            MHD_HTTP_CONFLICT, "an unfinished task uses that picture: cancel it first");
    case SERVE_FORGET_AWAY:
        return serve_answer_away();
    default:
        return unknown("history", r);
    }
}

struct presets {
    json_t *list;
    int64_t max_size;
};

/* One that makes pictures of a size that is not made here would always be refused. */
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

static struct serve_answer get_presets(struct serve_request *r)
{
    struct presets p = {json_array(), r->settings->max_size};

    nst_preset_each(add_preset, &p);
    return serve_answer_json(MHD_HTTP_OK, p.list);
}

static struct serve_answer get_device(struct serve_request *r)
{
    (void)r;
    return serve_answer_json(MHD_HTTP_OK, serve_monitor_device());
}

static struct serve_answer get_health(struct serve_request *r)
{
    bool well;
    json_t *j = serve_monitor_health(&well);

    (void)r;
    return serve_answer_json(well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, j);
}

static struct serve_answer get_metrics(struct serve_request *r)
{
    (void)r;
    return serve_answer_text("text/plain; version=0.0.4; charset=utf-8",
                             serve_monitor_metrics());
}

#define GET MHD_HTTP_METHOD_GET
#define POST MHD_HTTP_METHOD_POST
#define DELETE MHD_HTTP_METHOD_DELETE

static const struct serve_route routes[] = {
    {GET, "/", get_page, .open = true},
    {GET, "/assets/*", get_asset, .open = true},
    {GET, "/openapi.json", get_description, .open = true},
    {GET, "/health", get_health, .open = true},
    {GET, "/metrics", get_metrics, .queue = true},
    {POST, "/api/upload-content", post_content, SERVE_FILE, "content_image",
     .pool = SERVE_LOOK},
    {POST, "/api/upload-style", post_style, SERVE_FILE, "style_image",
     .pool = SERVE_LOOK},
    {GET, "/api/styles", get_styles},
    {DELETE, "/api/styles/*", delete_style, .pool = SERVE_DISK},
    {GET, "/api/presets", get_presets},
    {POST, "/api/style-transfer", post_transfer, SERVE_JSON, .pool = SERVE_DISK},
    {GET, "/api/tasks", get_tasks, .queue = true},
    {GET, "/api/progress/*", get_progress, .queue = true},
    {GET, "/api/progress/*/events", get_events, .stream = true},
    {DELETE, "/api/tasks/*", delete_task, .pool = SERVE_DISK},
    {GET, "/api/tasks/*/preview", get_preview},
    {GET, "/api/history", get_history, .queue = true},
    {DELETE, "/api/delete-history/*", delete_history, .pool = SERVE_DISK},
    {GET, "/api/device-info", get_device},
    {POST, "/api/compare", serve_compare, SERVE_JSON, .pool = SERVE_ALONE},
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
