/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/runner.h"

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
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"
#include "serve/film.h"
#include "serve/gpu.h"
#include "serve/init_image.h"
#include "serve/log.h"
#include "serve/owners.h"
#include "serve/pictures.h"
#include "serve/png_text.h"
#include "serve/request.h"
#include "serve/sandbox.h"
#include "serve/store.h"

#define CHECKPOINT_STEPS 20
#define POLL_MS 200    /* interval of enforce_limits() */
#define STOP_SECONDS 8 /* from SIGTERM to SIGKILL */

struct run {
    struct serve_attempt *attempt;
    const struct serve_settings *settings;
    char *folder, *output, *checkpoint;
    bool resuming;
    struct serve_sandbox child;
    struct serve_progress progress;
    struct stat preview; /* of the latest preview */
    GString *line;       /* the beginning of a line of standard error */
    char *message;       /* the last line that is not progress */
    bool timed_out;
    double stop_requested; /* time of SIGTERM; 0: not sent */
    bool keep_requested;   /* SIGTERM was sent for the picture so far */
};

/* True for a file that is not empty. lstat(): the child may have made a link. */
static bool is_file(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

static double get_number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

struct serve_progress serve_progress_parse(const json_t *j, const char *eta_key)
{
    return (struct serve_progress){
        .done = json_integer_value(json_object_get(j, "done")),
        .total = json_integer_value(json_object_get(j, "total")),
        .preview = json_integer_value(json_object_get(j, "preview")),
        .frame = json_integer_value(json_object_get(j, "frame")),
        .content_loss = get_number(j, "content_loss"),
        .style_loss = get_number(j, "style_loss"),
        .eta = get_number(j, eta_key),
        .seconds = get_number(j, "seconds")};
}

/* nst replaces the preview now and then, before it reports the next step. */
static int64_t find_preview(struct run *r, int64_t done, int64_t last)
{
    char *path = nst_xasprintf("%s/" SERVE_PREVIEW_FILE, r->folder);
    struct stat now;
    bool is_new = lstat(path, &now) == 0 && S_ISREG(now.st_mode) && now.st_size > 0 &&
                  (now.st_ino != r->preview.st_ino ||
                   now.st_mtim.tv_sec != r->preview.st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != r->preview.st_mtim.tv_nsec);

    free(path);
    if (!is_new)
        return last;
    r->preview = now;
    return done > last ? done : last + 1;
}

static void parse_line(struct run *r, const char *line)
{
    json_t *j = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;

    if (j) {
        int64_t preview = r->progress.preview;

        r->progress = serve_progress_parse(j, "eta_seconds");
        r->progress.preview = find_preview(r, r->progress.done, preview);
        r->attempt->on_progress(r->attempt->ctx, &r->progress);
    } else if (strncmp(line, "nst: ", 5) == 0) {
        free(r->message);
        r->message = nst_xstrdup(line + 5);
    }
    json_decref(j);
}

/* Read available output. False at its end. */
static bool read_stderr(struct run *r)
{
    char buffer[4096];
    ssize_t n = read(r->child.err, buffer, sizeof buffer);

    if (n <= 0)
        return n < 0 && errno == EINTR;
    for (ssize_t i = 0; i < n; i++)
        if (buffer[i] == '\n') {
            parse_line(r, r->line->str);
            g_string_truncate(r->line, 0);
        } else if (r->line->len < sizeof buffer)
            g_string_append_c(r->line, buffer[i]);
    return true;
}

/* nst writes the picture so far on a first signal, and ends at once on a second one. */
static void request_stop(struct run *r)
{
    if (r->stop_requested == 0 && !r->keep_requested)
        kill(r->child.pid, SIGTERM);
}

/* Kill the child on a timeout or cancellation; on a stop, ask it to end first. Before
 * the first step there is no picture to keep. */
static void enforce_limits(struct run *r, double start)
{
    double now = nst_clock_seconds();

    if (now - start > (double)r->settings->task_seconds && !r->timed_out) {
        r->timed_out = true;
        serve_sandbox_kill(&r->child);
    }
    if (atomic_load(&r->attempt->cancelled) ||
        (r->stop_requested > 0 && now - r->stop_requested > STOP_SECONDS))
        serve_sandbox_kill(&r->child);
    else if (atomic_load(&r->attempt->stop) && r->stop_requested == 0) {
        request_stop(r);
        r->stop_requested = now;
    } else if (atomic_load(&r->attempt->keep) && r->progress.done > 0) {
        request_stop(r);
        r->keep_requested = true;
    }
}

/* Read progress until the child has exited, even if it closes its standard error. */
static int supervise(struct run *r)
{
    struct pollfd p[2] = {{r->child.err, POLLIN, 0}, {r->child.pidfd, POLLIN, 0}};
    double start = nst_clock_seconds();
    bool ended = false;

    while (!ended) {
        enforce_limits(r, start);
        if (poll(p, 2, POLL_MS) <= 0)
            continue;
        if (!p[0].revents)
            ended = true; /* exited, and all output is read */
        else if (!read_stderr(r)) {
            p[0].fd = -1;
            ended = p[1].fd < 0;
        }
    }
    return serve_sandbox_wait(&r->child);
}

/* Options that a network which paints in one pass does not take. */
static void add_optimisation(GPtrArray *args, const struct run *r)
{
    g_ptr_array_add(args, g_strdup_printf("--save-every=%d", CHECKPOINT_STEPS));
    if (!serve_film_frames(r->attempt->record)) /* nst has no checkpoint of a film */
        g_ptr_array_add(args, g_strdup_printf("--checkpoint=%s", r->checkpoint));
    g_ptr_array_add(args,
                    g_strdup_printf("--preview=%s/" SERVE_PREVIEW_FILE, r->folder));
    if (r->resuming)
        g_ptr_array_add(args, g_strdup_printf("--resume=%s", r->checkpoint));
    else if (r->settings->model)
        g_ptr_array_add(args, g_strdup_printf("--model=%s", r->settings->model));
}

/* The argument list of nst, to free by g_strfreev(). NULL if a picture no longer
 * exists: *error is a new string. */
static char **build_argv(const struct run *r, char **error)
{
    const struct serve_settings *s = r->settings;
    const char *content =
        json_string_value(json_object_get(r->attempt->record, "content_img"));
    char **options = serve_request_arguments(r->attempt->record, error);
    int threads = s->cores / (int)r->attempt->concurrency;
    bool optimises = !serve_request_is_net(r->attempt->record);
    GPtrArray *args;
    char *path;

    if (!options)
        return NULL;
    if (!serve_store_has("uploads", content)) {
        g_strfreev(options);
        *error = nst_xasprintf("%s: the picture no longer exists", content);
        return NULL;
    }
    args = g_ptr_array_new();
    path = serve_program_path("nst");
    g_ptr_array_add(args, g_strdup(path));
    free(path);
    g_ptr_array_add(args, g_strdup("--config=none"));
    for (int i = 0; options[i]; i++)
        g_ptr_array_add(args, options[i]);
    g_free(options); /* its strings are in args */
    g_ptr_array_add(args, g_strdup("--progress=json"));
    g_ptr_array_add(args, g_strdup("--history=none"));
    if (!s->keep_metadata)
        g_ptr_array_add(args, g_strdup("--metadata=none"));
    g_ptr_array_add(args, g_strdup_printf("--threads=%d", threads > 1 ? threads : 1));
    g_ptr_array_add(args,
                    g_strdup_printf("--max-memory=%lld", (long long)s->task_memory));
    g_ptr_array_add(args,
                    g_strdup_printf("--max-pixels=%lld", (long long)s->max_pixels));
    if (optimises)
        add_optimisation(args, r);
    g_ptr_array_add(args, g_strdup_printf("--output=%s", r->output));
    g_ptr_array_add(args, g_strdup("--"));
    path = serve_store_path("uploads", content);
    g_ptr_array_add(args, g_strdup(path));
    free(path);
    g_ptr_array_add(args, NULL);
    return (char **)g_ptr_array_free(args, FALSE);
}

/* Add the picture after the = of an argument, but for the weight of a style. */
static void add_input(GPtrArray *inputs, const char *argument)
{
    const char *path = strchr(argument, '=') + 1, *weight = strrchr(path, ':');

    if (!weight || !g_str_has_prefix(argument, "--style="))
        weight = path + strlen(path);
    g_ptr_array_add(inputs, g_strndup(path, (gsize)(weight - path)));
}

static bool is_init_picture(const char *argument)
{
    return g_str_has_prefix(argument, "--init=") &&
           !serve_init_is_word(strchr(argument, '=') + 1);
}

/* The files that build_argv() names, to free by g_strfreev(). */
static char **list_inputs(char *const *argv)
{
    GPtrArray *inputs = g_ptr_array_new();

    for (; argv[1]; argv++)
        if (g_str_has_prefix(*argv, "--style=") || g_str_has_prefix(*argv, "--mask=") ||
            g_str_has_prefix(*argv, "--keep-mask=") || is_init_picture(*argv))
            add_input(inputs, *argv);
    g_ptr_array_add(inputs, g_strdup(*argv)); /* the content */
    g_ptr_array_add(inputs, NULL);
    return (char **)g_ptr_array_free(inputs, FALSE);
}

static void set_outcome(struct serve_outcome *out, enum serve_exit exit_class,
                        const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void set_outcome(struct serve_outcome *out, enum serve_exit exit_class,
                        const char *fmt, ...)
{
    va_list ap;

    out->exit = exit_class;
    free(out->error);
    va_start(ap, fmt);
    out->error = g_strdup_vprintf(fmt, ap);
    va_end(ap);
}

/* The last message without the paths of the service's folders: a new string. */
static char *clean_message(const struct run *r)
{
    GRegex *folders = g_regex_new("(?<![^\\s'])/(?:[^/\\s:]+/)+", 0, 0, NULL);
    char *text = g_regex_replace_literal(
        folders, r->message ? r->message : "it ended without a message", -1, 0, "", 0,
        NULL);

    g_regex_unref(folders);
    return text ? text : g_strdup("it failed");
}

/* Write the settings into the picture, for those who get it. False: errno. */
static bool add_settings(const struct run *r)
{
    json_t *settings = serve_request_settings(r->attempt->record);
    char *text = json_dumps(settings, JSON_COMPACT | JSON_ENSURE_ASCII);
    bool added = serve_png_add_text(r->output, SERVE_SETTINGS_KEYWORD, text);
    int error = errno;

    free(text);
    json_decref(settings);
    errno = error;
    return added;
}

/* Give the result its settings, its owner and its name. False: errno. */
static bool keep_result(const struct run *r)
{
    const char *owner = "", *party = "";

    json_unpack((json_t *)r->attempt->record, "{s?s, s?s}", "owner", &owner, "party",
                &party);
    return add_settings(r) &&
           serve_owner_set(strrchr(r->attempt->result, '/') + 1, owner, party) &&
           serve_file_take(r->output, r->attempt->result);
}

/* nst ends the message of a failed write with the system's text, in English: it sets no
 * LC_MESSAGES. */
static bool says_disk_full(const struct run *r)
{
    return r->message && (g_str_has_suffix(r->message, strerror(ENOSPC)) ||
                          g_str_has_suffix(r->message, strerror(EDQUOT)));
}

/* True if the child has ended as it should: with a whole picture, or with the picture
 * so far if it was asked to keep that. */
static bool has_result(const struct run *r, int status)
{
    bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool kept =
        r->keep_requested && WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM;

    return (done || kept) && is_file(r->output);
}

static void set_success(struct run *r, int status, struct serve_outcome *out)
{
    char *error = NULL;

    out->exit = SERVE_EXIT_SUCCESS;
    out->content_loss = r->progress.content_loss;
    out->style_loss = r->progress.style_loss;
    out->seconds = r->progress.seconds;
    out->stopped_at = WEXITSTATUS(status) == 0 ? 0 : r->progress.done;
    out->frame = r->progress.frame;
    /* A missing thumbnail does not fail the task; the next start makes it. */
    if (serve_picture_check(r->attempt->result, strrchr(r->attempt->result, '/') + 1,
                            r->settings, 0, &error) != SERVE_CHECK_OK)
        serve_log(SERVE_WARNING, "task %s: no thumbnail: %s", r->attempt->id, error);
    free(error);
}

static void classify_exit(struct run *r, int status, struct serve_outcome *out)
{
    char *text = clean_message(r);

    if (has_result(r, status) && keep_result(r))
        set_success(r, status, out);
    else if (has_result(r, status))
        set_outcome(out,
                    serve_store_is_disk_full(errno) ? SERVE_EXIT_NO_SPACE
                                                    : SERVE_EXIT_RETRYABLE,
                    "the result cannot be stored: %s", strerror(errno));
    else if (r->timed_out)
        set_outcome(out, SERVE_EXIT_FATAL, "took longer than %lld s",
                    (long long)r->settings->task_seconds);
    else if (r->stop_requested > 0 || atomic_load(&r->attempt->cancelled))
        set_outcome(out, SERVE_EXIT_STOPPED, "stopped");
    else if (WIFEXITED(status) && (WEXITSTATUS(status) == 128 + SIGINT ||
                                   WEXITSTATUS(status) == 128 + SIGTERM))
        set_outcome(out, SERVE_EXIT_RETRYABLE, "was interrupted");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        set_outcome(out, SERVE_EXIT_FATAL,
                    "used more than %lld s of CPU time on each processor",
                    (long long)r->settings->task_seconds);
    else if (WIFSIGNALED(status))
        set_outcome(out, SERVE_EXIT_RETRYABLE, "was ended by signal %d (%s)",
                    WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (says_disk_full(r)) /* a child that was taken over may only claim it */
        set_outcome(out,
                    serve_store_is_short() ? SERVE_EXIT_NO_SPACE : SERVE_EXIT_RETRYABLE,
                    "%s", text);
    else if (r->resuming) { /* the checkpoint may be the cause */
        unlink(r->checkpoint);
        set_outcome(out, SERVE_EXIT_RETRYABLE, "%s", text);
    } else
        set_outcome(out, SERVE_EXIT_FATAL, "%s", text);
    g_free(text);
}

void serve_attempt_run(struct serve_attempt *attempt, const struct serve_settings *s,
                       struct serve_outcome *out)
{
    struct run r = {
        .attempt = attempt, .settings = s, .folder = serve_store_work_dir(attempt->id)};
    struct serve_sandbox_limits limits = {
        .memory = (size_t)s->task_memory + SERVE_ADDRESS_OVERHEAD,
        .seconds = (unsigned)(s->task_seconds * s->cores),
        .folder = r.folder,
        .gpu = serve_gpu_present()};
    char **argv, **inputs, *error = NULL;

    *out = (struct serve_outcome){.exit = SERVE_EXIT_RETRYABLE};
    if (!r.folder) {
        set_outcome(out,
                    serve_store_is_disk_full(errno) ? SERVE_EXIT_NO_SPACE
                                                    : SERVE_EXIT_RETRYABLE,
                    "cannot create the work directory: %s", strerror(errno));
        return;
    }
    r.output = nst_xasprintf("%s/result%s", r.folder,
                             serve_film_result_extension(attempt->record));
    r.checkpoint = nst_xasprintf("%s/checkpoint", r.folder);
    r.resuming = is_file(r.checkpoint);
    r.line = g_string_new(NULL);

    argv = build_argv(&r, &error);
    inputs = argv ? list_inputs(argv) : NULL;
    limits.inputs = (const char *const *)inputs;
    if (!argv)
        set_outcome(out, SERVE_EXIT_FATAL, "%s", error);
    else if (!serve_sandbox_start(&r.child, (const char *const *)argv, &limits))
        set_outcome(out, SERVE_EXIT_RETRYABLE, "%s: %s", argv[0], strerror(errno));
    else
        classify_exit(&r, supervise(&r), out);
    g_strfreev(inputs);
    g_strfreev(argv);
    free(error);
    g_string_free(r.line, TRUE);
    free(r.message);
    free(r.checkpoint);
    free(r.output);
    free(r.folder);
}
