/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/figures.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "serve/log.h"
#include "serve/pictures.h"
#include "serve/sandbox.h"
#include "serve/store.h"
#include "serve/styles.h"

#define COMPARE_SECONDS 120
#define RETRY_SECONDS 10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held by a comparison */

static const char *get_text(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

/* The path of a picture, a new string; NULL if it does not exist. */
static char *find_picture(const char *name, const char *folder)
{
    return name && serve_store_has(folder, name) ? serve_store_path(folder, name)
                                                 : NULL;
}

bool serve_pictures_of_task(struct serve_pictures *p, const json_t *progress)
{
    const char *style = get_text(progress, "style_img");
    char *result = serve_picture_find("results", get_text(progress, "task_id"));

    p->original = find_picture(get_text(progress, "content_img"), "uploads");
    p->result = find_picture(result, "results");
    free(result);
    p->style = style ? serve_styles_picture_path(style) : NULL;
    return p->original && p->result;
}

void serve_pictures_clear(struct serve_pictures *p)
{
    free(p->original);
    free(p->result);
    free(p->style);
    *p = (struct serve_pictures){NULL, NULL, NULL};
}

void serve_figures_compute(struct serve_figures *f, const struct serve_settings *s,
                           const struct serve_pictures *p)
{
    const char *const inputs[] = {p->original, p->result, p->style, NULL};
    const struct serve_sandbox_limits limits = {
        .memory = (size_t)s->task_memory + SERVE_ADDRESS_OVERHEAD,
        .seconds = COMPARE_SECONDS * (unsigned)s->cores,
        .inputs = inputs};
    char *program = serve_program_path("nst-compare"), *out = NULL;
    char *style = p->style ? nst_xasprintf("--style=%s", p->style) : NULL;
    char *model = s->model ? nst_xasprintf("--model=%s", s->model) : NULL;
    const char *argv[8] = {program, "--json"};
    int n = 2;

    if (style)
        argv[n++] = style;
    if (model)
        argv[n++] = model;
    argv[n++] = "--";
    argv[n++] = p->original;
    argv[n++] = p->result;
    pthread_mutex_lock(&lock);
    f->status = serve_sandbox_run(argv, &limits, COMPARE_SECONDS, &out, &f->message);
    pthread_mutex_unlock(&lock);
    f->figures = f->status == 0 ? json_loads(out, 0, NULL) : NULL;
    free(out);
    free(model);
    free(style);
    free(program);
}

void serve_figures_clear(struct serve_figures *f)
{
    json_decref(f->figures);
    free(f->message);
    *f = (struct serve_figures){.figures = NULL};
}

/* Both pictures were decoded before, so only their size can cause a client error. */
struct serve_response serve_figures_response(const struct serve_figures *f)
{
    static const char memory[] = "nst-compare: out of memory";
    const char *message = f->message;
    int status = f->status;

    if (f->figures)
        return serve_response_json(MHD_HTTP_OK, json_incref(f->figures));
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
