/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/compare.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "serve/child.h"
#include "serve/log.h"
#include "serve/store.h"
#include "serve/styles.h"
#include "serve/tasks.h"

#define SECONDS 120
#define RETRY_SECONDS 10

struct compared {
    char *original, *result, *style; /* paths; style may be NULL */
};

static const char *text_of(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

/* The path of a picture in one of these folders: a new string, or NULL. */
static char *find(const char *name, const char *folder, const char *or_folder)
{
    if (name && serve_store_has(folder, name))
        return serve_store_path(folder, name);
    if (name && or_folder && serve_store_has(or_folder, name))
        return serve_store_path(or_folder, name);
    return NULL;
}

/* The first member that is none of ours, or NULL. */
static const char *unknown_member(json_t *body)
{
    const char *key;
    json_t *v;

    json_object_foreach(body, key, v) if (strcmp(key, "task_id") != 0 &&
                                          strcmp(key, "original") != 0 &&
                                          strcmp(key, "result") != 0 &&
                                          strcmp(key, "style") != 0) return key;
    return NULL;
}

/* What the body names; with a task, that task's. False: *answer. */
static bool read_body(const struct serve_request *r, struct compared *c,
                      struct serve_answer *answer)
{
    const json_t *named = json_object_get(r->body, "task_id");
    const char *id = json_string_value(named), *style;
    json_t *task = id ? serve_tasks_progress(id, NULL, NULL) : NULL;
    const json_t *from = id ? task : r->body;
    bool away = id && !task && errno != ENOENT;
    const char *unknown = unknown_member(r->body);

    if (unknown) {
        json_decref(task);
        *answer =
            serve_answer_error(MHD_HTTP_BAD_REQUEST, "%.64s: is not known", unknown);
        return false;
    }
    if (named && !id) {
        *answer = serve_answer_error(MHD_HTTP_BAD_REQUEST, "task_id: is not a string");
        return false;
    }
    if (away) {
        *answer = serve_answer_away();
        return false;
    }
    if (id && (!task || !text_of(task, "output_img"))) {
        json_decref(task);
        *answer = serve_answer_error(
            MHD_HTTP_NOT_FOUND, "task_id: there is no task '%.64s' with a result", id);
        return false;
    }
    c->original = find(text_of(from, id ? "content_img" : "original"), "uploads", NULL);
    c->result = find(text_of(from, id ? "output_img" : "result"), "results", "uploads");
    style = text_of(from, id ? "style_img" : "style");
    c->style = style ? serve_styles_picture(style) : NULL;
    if (!c->original || !c->result)
        *answer = serve_answer_error(MHD_HTTP_BAD_REQUEST,
                                     "%s: must be the name of an existing picture",
                                     c->original ? "result" : "original");
    else if (style && !c->style && !id)
        *answer = serve_answer_error(MHD_HTTP_BAD_REQUEST,
                                     "style: '%.64s' is not a style picture", style);
    json_decref(task);
    return c->original && c->result && (c->style || !style || id);
}

/* Both were decoded before, so what is left to go wrong is their size. */
static struct serve_answer not_compared(int status, const char *said)
{
    static const char memory[] = "nst-compare: out of memory";

    if (status == SERVE_CHILD_NONE)
        return serve_answer_later(
            MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
            "the pictures cannot be compared now: try again later");
    if (status == -1 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
        return serve_answer_later(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                                  "the comparison took longer than %d s: try again "
                                  "later, or with smaller pictures",
                                  SECONDS);
    if (strncmp(said, memory, strlen(memory)) == 0)
        return serve_answer_error(MHD_HTTP_CONTENT_TOO_LARGE,
                                  "the pictures are too large to be compared: %.*s",
                                  (int)strcspn(strchr(said, ' ') + 1, "\n"),
                                  strchr(said, ' ') + 1);
    serve_log(SERVE_ERROR, "nst-compare: status %d: %.200s", status, said);
    return serve_answer_error(MHD_HTTP_INTERNAL_SERVER_ERROR,
                              "the pictures could not be compared");
}

static struct serve_answer measure(const struct serve_settings *s,
                                   const struct compared *c)
{
    const struct serve_limits limits = {.memory =
                                            (size_t)s->task_memory + SERVE_LIBRARIES,
                                        .seconds = SECONDS * (unsigned)s->cores};
    char *program = serve_program("nst-compare"), *out, *said;
    struct serve_answer answer;
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
    status = serve_child_run(argv, &limits, SECONDS, &out, &said);
    j = status == 0 ? json_loads(out, 0, NULL) : NULL;
    answer = j ? serve_answer_json(MHD_HTTP_OK, j) : not_compared(status, said);
    free(said);
    free(out);
    free(model);
    free(style);
    free(program);
    return answer;
}

struct serve_answer serve_compare(struct serve_request *r)
{
    struct compared c = {NULL, NULL, NULL};
    struct serve_answer a;

    if (read_body(r, &c, &a))
        a = measure(r->settings, &c);
    free(c.original);
    free(c.result);
    free(c.style);
    return a;
}
