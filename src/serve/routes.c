/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/routes.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "serve/compare.h"
#include "serve/http/auth.h"
#include "serve/http/sign_in.h"
#include "serve/http/static_files.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/monitor.h"
#include "serve/openapi.h"
#include "serve/owners.h"
#include "serve/pictures.h"
#include "serve/presets.h"
#include "serve/previews.h"
#include "serve/quality.h"
#include "serve/queue/queue.h"
#include "serve/share.h"
#include "serve/store.h"
#include "serve/styles.h"
#include "serve/task_routes.h"
#include "serve/upload_routes.h"
#include "serve/usage.h"

#define MAX_PAGE 1000 /* history entries in a response */

static struct serve_response get_index(struct serve_request *r)
{
    struct serve_response response = serve_static_file(r, "index.html");

    serve_auth_greet(r->connection, &r->identity, &response);
    return response;
}

static struct serve_response get_asset(struct serve_request *r)
{
    char *name = nst_xasprintf("assets/%s", r->argument);
    struct serve_response response = serve_static_file(r, name);

    free(name);
    return response;
}

/* The file that has the path of the route as its name. */
static struct serve_response get_file(struct serve_request *r)
{
    return serve_static_file(r, r->route->path + 1);
}

static struct serve_response get_styles(struct serve_request *r)
{
    return serve_response_shared("application/json", serve_styles_list(&r->identity));
}

static struct serve_response delete_style(struct serve_request *r)
{
    if (!serve_owner_sees_picture(&r->identity, r->argument))
        return serve_response_unknown("style", r->argument);
    switch (serve_queue->style_status(r->argument)) {
    case SERVE_STYLE_IN_USE:
        return serve_response_error(
            MHD_HTTP_CONFLICT, "an unfinished task uses that style: cancel it first");
    case SERVE_STYLE_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return serve_styles_remove(&r->identity, r->argument)
                   ? serve_response_message("the style is deleted")
                   : serve_response_unknown("style", r->argument);
    }
}

/* A request for a file, whose name tells its type. */
static struct serve_picture_request picture_request(const struct serve_request *r,
                                                    const char *name)
{
    return (struct serve_picture_request){.connection = r->connection,
                                          .is_head = r->is_head,
                                          .type = serve_picture_media_type(name)};
}

static struct serve_response file_response(const struct serve_picture_request *p,
                                           int fd)
{
    return fd < 0 ? serve_response_error(MHD_HTTP_NOT_FOUND, "there is no such picture")
                  : serve_response_file(p, fd);
}

static struct serve_response get_preview(struct serve_request *r)
{
    struct serve_picture_request p;
    uint64_t size = 0;
    char name[SERVE_TASK_NAME_SIZE] = "";
    json_t *task = serve_queue->progress(&r->identity, r->argument, NULL, NULL);
    int fd = -1;

    if (!task && errno != ENOENT)
        return serve_response_unavailable();
    if (task)
        fd = serve_task_open_preview(r->argument, name, &size);
    json_decref(task);
    p = picture_request(r, name);
    p.may_change = true;
    return file_response(&p, fd);
}

/* known: the name may be that of a picture. A file that got into the folder by any
 * other way is not served. */
static struct serve_response picture_response(struct serve_request *r,
                                              const char *folder, bool known)
{
    const struct serve_picture_request p = picture_request(r, r->argument);
    uint64_t size;

    return file_response(&p, known ? serve_store_open_file(folder, r->argument, &size)
                                   : -1);
}

static struct serve_response get_upload(struct serve_request *r)
{
    return picture_response(r, "uploads", serve_store_is_generated_name(r->argument));
}

static struct serve_response get_result(struct serve_request *r)
{
    return picture_response(r, "results", serve_store_is_generated_name(r->argument));
}

/* The name of a rendition is that of its upload or style, and .jpg. */
static struct serve_response get_rendition(struct serve_request *r)
{
    char *name = nst_xstrdup(r->argument), *dot = strrchr(name, '.');
    bool known = dot && strcmp(dot, ".jpg") == 0;

    if (known)
        *dot = 0;
    known = known && serve_store_is_generated_name(name);
    free(name);
    return picture_response(r, "renditions", known);
}

/* The name of a thumbnail is that of its picture, and .jpg. */
static struct serve_response get_thumb(struct serve_request *r)
{
    char *name = nst_xstrdup(r->argument), *dot = strrchr(name, '.'), *style = NULL;
    bool known = dot && strcmp(dot, ".jpg") == 0;

    if (known) {
        *dot = 0;
        if (!serve_store_is_generated_name(name))
            known = (style = serve_styles_picture_path(name)) != NULL;
    }
    free(style);
    free(name);
    return picture_response(r, "thumbs", known);
}

static struct serve_response get_style_picture(struct serve_request *r)
{
    const struct serve_picture_request p = picture_request(r, r->argument);
    uint64_t size;
    int fd = serve_styles_open_picture(r->argument, &size);
    size_t bytes = 0;
    void *preview = fd < 0 ? serve_styles_preview(r->argument, &bytes) : NULL;

    return preview ? serve_response_bytes(&p, preview, bytes) : file_response(&p, fd);
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
    history = serve_queue->history(&r->identity, (size_t)offset, (size_t)limit, &total);
    if (!history)
        return serve_response_unavailable();
    response = serve_response_json(MHD_HTTP_OK, history);
    g_snprintf(text, sizeof text, "%zu", total);
    MHD_add_response_header(response.mhd, "X-Total-Count", text);
    return response;
}

/* The key is the stem of the content picture; its whole name is taken as well. */
static struct serve_response delete_history(struct serve_request *r)
{
    char *name = serve_picture_find("uploads", r->argument);
    enum serve_delete_status status =
        serve_queue->delete_content(&r->identity, name ? name : r->argument);

    free(name);
    switch (status) {
    case SERVE_DELETE_OK:
        return serve_response_message("the history of that picture is deleted");
    case SERVE_DELETE_BUSY:
        return serve_response_error(
            MHD_HTTP_CONFLICT, "an unfinished task uses that picture: cancel it first");
    case SERVE_DELETE_UNAVAILABLE:
        return serve_response_unavailable();
    default:
        return serve_response_unknown("history", r->argument);
    }
}

static struct serve_response get_usage(struct serve_request *r)
{
    json_t *j = serve_usage_json(&r->identity, r->settings);

    return j ? serve_response_json(MHD_HTTP_OK, j) : serve_response_unavailable();
}

static struct serve_response get_presets(struct serve_request *r)
{
    return serve_response_shared("application/json", serve_presets_list(r->settings));
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
                               serve_metrics());
}

#define GET MHD_HTTP_METHOD_GET
#define POST MHD_HTTP_METHOD_POST
#define PATCH MHD_HTTP_METHOD_PATCH
#define DELETE MHD_HTTP_METHOD_DELETE

static const struct serve_route routes[] = {
    {GET, "/", get_index, .is_public = true},
    {GET, "/assets/*", get_asset, .is_public = true},
    {GET, "/manifest.webmanifest", get_file, .is_public = true},
    {GET, "/sw.js", get_file, .is_public = true},
    {GET, "/openapi.json", get_file, .is_public = true},
    {GET, "/health", get_health, .is_public = true},
    {GET, "/metrics", get_metrics, .uses_queue = true},
    {POST, "/api/upload-content", serve_post_content, SERVE_BODY_FILE, "content_image",
     .pool = SERVE_POOL_DECODE, .change = "picture uploaded"},
    {POST, "/api/upload-style", serve_post_style, SERVE_BODY_FILE, "style_image",
     .pool = SERVE_POOL_DECODE, .change = "style added"},
    {POST, "/api/login", serve_sign_in, SERVE_BODY_JSON, .is_public = true},
    {POST, "/api/logout", serve_sign_out, .is_public = true},
    {GET, "/api/me", serve_me},
    {GET, "/api/usage", get_usage, .pool = SERVE_POOL_DISK},
    {GET, "/api/styles", get_styles},
    {PATCH, "/api/styles/*", serve_patch_style, SERVE_BODY_JSON,
     .pool = SERVE_POOL_DISK, .change = "style renamed"},
    {DELETE, "/api/styles/*", delete_style, .pool = SERVE_POOL_DISK,
     .change = "style deleted"},
    {GET, "/api/presets", get_presets},
    {GET, "/api/preview", serve_get_preview, .pool = SERVE_POOL_PREVIEW},
    {POST, "/api/style-transfer", serve_post_transfer, SERVE_BODY_JSON,
     .pool = SERVE_POOL_DISK, .change = "task created"},
    {GET, "/api/tasks", serve_get_tasks, .uses_queue = true},
    {GET, "/api/progress/*", serve_get_progress, .uses_queue = true},
    {GET, "/api/progress/*/events", serve_get_events, .is_stream = true},
    {DELETE, "/api/tasks/*", serve_delete_task, .pool = SERVE_POOL_DISK,
     .change = "task cancelled"},
    {GET, "/api/tasks/*/quality", serve_quality, .pool = SERVE_POOL_DISK},
    {POST, "/api/tasks/*/stop", serve_post_stop, .pool = SERVE_POOL_DISK,
     .change = "task stopped"},
    {GET, "/api/tasks/*/preview", get_preview, .uses_queue = true},
    {GET, "/api/tasks/*/share", serve_get_share, .uses_queue = true},
    {POST, "/api/tasks/*/share", serve_post_share, .pool = SERVE_POOL_DECODE,
     .change = "result shared"},
    {DELETE, "/api/tasks/*/share", serve_delete_share, .pool = SERVE_POOL_DISK,
     .change = "link removed"},
    {GET, "/share/*", serve_get_shared_page, .is_public = true},
    {GET, "/share/*/picture.jpg", serve_get_shared_picture, .is_public = true},
    {GET, "/api/history", get_history, .uses_queue = true},
    {DELETE, "/api/delete-history/*", delete_history, .pool = SERVE_POOL_DISK,
     .change = "history deleted"},
    {GET, "/api/device-info", get_device},
    {POST, "/api/compare", serve_compare, SERVE_BODY_JSON,
     .pool = SERVE_POOL_EXCLUSIVE},
    {GET, "/uploads/*", get_upload},
    {GET, "/results/*", get_result},
    {GET, "/history/*", get_result}, /* output_img */
    {GET, "/styles/*", get_style_picture},
    {GET, "/thumbs/*", get_thumb},
    {GET, "/renditions/*", get_rendition},
    {NULL, NULL, NULL}};

enum nst_status serve_routes_open(const struct serve_route **out,
                                  const struct serve_settings *s, struct nst_err *err)
{
    char *openapi;
    enum nst_status st = serve_openapi(&openapi, s, err);

    if (st == NST_OK) {
        serve_static_add("openapi.json", openapi);
        free(openapi);
    }
    *out = routes;
    return st;
}
