/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/options.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/path.h"
#include "model/data_path.h"
#include "nst.h"
#include "serve/http/access_log.h"
#include "serve/http/tokens.h"
#include "serve/queue/queue.h"

enum {
    DATA = 0x100,
    STYLES,
    WEB,
    HOST,
    PREFIX,
    TOKENS,
    TOKEN,
    QUOTA,
    SHARED,
    INSECURE,
    ORIGIN,
    PROXY,
    KEEP_METADATA,
    LOG,
    LOG_FORMAT,
    ACCESS_LOG,
    ACCESS_LOG_FORMAT,
    QUEUE,
    WORKER,
    WEBHOOK,
    FIRST_NUMBER /* then one key for each element of numbers[] */
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Service:", 1},
    {"listen", 'l', "ADDRESS:PORT", 0, "Address to listen on [127.0.0.1:5000]", 1},
    {"data", DATA, "DIR", 0, "Data directory [~/.local/state/nst/serve]", 1},
    {"styles", STYLES, "DIR", 0, "Directory of additional pictures and style packs", 1},
    {"web", WEB, "DIR", 0, "Directory of the web page [as installed]", 1},
    {"model", 'm', "NAME|FILE", 0, "Network, as for nst --model", 1},
    {"prefix", PREFIX, "PATH", 0, "Prefix of URL paths, for use behind a proxy", 1},
    {NULL, 0, NULL, 0, "Access:", 2},
    {"tokens", TOKENS, "FILE", 0,
     "Require a token of FILE, whose lines are NAME user|operator TOKEN [QUOTA=N]...",
     2},
    {"token-file", TOKEN, "FILE", 0,
     "Require the token in the first line of FILE: Authorization: Bearer TOKEN", 2},
    {"quota", QUOTA, "QUOTA=N", 0,
     "Limit each user or visitor: waiting, running, bytes or work-per-day", 2},
    {"shared", SHARED, NULL, 0,
     "Without tokens, let everybody see and change everything", 2},
    {"insecure", INSECURE, NULL, 0, "Allow a public --listen address without tokens",
     2},
    {"host", HOST, "NAME", 0, "Accept NAME in the Host header, besides localhost", 2},
    {"allow-origin", ORIGIN, "ORIGIN", 0, "Accept requests from pages of ORIGIN", 2},
    {"behind-proxy", PROXY, NULL, 0,
     "Take client addresses from X-Forwarded-For, which a proxy must set", 2},
    {"keep-metadata", KEEP_METADATA, NULL, 0,
     "Keep GPS position, camera and author in uploads and results", 2},
    {"webhook-secret-file", WEBHOOK, "FILE", 0,
     "Tell servers that clients name of the end of tasks, signed with the secret in "
     "FILE",
     2},
    {NULL, 0, NULL, 0, "Multiple machines:", 4},
    {"queue", QUEUE, "redis://HOST", 0,
     "Keep tasks in Redis for workers: redis://[:PASSWORD@]HOST[:PORT][/DB]", 4},
    {"worker", WORKER, NULL, 0,
     "Process tasks from the queue, without HTTP; all processes share --data", 4},
    {NULL, 0, NULL, 0, "Log:", 5},
    {"log", LOG, "FILE", 0,
     "Log to FILE instead of standard error, in five files of 10 MB", 5},
    {"log-format", LOG_FORMAT, "text|json", 0, "Log format [text]", 5},
    {"access-log", ACCESS_LOG, "FILE", 0,
     "Log each request to FILE, in five files of 10 MB", 5},
    {"access-log-format", ACCESS_LOG_FORMAT, "common|combined|json", 0,
     "Format of the access log [common]", 5},
    {0}};

/* Numeric options. */
static const struct number_option {
    const char *name, *arg, *help;
    size_t offset;
    int64_t min, max, initial; /* initial -1: depends on the machine */
} numbers[] = {
#define AT(member) offsetof(struct serve_settings, member)
    {"max-tasks", "N", "Maximum number of running tasks", AT(max_tasks), 1,
     SERVE_MAX_TASKS, 3},
    {"max-queue", "N", "Maximum number of queued tasks", AT(max_queue), 1, 100000, 100},
    {"max-queue-per-owner", "N",
     "Maximum number of queued tasks of one owner or address [half of --max-queue]",
     AT(max_queue_per_owner), 1, 100000, -1},
    {"max-upload", "BYTES", "Maximum size of an upload (K, M, G)", AT(max_upload), 1024,
     (int64_t)1 << 32, (int64_t)16 << 20},
    {"max-pixels", "N", "Maximum number of pixels of a picture", AT(max_pixels), 256,
     1000000000, 50000000},
    {"decode-seconds", "N", "CPU time to decode an upload, in seconds",
     AT(decode_seconds), 1, 3600, 5},
    {"max-size", "N", "Limit for the longest side of a result, in pixels", AT(max_size),
     16, 65536, 2048},
    {"max-frames", "N", "Maximum number of frames of a film; 1: films are not painted",
     AT(max_frames), 1, 10000, 120},
    {"max-film-size", "N", "Limit for the longest side of a film, in pixels",
     AT(max_film_size), 16, 65536, 640},
    {"min-steps", "N", "Minimum number of steps of a task", AT(min_steps), 1, 1000,
     100},
    {"max-history-images", "N", "Number of finished tasks to keep",
     AT(max_history_images), 1, 1000000, 1000},
    {"max-styles", "N", "Maximum number of styles, including uploaded ones",
     AT(max_styles), 1, 100000, 1000},
    {"max-shares", "N",
     "Maximum number of shared results of one owner or address; 0: none",
     AT(max_shares), 0, 100000, 100},
    {"max-connections", "N", "Maximum number of connections", AT(max_connections), 8,
     65536, 1024},
    {"rate", "N", "Modifying requests per second from one address; 0: unlimited",
     AT(rate), 0, 1000000, 20},
    {"send-timeout", "N",
     "Seconds after which a client that reads too little of a response is cut",
     AT(send_timeout), 1, 3600, 120},
    {"retries", "N", "Number of retries of a task that crashes", AT(retries), 0, 100,
     3},
    {"lease", "N", "Seconds of silence after which a worker loses its tasks", AT(lease),
     2, 3600, 15},
    {"task-seconds", "N", "Maximum duration of a task in seconds", AT(task_seconds), 1,
     1000000, 3600},
    {"task-memory", "BYTES",
     "Memory limit of a task (K, M, G) [3/4 of the memory / --max-tasks]",
     AT(task_memory), 64 << 20, (int64_t)1 << 50, -1},
    {"grace", "N", "Seconds to wait for running tasks at shutdown", AT(grace), 0, 86400,
     10},
    {"monitor", "N", "Seconds between log lines on resource use; 0: none", AT(monitor),
     0, 86400, 300},
#undef AT
};
#define NUMBER_COUNT (sizeof numbers / sizeof *numbers)

static int64_t *setting(struct serve_settings *s, const struct number_option *n)
{
    return (int64_t *)((char *)s + n->offset);
}

/* A whole number with an optional suffix K, M or G. */
static void set_number(struct argp_state *state, struct serve_settings *s,
                       const struct number_option *n, const char *text)
{
    char *end;
    long long v = strtoll(text, &end, 10);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

    if (end == text || end[shift > 0] || v < 0 || v > INT64_MAX >> shift ||
        v << shift < n->min || v << shift > n->max)
        argp_error(state, "%s: '%s' is not a whole number from %" PRId64 " to %" PRId64,
                   n->name, text, n->min, n->max);
    *setting(s, n) = v << shift;
}

static void set_model(struct argp_state *state, struct serve_settings *s,
                      const char *text)
{
    struct nst_models models;
    struct nst_err err;

    if (nst_models_parse(&models, text, &err) != NST_OK)
        argp_error(state, "%s", err.text);
    nst_models_drop_missing(&models);
    for (int i = 0; i < models.count && models.model[i].name; i++) {
        char *path;

        if (nst_find_model(&path, models.model[i].name, &err) != NST_OK)
            argp_error(state, "%s", err.text);
        if (access(path, F_OK) != 0)
            argp_error(state, "model: %s: %s", path, strerror(errno));
        free(path);
    }
    nst_models_clear(&models);
    s->model = text;
}

/* Copy the URL and hide its password in the process list. */
static const char *take_queue_url(char *arg)
{
    char *copy = nst_xstrdup(arg), *end = strrchr(arg, '@');
    char *begin = strstr(arg, "://");

    if (begin && end && begin + 3 < end)
        memset(begin + 3, '*', (size_t)(end - begin) - 3);
    return copy;
}

static const char *require_folder(struct argp_state *state, const char *name,
                                  const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        argp_error(state, "%s: %s: %s", name, path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        argp_error(state, "%s: %s: is no directory", name, path);
    return path;
}

static void set_quota(struct argp_state *state, struct serve_settings *s,
                      const char *text)
{
    char *error;

    if (!serve_quota_set(&s->quota, text, &error))
        argp_error(state, "quota: %s", error);
}

static void check_options(struct argp_state *state, struct serve_settings *s)
{
    size_t n = s->prefix ? strlen(s->prefix) : 0;

    if (n && (s->prefix[0] != '/' || s->prefix[n - 1] == '/'))
        argp_error(state, "prefix: '%s' must begin with / and must not end with /",
                   s->prefix);
    if (s->worker && !s->queue)
        argp_error(state, "worker: needs --queue");
    if (s->tokens && s->token_file)
        argp_error(state, "tokens: excludes --token-file");
    if (s->shared && (s->tokens || s->token_file))
        argp_error(state, "shared: excludes --tokens and --token-file, whose operators "
                          "see and change everything");
    if (!s->data)
        s->data = nst_user_path("XDG_STATE_HOME", ".local/state", "serve");
    if (!s->data || !*s->data)
        argp_error(state, "data: a directory is required%s",
                   s->data ? "" : " because $HOME is not set");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct serve_settings *s = state->input;

    if (key >= FIRST_NUMBER && key < FIRST_NUMBER + (int)NUMBER_COUNT)
        set_number(state, s, &numbers[key - FIRST_NUMBER], arg);
    else if (key == 'l')
        s->listen = arg;
    else if (key == DATA)
        s->data = arg;
    else if (key == STYLES)
        s->styles = require_folder(state, "styles", arg);
    else if (key == WEB)
        s->web = require_folder(state, "web", arg);
    else if (key == 'm')
        set_model(state, s, arg);
    else if (key == HOST)
        s->host = arg;
    else if (key == PREFIX)
        s->prefix = arg;
    else if (key == TOKENS)
        s->tokens = arg;
    else if (key == TOKEN)
        s->token_file = arg;
    else if (key == QUOTA)
        set_quota(state, s, arg);
    else if (key == SHARED)
        s->shared = true;
    else if (key == INSECURE)
        s->insecure = true;
    else if (key == ORIGIN)
        s->allow_origin = arg;
    else if (key == PROXY)
        s->behind_proxy = true;
    else if (key == KEEP_METADATA)
        s->keep_metadata = true;
    else if (key == QUEUE)
        s->queue = take_queue_url(arg);
    else if (key == WORKER)
        s->worker = true;
    else if (key == WEBHOOK)
        s->webhook_secret_file = arg;
    else if (key == LOG)
        s->log_file = arg;
    else if (key == LOG_FORMAT &&
             (strcmp(arg, "text") == 0 || strcmp(arg, "json") == 0))
        s->json_log = arg[0] == 'j';
    else if (key == LOG_FORMAT)
        argp_error(state, "log-format: '%s' is neither text nor json", arg);
    else if (key == ACCESS_LOG)
        s->access_log = arg;
    else if (key == ACCESS_LOG_FORMAT) {
        if (!serve_access_format_parse(arg, &s->access_log_format))
            argp_error(state,
                       "access-log-format: '%s' is neither common, combined nor json",
                       arg);
    } else if (key == ARGP_KEY_ARG)
        argp_error(state, "%s: unexpected argument; only options are allowed", arg);
    else if (key == ARGP_KEY_END)
        check_options(state, s);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* options[] followed by numbers[] in their own section; static storage. */
static struct argp_option *all_options(void)
{
    static struct argp_option list[sizeof options / sizeof *options + NUMBER_COUNT + 1];
    size_t n = sizeof options / sizeof *options - 1;

    memcpy(list, options, n * sizeof *list);
    list[n++] = (struct argp_option){.doc = "Limits:", .group = 3};
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const struct number_option *option = &numbers[i];
        int64_t initial = option->initial;
        bool mega = initial > 0 && initial % (1 << 20) == 0;

        list[n++] = (struct argp_option){
            .name = option->name,
            .key = FIRST_NUMBER + (int)i,
            .arg = option->arg,
            .doc = initial < 0
                       ? nst_xstrdup(option->help)
                       : nst_xasprintf("%s [%" PRId64 "%s]", option->help,
                                       mega ? initial >> 20 : initial, mega ? "M" : ""),
            .group = 3};
    }
    return list;
}

void serve_options_read(struct serve_settings *s, int argc, char **argv)
{
    struct argp_option *list = all_options();
    const struct argp argp = {list,
                              parse_option,
                              NULL,
                              "HTTP service for neural style transfer; see "
                              "nst-serve(8).",
                              NULL,
                              NULL,
                              NULL};
    struct sysinfo machine;

    sysinfo(&machine);
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        *setting(s, &numbers[i]) = numbers[i].initial;
    argp_parse(&argp, argc, argv, 0, NULL, s);
    if (s->task_memory < 0)
        s->task_memory =
            (int64_t)(machine.totalram * machine.mem_unit) * 3 / 4 / s->max_tasks;
    if (s->max_queue_per_owner < 0)
        s->max_queue_per_owner = (s->max_queue + 1) / 2;
    s->cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
}
