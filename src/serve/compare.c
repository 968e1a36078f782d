/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/figures.h"
#include "serve/owners.h"
#include "serve/quality.h"
#include "serve/queue/queue.h"
#include "serve/store.h"
#include "serve/styles.h"

static const char *get_text(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

/* The path of a picture in either folder, a new string; NULL if there is none that who
 * sees. */
static char *find_picture(const struct serve_identity *who, const char *name,
                          const char *folder, const char *other_folder)
{
    if (!name || !serve_owner_sees_picture(who, name))
        return NULL;
    if (serve_store_has(folder, name))
        return serve_store_path(folder, name);
    if (other_folder && serve_store_has(other_folder, name))
        return serve_store_path(other_folder, name);
    return NULL;
}

/* The first unknown member, or NULL. */
static const char *unknown_member(json_t *body)
{
    const char *key;
    json_t *v;

    json_object_foreach(body, key, v)
        if (strcmp(key, "task_id") != 0 && strcmp(key, "original") != 0 &&
            strcmp(key, "result") != 0 && strcmp(key, "style") != 0)
            return key;
    return NULL;
}

static struct serve_response unknown_picture(const struct serve_pictures *p)
{
    return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                "%s: must be the name of an existing picture",
                                p->original ? "result" : "original");
}

/* {"task_id"}: kept figures, or new ones, which are kept. */
static struct serve_response compare_task(const struct serve_request *r, const char *id)
{
    json_t *progress = serve_queue->progress(&r->identity, id, NULL, NULL);
    bool unavailable = !progress && errno != ENOENT;
    struct serve_figures f = {.figures = NULL};
    struct serve_pictures p = {NULL, NULL, NULL};
    struct serve_response response;

    if (unavailable)
        response = serve_response_unavailable();
    else if (!get_text(progress, "output_img"))
        response = serve_response_error(
            MHD_HTTP_NOT_FOUND, "task_id: there is no task '%.64s' with a result", id);
    else if (!serve_pictures_of_task(&p, progress))
        response = unknown_picture(&p);
    else {
        f.figures = serve_quality_load(id, NULL, NULL);
        if (!f.figures) {
            serve_figures_compute(&f, r->settings, &p);
            if (f.figures)
                serve_quality_store(id, progress, f.figures);
        }
        response = serve_figures_response(&f);
    }
    serve_figures_clear(&f);
    serve_pictures_clear(&p);
    json_decref(progress);
    return response;
}

/* The kept figures of the task that made the result from these pictures, or NULL. */
static json_t *find_figures(const json_t *body)
{
    const char *result = get_text(body, "result");
    char *id = nst_xasprintf("%.*s", (int)strcspn(result, "."), result);
    json_t *figures =
        serve_quality_load(id, get_text(body, "original"), get_text(body, "style"));

    free(id);
    return figures;
}

/* {"original", "result", "style"} */
static struct serve_response compare_pictures(const struct serve_request *r)
{
    const char *style = get_text(r->body, "style");
    struct serve_pictures p = {
        .original =
            find_picture(&r->identity, get_text(r->body, "original"), "uploads", NULL),
        .result = find_picture(&r->identity, get_text(r->body, "result"), "results",
                               "uploads"),
        .style = style && serve_owner_sees_picture(&r->identity, style)
                     ? serve_styles_picture_path(style)
                     : NULL};
    struct serve_figures f = {.figures = NULL};
    struct serve_response response;

    if (!p.original || !p.result)
        response = unknown_picture(&p);
    else if (style && !p.style)
        response = serve_response_error(MHD_HTTP_BAD_REQUEST,
                                        "style: '%.64s' is not a style picture", style);
    else {
        f.figures = find_figures(r->body);
        if (!f.figures)
            serve_figures_compute(&f, r->settings, &p);
        response = serve_figures_response(&f);
    }
    serve_figures_clear(&f);
    serve_pictures_clear(&p);
    return response;
}

struct serve_response serve_compare(struct serve_request *r)
{
    const json_t *task_id = json_object_get(r->body, "task_id");
    const char *unknown = unknown_member(r->body);

    if (unknown)
        return serve_response_error(MHD_HTTP_BAD_REQUEST, "%.64s: is not known",
                                    unknown);
    if (task_id && !json_is_string(task_id))
        return serve_response_error(MHD_HTTP_BAD_REQUEST, "task_id: is not a string");
    return task_id ? compare_task(r, json_string_value(task_id)) : compare_pictures(r);
}
