/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/maker.h"

#include <errno.h>
#include <glib.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nst.h"
#include "serve/child.h"
#include "serve/log.h"
#include "serve/monitor.h"
#include "serve/pictures.h"
#include "serve/request.h"
#include "serve/store.h"

#define SAVE_EVERY 20      /* steps */
#define LOOK_MS 200        /* how often it is seen whether to go on */
#define PATIENCE_SECONDS 8 /* after being asked to end */

struct attempt {
    struct serve_making *m;
    const struct serve_settings *settings;
    char *folder, *made, *checkpoint;
    bool resumes;
    struct serve_child child;
    struct serve_step step;
    GString *line; /* what has come of it */
    char *message; /* the last line that is no progress */
    bool late;
    double asked; /* when it was asked to end; 0: not yet */
};

static double clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A file, and not a link that the child has made. */
static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

static double number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void read_progress(struct attempt *a, const json_t *j)
{
    a->step =
        (struct serve_step){.done = json_integer_value(json_object_get(j, "done")),
                            .total = json_integer_value(json_object_get(j, "total")),
                            .content_loss = number(j, "content_loss"),
                            .style_loss = number(j, "style_loss"),
                            .eta = number(j, "eta_seconds"),
                            .seconds = number(j, "seconds")};
    a->m->tell(a->m->ctx, &a->step);
}

static void read_line(struct attempt *a, const char *line)
{
    json_t *j = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;

    if (j)
        read_progress(a, j);
    else if (strncmp(line, "nst: ", 5) == 0) {
        free(a->message);
        a->message = nst_xstrdup(line + 5);
    }
    json_decref(j);
}

/* Read what there is. False at the end. */
static bool read_some(struct attempt *a)
{
    char part[4096];
    ssize_t n = read(a->child.err, part, sizeof part);

    if (n <= 0)
        return n < 0 && errno == EINTR;
    for (ssize_t i = 0; i < n; i++)
        if (part[i] == '\n') {
            read_line(a, a->line->str);
            g_string_truncate(a->line, 0);
        } else if (a->line->len < sizeof part)
            g_string_append_c(a->line, part[i]);
    return true;
}

/* Ask it to end if it is time. */
static void see_to_end(struct attempt *a, double begin)
{
    double now = clock_now();

    if (now - begin > (double)a->settings->task_seconds && !a->late) {
        a->late = true;
        serve_child_kill(&a->child);
    }
    if (atomic_load(&a->m->cancelled) ||
        (a->asked > 0 && now - a->asked > PATIENCE_SECONDS))
        serve_child_kill(&a->child);
    else if (atomic_load(&a->m->stop) && a->asked == 0) {
        a->asked = now;
        kill(a->child.pid, SIGTERM);
    }
}

/* Until it has ended, whatever becomes of its standard error. */
static int watch(struct attempt *a)
{
    struct pollfd p[2] = {{a->child.err, POLLIN, 0}, {a->child.gone, POLLIN, 0}};
    double begin = clock_now();
    bool ended = false;

    while (!ended) {
        see_to_end(a, begin);
        if (poll(p, 2, LOOK_MS) <= 0)
            continue;
        if (!p[0].revents)
            ended = true; /* and all is read */
        else if (!read_some(a)) {
            p[0].fd = -1;
            ended = p[1].fd < 0;
        }
    }
    return serve_child_end(&a->child);
}

/* The whole command; new: g_strfreev(). NULL if a picture is gone: *error. */
static char **command(const struct attempt *a, char **error)
{
    const struct serve_settings *s = a->settings;
    const char *content =
        json_string_value(json_object_get(a->m->record, "content_img"));
    char **asked = serve_request_arguments(a->m->record, error);
    int threads = s->cores / (int)a->m->share;
    GPtrArray *to;
    char *path;

    if (!asked)
        return NULL;
    if (!serve_store_has("uploads", content)) {
        g_strfreev(asked);
        *error = nst_xasprintf("%s: the picture no longer exists", content);
        return NULL;
    }
    to = g_ptr_array_new();
    path = serve_program("nst");
    g_ptr_array_add(to, g_strdup(path));
    free(path);
    g_ptr_array_add(to, g_strdup("--config=none"));
    for (int i = 0; asked[i]; i++)
        g_ptr_array_add(to, asked[i]);
    g_free(asked); /* its texts are taken over */
    g_ptr_array_add(to, g_strdup("--progress=json"));
    g_ptr_array_add(to, g_strdup("--history=none"));
    g_ptr_array_add(to, g_strdup_printf("--threads=%d", threads > 1 ? threads : 1));
    g_ptr_array_add(to,
                    g_strdup_printf("--max-memory=%lld", (long long)s->task_memory));
    g_ptr_array_add(to, g_strdup_printf("--max-pixels=%lld", (long long)s->max_pixels));
    g_ptr_array_add(to, g_strdup_printf("--save-every=%d", SAVE_EVERY));
    g_ptr_array_add(to, g_strdup_printf("--checkpoint=%s", a->checkpoint));
    g_ptr_array_add(to, g_strdup_printf("--preview=%s/" SERVE_PREVIEW, a->folder));
    if (a->resumes)
        g_ptr_array_add(to, g_strdup_printf("--resume=%s", a->checkpoint));
    else if (s->model)
        g_ptr_array_add(to, g_strdup_printf("--model=%s", s->model));
    g_ptr_array_add(to, g_strdup_printf("--output=%s", a->made));
    g_ptr_array_add(to, g_strdup("--"));
    path = serve_store_path("uploads", content);
    g_ptr_array_add(to, g_strdup(path));
    free(path);
    g_ptr_array_add(to, NULL);
    return (char **)g_ptr_array_free(to, FALSE);
}

static void say(struct serve_outcome *out, enum serve_end end, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct serve_outcome *out, enum serve_end end, const char *fmt, ...)
{
    va_list ap;

    out->end = end;
    free(out->error);
    va_start(ap, fmt);
    out->error = g_strdup_vprintf(fmt, ap);
    va_end(ap);
}

/* A message without the folders of the service: a new string. */
static char *told(const struct attempt *a)
{
    GRegex *folders = g_regex_new("(?<![^\\s'])/(?:[^/\\s:]+/)+", 0, 0, NULL);
    char *text = g_regex_replace_literal(
        folders, a->message ? a->message : "it ended without a message", -1, 0, "", 0,
        NULL);

    g_regex_unref(folders);
    return text ? text : g_strdup("it failed");
}

/* One that cannot be made is missed by nobody but who looks at the history. */
static void make_thumbnail(const struct attempt *a)
{
    char *error = NULL;

    if (serve_picture_check(a->m->result, strrchr(a->m->result, '/') + 1,
                            (long long)a->settings->max_pixels, &error) != SERVE_SOUND)
        serve_log(SERVE_WARNING, "task %s: no thumbnail: %s", a->m->id, error);
    free(error);
}

static void judge(struct attempt *a, int status, struct serve_outcome *out)
{
    char *text = told(a);

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && is_there(a->made) &&
        serve_file_move(a->made, a->m->result)) {
        out->end = SERVE_MADE;
        make_thumbnail(a);
        out->content_loss = a->step.content_loss;
        out->style_loss = a->step.style_loss;
        out->seconds = a->step.seconds;
    } else if (a->late)
        say(out, SERVE_REFUSED, "took longer than %lld s",
            (long long)a->settings->task_seconds);
    else if (a->asked > 0 || atomic_load(&a->m->cancelled))
        say(out, SERVE_STOPPED, "stopped");
    else if (WIFEXITED(status) && (WEXITSTATUS(status) == 128 + SIGINT ||
                                   WEXITSTATUS(status) == 128 + SIGTERM))
        say(out, SERVE_CRASHED, "was interrupted");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        say(out, SERVE_REFUSED, "used more than %lld s of CPU time on each processor",
            (long long)a->settings->task_seconds);
    else if (WIFSIGNALED(status))
        say(out, SERVE_CRASHED, "was ended by signal %d (%s)", WTERMSIG(status),
            strsignal(WTERMSIG(status)));
    else if (a->resumes) { /* the checkpoint may be what is wrong */
        unlink(a->checkpoint);
        say(out, SERVE_CRASHED, "%s", text);
    } else
        say(out, SERVE_REFUSED, "%s", text);
    g_free(text);
}

static void run(struct attempt *a, char **argv, struct serve_outcome *out)
{
    const struct serve_limits limits = {
        .memory = (size_t)a->settings->task_memory + SERVE_LIBRARIES,
        .seconds = (unsigned)(a->settings->task_seconds * a->settings->cores),
        .folder = a->folder,
        .gpu = serve_monitor_gpu()};

    if (!serve_child_start(&a->child, (const char *const *)argv, &limits)) {
        say(out, SERVE_CRASHED, "%s: %s", argv[0], strerror(errno));
        return;
    }
    judge(a, watch(a), out);
}

void serve_make(struct serve_making *m, const struct serve_settings *s,
                struct serve_outcome *out)
{
    struct attempt a = {.m = m, .settings = s, .folder = serve_store_work(m->id)};
    char **argv, *error = NULL;

    *out = (struct serve_outcome){.end = SERVE_CRASHED};
    if (!a.folder) {
        say(out, SERVE_CRASHED, "cannot create the work directory: %s",
            strerror(errno));
        return;
    }
    a.made = nst_xasprintf("%s/result.png", a.folder);
    a.checkpoint = nst_xasprintf("%s/checkpoint", a.folder);
    a.resumes = is_there(a.checkpoint);
    a.line = g_string_new(NULL);
    argv = command(&a, &error);
    if (argv)
        run(&a, argv, out);
    else
        say(out, SERVE_REFUSED, "%s", error);
    g_strfreev(argv);
    free(error);
    g_string_free(a.line, TRUE);
    free(a.message);
    free(a.checkpoint);
    free(a.made);
    free(a.folder);
}
