/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/share.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serve/owners.h"
#include "serve/pictures.h"
#include "serve/queue/queue.h"
#include "serve/share_page.h"
#include "serve/share_picture.h"
#include "serve/share_store.h"
#include "serve/store.h"

/* The progress of the request's task, a new reference. NULL: *response is the error. */
static json_t *find_task(const struct serve_request *r, struct serve_response *response)
{
    json_t *progress;

    if (r->settings->max_shares == 0) {
        *response = serve_response_error(MHD_HTTP_FORBIDDEN,
                                         "share: this service has no links to results "
                                         "(--max-shares)");
        return NULL;
    }
    progress = serve_queue->progress(&r->identity, r->argument, NULL, NULL);
    if (!progress)
        *response = errno == ENOENT ? serve_response_unknown("task", r->argument)
                                    : serve_response_unavailable();
    return progress;
}

/* token, which is taken over, or NULL */
static struct serve_response url_response(char *token)
{
    json_t *url = token ? serve_url("share", token) : json_null();

    free(token);
    return serve_response_json(MHD_HTTP_OK, json_pack("{s:o}", "url", url));
}

struct serve_response serve_get_share(struct serve_request *r)
{
    struct serve_response response;
    json_t *progress = find_task(r, &response);

    if (!progress)
        return response;
    json_decref(progress);
    return url_response(serve_share_find(r->argument));
}

static struct serve_response full_response(void)
{
    return serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                "share: the disk is full: delete a result first");
}

/* Make the picture and the link; result: the URL of the task's result. */
static struct serve_response make_link(const struct serve_request *r,
                                       const json_t *progress, const char *result)
{
    const char *name = strrchr(result, '/') + 1;
    char *path = serve_store_path("results", name), *token = NULL;
    char *title = serve_share_title(progress);
    struct serve_share_picture p = {.width = 0};
    struct serve_share s = {.task = r->argument,
                            .result = name,
                            .party = serve_party(&r->identity),
                            .title = title};
    enum serve_share_made made = serve_share_picture_make(&p, path);
    struct serve_response response;

    if (made == SERVE_SHARE_MADE) {
        s.width = p.width;
        s.height = p.height;
        token = serve_share_add(&s, p.path);
    }
    if (token)
        response = url_response(token);
    else if (made == SERVE_SHARE_NO_SPACE ||
             (made == SERVE_SHARE_MADE && serve_store_is_disk_full(errno)))
        response = full_response();
    else if (!serve_store_has("results", name))
        response = serve_response_unknown("task", r->argument);
    else
        response = serve_response_retry_after(
            MHD_HTTP_SERVICE_UNAVAILABLE, 5,
            "share: the picture cannot be made now: try again later");
    serve_share_picture_clear(&p);
    free(title);
    free(path);
    return response;
}

struct serve_response serve_post_share(struct serve_request *r)
{
    struct serve_response response;
    json_t *progress = find_task(r, &response);
    const char *result = json_string_value(json_object_get(progress, "output_img"));
    int64_t most = r->settings->max_shares;
    char *token;

    if (!progress)
        return response;
    token = serve_share_find(r->argument);
    if (token)
        response = url_response(token);
    else if (!result)
        response = serve_response_error(MHD_HTTP_CONFLICT,
                                        "share: the task has no result to share");
    else if (serve_share_count(serve_party(&r->identity)) >= (size_t)most)
        response = serve_response_because(
            SERVE_REASON_QUOTA,
            serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                 "share: %" PRId64 " results are shared already, as "
                                 "many as may be: stop sharing one first",
                                 most));
    else if (!serve_store_has_space(0))
        response = full_response();
    else
        response = make_link(r, progress, result);
    json_decref(progress);
    return response;
}

struct serve_response serve_delete_share(struct serve_request *r)
{
    struct serve_response response;
    json_t *progress = find_task(r, &response);

    if (!progress)
        return response;
    json_decref(progress);
    return serve_share_remove(r->argument)
               ? serve_response_message("the result is no longer shared")
               : serve_response_error(MHD_HTTP_NOT_FOUND,
                                      "share: the result is not shared");
}

struct serve_response serve_get_shared_page(struct serve_request *r)
{
    json_t *share = r->settings->max_shares ? serve_share_load(r->argument) : NULL;
    struct serve_response response =
        share ? serve_share_page(r, r->argument, share) : serve_share_gone();

    json_decref(share);
    return response;
}

struct serve_response serve_get_shared_picture(struct serve_request *r)
{
    /* a link may end at any time */
    const struct serve_picture_request p = {.connection = r->connection,
                                            .is_head = r->is_head,
                                            .may_change = true,
                                            .type = serve_picture_media_type(".jpg")};
    char *path = r->settings->max_shares ? serve_share_picture(r->argument) : NULL;
    struct serve_response response;
    uint64_t size;
    int fd = path ? serve_file_open(path, &size) : -1;

    response =
        fd >= 0 ? serve_response_file(&p, fd)
                : serve_response_error(MHD_HTTP_NOT_FOUND, "there is no such picture");
    MHD_add_response_header(response.mhd, "X-Robots-Tag", "noindex, nofollow");
    free(path);
    return response;
}
