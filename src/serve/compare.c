/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/compare.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "serve/log.h"
#include "serve/owners.h"
#include "serve/queue/queue.h"
#include "serve/sandbox.h"
#include "serve/store.h"
#include "serve/styles.h"

#define COMPARE_SECONDS 120
#define RETRY_SECONDS 10

struct picture_paths {
    char *original, *result, *style; /* style may be NULL */
};

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

/* Find the pictures that the body names, or those of its task. False: *response is the
 * error. */
static bool parse_body(const struct serve_request *r, struct picture_paths *c,
                       struct serve_response *response)
{
    const json_t *task_id = json_object_get(r->body, "task_id");
    const char *id = json_string_value(task_id), *style;
    json_t *task = id ? serve_queue->progress(&r->identity, id, NULL, NULL) : NULL;
    const json_t *source = id ? task : r->body;
    bool unavailable = id && !task && errno != ENOENT;
    const char *unknown = unknown_member(r->body);
    char *name = NULL;

    if (unknown) {
        json_decref(task);
        *response =
            serve_response_error(MHD_HTTP_BAD_REQUEST, "%.64s: is not known", unknown);
        return false;
    }
    if (task_id && !id) {
        *response =
            serve_response_error(MHD_HTTP_BAD_REQUEST, "task_id: is not a string");
        return false;
    }
    if (unavailable) {
        *response = serve_response_unavailable();
        return false;
    }
    if (id && (!task || !get_text(task, "output_img"))) {
        json_decref(task);
        *response = serve_response_error(
            MHD_HTTP_NOT_FOUND, "task_id: there is no task '%.64s' with a result", id);
        return false;
    }
    c->original = find_picture(id ? NULL : &r->identity,
                               get_text(source, id ? "content_img" : "original"),
                               "uploads", NULL);
    c->result = id ? serve_task_result_path(id, &name)
                   : find_picture(&r->identity, get_text(source, "result"), "results",
                                  "uploads");
    style = get_text(source, id ? "style_img" : "style");
    c->style = style && (id || serve_owner_sees_picture(&r->identity, style))
                   ? serve_styles_picture_path(style)
                   : NULL;
    if (!c->original || !c->result)
        *response = serve_response_error(MHD_HTTP_BAD_REQUEST,
                                         "%s: must be the name of an existing picture",
                                         c->original ? "result" : "original");
    else if (style && !c->style && !id)
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST, "style: '%.64s' is not a style picture", style);
    json_decref(task);
    free(name);
    return c->original && c->result && (c->style || !style || id);
}

/* Both pictures were decoded before, so only their size can cause a client error. */
static struct serve_response error_response(int status, const char *message)
{
    static const char memory[] = "nst-compare: out of memory";

    if (status == SERVE_SANDBOX_FAILED)
        return serve_response_retry_after(
            MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
            "the pictures cannot be compared now: try again later");
    if (status == -1 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
        return serve_response_retry_after(
            MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
            "the comparison took longer than %d s: try again "
            "later, or with smaller pictures",
            COMPARE_SECONDS);
    if (strncmp(message, memory, strlen(memory)) == 0)
        return serve_response_error(MHD_HTTP_CONTENT_TOO_LARGE,
                                    "the pictures are too large to be compared: %.*s",
                                    (int)strcspn(strchr(message, ' ') + 1, "\n"),
                                    strchr(message, ' ') + 1);
    serve_log(SERVE_ERROR, "nst-compare: status %d: %.200s", status, message);
    return serve_response_error(MHD_HTTP_INTERNAL_SERVER_ERROR,
                                "the pictures could not be compared");
}

static struct serve_response compare(const struct serve_settings *s,
                                     const struct picture_paths *c)
{
    const char *const inputs[] = {c->original, c->result, c->style, NULL};
    const struct serve_sandbox_limits limits = {
        .memory = (size_t)s->task_memory + SERVE_ADDRESS_OVERHEAD,
        .seconds = COMPARE_SECONDS * (unsigned)s->cores,
        .inputs = inputs};
    char *program = serve_program_path("nst-compare"), *out, *message;
    struct serve_response response;
    char *style = c->style ? nst_xasprintf("--style=%s", c->style) : NULL;
    char *model = s->model ? nst_xasprintf("--model=%s", s->model) : NULL;
    const char *argv[8] = {program, "--json"};
    int n = 2, status;
    json_t *j;

    if (style)
        argv[n++] = style;
    if (model)
        argv[n++] = model;
    argv[n++] = "--";
    argv[n++] = c->original;
    argv[n++] = c->result;
    status = serve_sandbox_run(argv, &limits, COMPARE_SECONDS, &out, &message);
    j = status == 0 ? json_loads(out, 0, NULL) : NULL;
    response =
        j ? serve_response_json(MHD_HTTP_OK, j) : error_response(status, message);
    free(message);
    free(out);
    free(model);
    free(style);
    free(program);
    return response;
}

struct serve_response serve_compare(struct serve_request *r)
{
    struct picture_paths c = {NULL, NULL, NULL};
    struct serve_response response;

    if (parse_body(r, &c, &response))
        response = compare(r->settings, &c);
    free(c.original);
    free(c.result);
    free(c.style);
    return response;
}
