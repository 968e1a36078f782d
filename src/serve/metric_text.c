/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/metric_text.h"

#include <inttypes.h>
#include <string.h>

const double serve_request_bounds[SERVE_BOUNDS] = {0.001, 0.005, 0.02, 0.1,
                                                   0.5,   2,     10,   60};
const double serve_task_bounds[SERVE_BOUNDS] = {1, 5, 15, 60, 180, 600, 1800, 3600};

unsigned serve_histogram_bucket(const double bounds[SERVE_BOUNDS], double value)
{
    unsigned i = 0;

    while (i < SERVE_BOUNDS && value > bounds[i])
        i++;
    return i;
}

void serve_histogram_add(struct serve_histogram *h, const double bounds[SERVE_BOUNDS],
                         double value)
{
    h->bucket[serve_histogram_bucket(bounds, value)]++;
    h->sum += value;
}

void serve_metric_head(GString *s, const char *name, const char *type, const char *help)
{
    g_string_append_printf(s, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void serve_metric(GString *s, const char *name, const char *type, const char *help,
                  double value)
{
    serve_metric_head(s, name, type, help);
    g_string_append_printf(s, "%s %.15g\n", name, value);
}

void serve_metric_histogram(GString *s, const char *name, const char *labels,
                            const double bounds[SERVE_BOUNDS],
                            const struct serve_histogram *h)
{
    size_t n = strlen(labels);
    /* without the comma at the end */
    char *own = n ? g_strdup_printf("{%.*s}", (int)n - 1, labels) : g_strdup("");
    uint64_t count = 0;

    for (int i = 0; i < SERVE_BOUNDS; i++) {
        count += h->bucket[i];
        g_string_append_printf(s, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, labels,
                               bounds[i], count);
    }
    count += h->bucket[SERVE_BOUNDS];
    g_string_append_printf(s, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels,
                           count);
    g_string_append_printf(s, "%s_sum%s %.15g\n%s_count%s %" PRIu64 "\n", name, own,
                           h->sum, name, own, count);
    g_free(own);
}
