/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/metrics.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "serve/http/access_log.h"
#include "serve/http/server.h"
#include "serve/http/statistics.h"
#include "serve/metric_text.h"
#include "serve/monitor.h"
#include "serve/queue/queue.h"

static void write_histogram(GString *s, const char *name, const char *help,
                            const struct serve_histogram *h)
{
    serve_metric_head(s, name, "histogram", help);
    serve_metric_histogram(s, name, "", serve_task_bounds, h);
}

static void write_tasks(GString *s)
{
    struct serve_counts c;

    serve_queue->count(&c);
    serve_metric_head(s, "nst_tasks", "gauge", "Tasks by state.");
    for (int i = 0; i < SERVE_STATES; i++)
        g_string_append_printf(s, "nst_tasks{state=\"%s\"} %u\n", serve_state_names[i],
                               c.current[i]);
    serve_metric_head(s, "nst_tasks_ended_total", "counter",
                      "Finished tasks by final state.");
    for (int i = SERVE_COMPLETED; i < SERVE_STATES; i++)
        g_string_append_printf(s, "nst_tasks_ended_total{state=\"%s\"} %" PRIu64 "\n",
                               serve_state_names[i], c.ended[i]);
    serve_metric(s, "nst_queue_depth", "gauge", "Queued tasks.",
                 c.current[SERVE_QUEUED]);
    serve_metric(s, "nst_task_retries_total", "counter", "Task retries after a crash.",
                 (double)c.retries);
    serve_metric(s, "nst_task_seconds_total", "counter",
                 "Total duration of completed tasks in seconds.", c.seconds);
    write_histogram(s, "nst_task_wait_seconds",
                    "Seconds from the creation of a task to its first start.", &c.wait);
    write_histogram(s, "nst_task_run_seconds",
                    "Seconds of each attempt at a task, however it ended.", &c.run);
}

static void write_process(GString *s)
{
    const struct serve_process p = serve_monitor_process();

    serve_metric(s, "process_cpu_seconds_total", "counter",
                 "CPU time of the service, without its tasks, in seconds.",
                 p.cpu_seconds);
    serve_metric(s, "process_resident_memory_bytes", "gauge",
                 "Resident memory in bytes.", (double)p.resident);
    serve_metric(s, "process_open_fds", "gauge", "Open file descriptors.",
                 p.open_files);
    serve_metric(s, "process_max_fds", "gauge", "Limit of open file descriptors.",
                 (double)p.max_files);
    serve_metric(s, "process_start_time_seconds", "gauge",
                 "Start time in seconds since 1970.", (double)p.started);
    serve_metric_head(s, "nst_build_info", "gauge", "Version of the program.");
    g_string_append(s, "nst_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
}

char *serve_metrics(void)
{
    GString *s = g_string_new(NULL);
    const struct serve_resources u = serve_monitor_resources();

    write_tasks(s);
    serve_statistics_write(s);
    serve_metric(s, "nst_http_connections", "gauge", "Open connections.",
                 serve_http_connections());
    serve_metric(s, "nst_access_log_dropped_lines_total", "counter",
                 "Lines that the access log has lost.",
                 (double)serve_access_log_dropped());
    serve_metric(s, "nst_memory_usage_ratio", "gauge",
                 "Fraction of the machine's memory in use.", u.memory / 100);
    serve_metric(s, "nst_disk_usage_ratio", "gauge",
                 "Fraction of the data disk in use.", u.disk / 100);
    serve_metric(s, "nst_disk_free_bytes", "gauge",
                 "Free space on the data disk in bytes.", (double)u.disk_free);
    write_process(s);
    return g_string_free(s, FALSE);
}
