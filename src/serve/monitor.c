/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/monitor.h"

#include <dirent.h>
#include <glib.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nst.h"
#include "serve/child.h"
#include "serve/http.h"
#include "serve/log.h"
#include "serve/store.h"
#include "serve/tasks.h"

#define WARN_PERCENT 90
#define LEAST_FREE ((uint64_t)64 << 20) /* bytes of disk, to keep a picture */
#define LIST_SECONDS 10 /* GPUs that nothing has kept awake take a few to begin */

static struct {
    const struct serve_settings *settings;
    time_t started;
    bool had_gpu;         /* at the start */
    bool complained;      /* that nothing can be heard of it */
    pthread_mutex_t lock; /* for what follows */
    uint64_t busy, total; /* of the processors, when last looked at */
    json_t *gpu;          /* what nst last said of the first one, or NULL */
    char processor[128];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The number of kB after "Key:" in a file of /proc, in bytes; 0 if there is none. */
static uint64_t kilobytes(const char *path, const char *key)
{
    char line[256];
    FILE *f = fopen(path, "re");
    uint64_t n = 0;

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            n = strtoull(line + strlen(key) + 1, NULL, 10) * 1024;
    if (f)
        fclose(f);
    return n;
}

static void find_processor(void)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");

    snprintf(all.processor, sizeof all.processor, "unknown");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            line[strcspn(line, "\n")] = 0;
            snprintf(all.processor, sizeof all.processor, "%s", strchr(line, ':') + 2);
            break;
        }
    if (f)
        fclose(f);
}

/*
 * What `nst --list-devices` says: new; NULL if nothing. CUDA is begun in a process that
 * ends: in this one it would keep hundreds of MB of the GPU.
 */
static json_t *list_devices(void)
{
    const struct serve_limits limits = {.seconds = LIST_SECONDS, .gpu = true};
    char *nst = serve_program("nst"), *said;
    int status = serve_child_run(
        (const char *const[]){nst, "--config=none", "--list-devices", "--json", NULL},
        &limits, LIST_SECONDS, &said, NULL);
    json_t *list = status == 0 ? json_loads(said, 0, NULL) : NULL;

    free(said);
    free(nst);
    return list;
}

/* The first GPU that is listed, or NULL; *why: the error in its place, or NULL. */
static json_t *first_gpu(const json_t *list, const char **why)
{
    json_t *device;
    size_t i;

    *why = NULL;
    json_array_foreach(list, i, device)
    {
        const char *name = json_string_value(json_object_get(device, "name"));

        if (!name || strncmp(name, "cuda:", 5) != 0)
            continue;
        *why = json_string_value(json_object_get(device, "error"));
        return *why ? NULL : device;
    }
    return NULL;
}

/* If nothing can be heard of it, what was heard before stays. */
static void look_at_gpu(void)
{
    json_t *list = list_devices(), *gpu;
    const char *why;

    gpu = first_gpu(list, &why);
    if (list && !why) {
        pthread_mutex_lock(&all.lock);
        json_decref(all.gpu);
        all.gpu = json_incref(gpu);
        pthread_mutex_unlock(&all.lock);
    } else if (!all.complained) {
        all.complained = true;
        serve_log(SERVE_WARNING, "cannot query the GPU: nst --list-devices: %s",
                  why ? why : "it failed");
    }
    json_decref(list);
}

/* A new copy, for one thread alone; NULL without. */
static json_t *gpu_now(void)
{
    json_t *gpu;

    pthread_mutex_lock(&all.lock);
    gpu = json_deep_copy(all.gpu);
    pthread_mutex_unlock(&all.lock);
    return gpu;
}

bool serve_monitor_gpu(void)
{
    return all.had_gpu;
}

void serve_monitor_open(const struct serve_settings *s)
{
    all.settings = s;
    all.started = time(NULL);
    find_processor();
    look_at_gpu();
    all.had_gpu = all.gpu != NULL;
}

void serve_monitor_close(void)
{
    json_decref(all.gpu);
    all.gpu = NULL;
}

/* Percent of the machine's memory, disk, GPU's memory and processors that are in use:
 * the last since the last call. */
struct usage {
    double memory, disk, gpu, processors;
    uint64_t memory_total, memory_free, disk_free;
};

static double gpu_memory(void)
{
    json_t *gpu = gpu_now();
    double total = json_number_value(json_object_get(gpu, "memory"));
    double left = json_number_value(json_object_get(gpu, "memory_free"));

    json_decref(gpu);
    return total > 0 ? 100 - 100 * left / total : 0;
}

static double processors(void)
{
    unsigned long long t[8] = {0};
    FILE *f = fopen("/proc/stat", "re");
    uint64_t total = 0, busy, since;
    double percent = 0;

    if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1],
                    &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) == 8)
        for (int i = 0; i < 8; i++)
            total += t[i];
    if (f)
        fclose(f);
    busy = total - t[3] - t[4]; /* but for idle and waiting for a disk */
    pthread_mutex_lock(&all.lock);
    since = total - all.total;
    if (since > 0 && total > 0)
        percent = 100.0 * (double)(busy - all.busy) / (double)since;
    all.busy = busy;
    all.total = total;
    pthread_mutex_unlock(&all.lock);
    return percent;
}

static struct usage look(void)
{
    struct usage u = {.memory_total = kilobytes("/proc/meminfo", "MemTotal"),
                      .memory_free = kilobytes("/proc/meminfo", "MemAvailable")};

    if (u.memory_total)
        u.memory = 100 - 100 * (double)u.memory_free / (double)u.memory_total;
    serve_store_disk(&u.disk_free, &u.disk);
    u.disk *= 100;
    u.gpu = gpu_memory();
    return u;
}

static bool is_scarce(const struct usage *u)
{
    return u->memory > WARN_PERCENT || u->disk > WARN_PERCENT || u->gpu > WARN_PERCENT;
}

void serve_monitor_log(void)
{
    char gpu[48] = "";
    struct usage u;

    if (all.had_gpu)
        look_at_gpu();
    u = look();
    if (all.had_gpu)
        snprintf(gpu, sizeof gpu, ", memory of the GPU %.0f %%", u.gpu);
    serve_log(is_scarce(&u) ? SERVE_WARNING : SERVE_INFO,
              "processors %.0f %%, memory %.0f %%, disk %.0f %%%s in use; this process "
              "%" PRIu64 " MiB",
              processors(), u.memory, u.disk, gpu,
              kilobytes("/proc/self/status", "VmRSS") >> 20);
}

json_t *serve_monitor_health(bool *well)
{
    struct usage u = look();
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    const char *status = "healthy";

    *well = u.disk_free >= LEAST_FREE && serve_tasks_reachable();
    if (is_scarce(&u))
        status = "warning";
    if (!*well)
        status = "error";
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_pack("{s:s, s:f, s:f, s:f, s:s}", "status", status, "gpu_memory_usage",
                     u.gpu, "disk_usage", u.disk, "memory_usage", u.memory, "timestamp",
                     when);
}

/* The network that a task gets, or as --model lists them; null where one is missing. */
static json_t *model_name(void)
{
    struct nst_models models;
    json_t *names = json_null();
    enum nst_status st = nst_models_parse(&models, all.settings->model, NULL);
    char *text;

    if (st == NST_OK)
        nst_models_leave_missing(&models);
    for (int i = 0; st == NST_OK && i < models.count; i++) {
        char *path = NULL;

        st = nst_search_model(&path, models.of[i].name, NULL);
        free(models.of[i].name);
        models.of[i].name = st == NST_OK ? nst_search_name(path) : NULL;
        models.of[i].optional = false;
        free(path);
    }
    text = st == NST_OK ? nst_models_text(&models) : NULL;
    if (text)
        names = json_string(text);
    free(text);
    nst_models_clear(&models);
    return names;
}

json_t *serve_monitor_device(void)
{
    struct usage u = look();
    json_t *gpu = gpu_now();

    return json_pack("{s:s, s:s, s:i, s:I, s:I, s:o, s:o, s:s}", "device",
                     gpu ? "cuda" : "cpu", "model", all.processor, "cores",
                     all.settings->cores, "memory", (json_int_t)u.memory_total,
                     "memory_available", (json_int_t)u.memory_free, "gpu",
                     gpu ? gpu : json_null(), "network", model_name(), "version",
                     PACKAGE_VERSION);
}

static unsigned open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static void head(GString *s, const char *name, const char *type, const char *help)
{
    g_string_append_printf(s, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(GString *s, const char *name, const char *type, const char *help,
                double v)
{
    head(s, name, type, help);
    g_string_append_printf(s, "%s %.15g\n", name, v);
}

static void tasks(GString *s)
{
    struct serve_counts c;

    serve_tasks_count(&c);
    head(s, "nst_tasks", "gauge", "Tasks by state.");
    for (int i = 0; i < SERVE_STATES; i++)
        g_string_append_printf(s, "nst_tasks{state=\"%s\"} %u\n", serve_state_names[i],
                               c.now[i]);
    head(s, "nst_tasks_ended_total", "counter", "Finished tasks by final state.");
    for (int i = SERVE_COMPLETED; i < SERVE_STATES; i++)
        g_string_append_printf(s, "nst_tasks_ended_total{state=\"%s\"} %" PRIu64 "\n",
                               serve_state_names[i], c.ended[i]);
    one(s, "nst_queue_depth", "gauge", "Queued tasks.", c.now[SERVE_QUEUED]);
    one(s, "nst_task_retries_total", "counter", "Task retries after a crash.",
        (double)c.retries);
    one(s, "nst_task_seconds_total", "counter",
        "Total duration of completed tasks in seconds.", c.seconds);
}

static void requests(GString *s)
{
    uint64_t answered[6];

    serve_http_count(answered);
    head(s, "nst_http_requests_total", "counter", "Requests by class of status.");
    for (int i = 2; i < 6; i++)
        g_string_append_printf(
            s, "nst_http_requests_total{code=\"%dxx\"} %" PRIu64 "\n", i, answered[i]);
    one(s, "nst_http_failures_total", "counter",
        "Requests with a status of 400 or above.", (double)(answered[4] + answered[5]));
}

char *serve_monitor_metrics(void)
{
    GString *s = g_string_new(NULL);
    struct usage u = look();

    tasks(s);
    requests(s);
    one(s, "nst_memory_usage_ratio", "gauge",
        "Fraction of the machine's memory in use.", u.memory / 100);
    one(s, "nst_disk_usage_ratio", "gauge", "Fraction of the data disk in use.",
        u.disk / 100);
    one(s, "nst_disk_free_bytes", "gauge", "Free space on the data disk in bytes.",
        (double)u.disk_free);
    one(s, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.",
        (double)kilobytes("/proc/self/status", "VmRSS"));
    one(s, "process_open_fds", "gauge", "Open file descriptors.", open_files());
    one(s, "process_start_time_seconds", "gauge", "Start time in seconds since 1970.",
        (double)all.started);
    return g_string_free(s, FALSE);
}
