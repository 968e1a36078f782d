/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/monitor.h"

#include <dirent.h>
#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "nst.h"
#include "serve/clock.h"
#include "serve/gpu.h"
#include "serve/log.h"
#include "serve/queue/queue.h"
#include "serve/store.h"

#define WARN_PERCENT 90
#define MIN_FREE_BYTES ((uint64_t)64 << 20) /* of disk, to be healthy */

static struct {
    const struct serve_settings *settings;
    time_t started;
    uint64_t memory_total; /* bytes */
    pthread_mutex_t lock;  /* protects the members below */
    uint64_t busy, total;  /* CPU time at the last call of cpu_usage() */
    char cpu_model[128];
} monitor = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The value of "Key: N kB" in a file of /proc, in bytes; 0 if there is none. */
static uint64_t proc_bytes(const char *path, const char *key)
{
    char line[256];
    FILE *f = fopen(path, "re");
    uint64_t n = 0;

    while (!n && f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            n = strtoull(line + strlen(key) + 1, NULL, 10) * 1024;
    if (f)
        fclose(f);
    return n;
}

static void read_cpu_model(void)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");

    snprintf(monitor.cpu_model, sizeof monitor.cpu_model, "unknown");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            line[strcspn(line, "\n")] = 0;
            snprintf(monitor.cpu_model, sizeof monitor.cpu_model, "%s",
                     strchr(line, ':') + 2);
            break;
        }
    if (f)
        fclose(f);
}

void serve_monitor_open(const struct serve_settings *s)
{
    monitor.settings = s;
    monitor.started = time(NULL);
    monitor.memory_total = proc_bytes("/proc/meminfo", "MemTotal");
    read_cpu_model();
    serve_gpu_open();
}

void serve_monitor_close(void)
{
    serve_gpu_close();
}

static double gpu_memory_usage(void)
{
    json_t *gpu = serve_gpu_current();
    double total = json_number_value(json_object_get(gpu, "memory"));
    double left = json_number_value(json_object_get(gpu, "memory_free"));

    json_decref(gpu);
    return total > 0 ? 100 - 100 * left / total : NAN;
}

/* Percent of CPU time in use since the last call. */
static double cpu_usage(void)
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
    busy = total - t[3] - t[4]; /* without idle and iowait */
    pthread_mutex_lock(&monitor.lock);
    since = total - monitor.total;
    if (since > 0 && total > 0)
        percent = 100.0 * (double)(busy - monitor.busy) / (double)since;
    monitor.busy = busy;
    monitor.total = total;
    pthread_mutex_unlock(&monitor.lock);
    return percent;
}

struct serve_resources serve_monitor_resources(void)
{
    struct serve_resources u = {.memory_total = monitor.memory_total,
                                .memory_free =
                                    proc_bytes("/proc/meminfo", "MemAvailable")};

    if (u.memory_total)
        u.memory = 100 - 100 * (double)u.memory_free / (double)u.memory_total;
    serve_store_disk_usage(&u.disk_free, &u.disk);
    u.disk *= 100;
    u.gpu = gpu_memory_usage();
    return u;
}

static bool is_low(const struct serve_resources *u)
{
    return u->memory > WARN_PERCENT || u->disk > WARN_PERCENT || u->gpu > WARN_PERCENT;
}

void serve_monitor_log(void)
{
    char gpu[48] = "";
    struct serve_resources u;

    if (serve_gpu_present())
        serve_gpu_refresh();
    u = serve_monitor_resources();
    if (serve_gpu_present())
        snprintf(gpu, sizeof gpu, ", memory of the GPU %.0f %%", u.gpu);
    serve_log(is_low(&u) ? SERVE_WARNING : SERVE_INFO,
              "processors %.0f %%, memory %.0f %%, disk %.0f %%%s in use; this process "
              "%" PRIu64 " MiB",
              cpu_usage(), u.memory, u.disk, gpu,
              proc_bytes("/proc/self/status", "VmRSS") >> 20);
}

json_t *serve_monitor_health(bool *healthy)
{
    struct serve_resources u = serve_monitor_resources();
    char when[SERVE_TIME_SIZE];
    const char *status = "healthy";

    *healthy = u.disk_free >= MIN_FREE_BYTES && serve_queue->reachable();
    if (is_low(&u))
        status = "warning";
    if (!*healthy)
        status = "error";
    return json_pack("{s:s, s:o, s:f, s:f, s:s}", "status", status, "gpu_memory_usage",
                     isfinite(u.gpu) ? json_real(u.gpu) : json_null(), "disk_usage",
                     u.disk, "memory_usage", u.memory, "timestamp",
                     serve_time_text(when));
}

/* The networks of --model, or the default, as a new JSON string; null if a required one
 * is missing. */
static json_t *model_name(void)
{
    struct nst_models models;
    json_t *names = json_null();
    enum nst_status st = nst_models_parse(&models, monitor.settings->model, NULL);
    char *text;

    if (st == NST_OK)
        nst_models_drop_missing(&models);
    for (int i = 0; st == NST_OK && i < models.count; i++) {
        char *path = NULL;

        st = nst_find_model(&path, models.model[i].name, NULL);
        free(models.model[i].name);
        models.model[i].name = st == NST_OK ? nst_model_name(path) : NULL;
        models.model[i].optional = false;
        free(path);
    }
    text = st == NST_OK ? nst_models_format(&models) : NULL;
    if (text)
        names = json_string(text);
    free(text);
    nst_models_clear(&models);
    return names;
}

json_t *serve_monitor_device(void)
{
    struct serve_resources u = serve_monitor_resources();
    json_t *gpu = serve_gpu_current();

    return json_pack("{s:s, s:s, s:i, s:I, s:I, s:o, s:o, s:s}", "device",
                     gpu ? "cuda" : "cpu", "model", monitor.cpu_model, "cores",
                     monitor.settings->cores, "memory", (json_int_t)u.memory_total,
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

struct serve_process serve_monitor_process(void)
{
    struct serve_process p = {.started = monitor.started,
                              .resident = proc_bytes("/proc/self/status", "VmRSS"),
                              .open_files = open_files()};
    struct rusage usage;
    struct rlimit files;

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        p.cpu_seconds =
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        p.max_files = files.rlim_cur;
    return p;
}
