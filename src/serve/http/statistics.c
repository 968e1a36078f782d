/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/statistics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "serve/metric_text.h"

enum upload_result { STORED, REFUSED, FAILED, ABORTED, UPLOAD_RESULTS };

static const char *const upload_results[UPLOAD_RESULTS] = {"stored", "refused",
                                                           "failed", "aborted"};

/* The requests of a route. */
struct route_counts {
    const struct serve_route *route; /* NULL: of none */
    atomic_uint_least64_t bucket[SERVE_BOUNDS + 1], microseconds;
    atomic_uint_least64_t upload[UPLOAD_RESULTS];
};

static struct {
    struct route_counts *route; /* the last one: no route */
    size_t route_count;
    const struct serve_route *first;
    atomic_uint_least64_t by_class[6], by_reason[SERVE_REASONS];
    atomic_uint_least64_t received, sent, stored;
} counts;

void serve_statistics_open(const struct serve_route *routes)
{
    size_t n = 0;

    while (routes[n].method)
        n++;
    counts.first = routes;
    counts.route_count = n;
    counts.route = nst_xcalloc(n + 1, sizeof *counts.route);
    for (size_t i = 0; i < n; i++)
        counts.route[i].route = &routes[i];
}

void serve_statistics_close(void)
{
    free(counts.route);
    counts.route = NULL;
}

static struct route_counts *counts_of(const struct serve_route *route)
{
    return &counts.route[route ? (size_t)(route - counts.first) : counts.route_count];
}

void serve_statistics_answer(const struct serve_route *route,
                             const struct serve_response *response, double seconds)
{
    struct route_counts *c = counts_of(route);
    enum serve_reason reason = serve_response_reason(response);

    if (response->status < 600)
        atomic_fetch_add(&counts.by_class[response->status / 100], 1);
    if (reason != SERVE_REASON_NONE)
        atomic_fetch_add(&counts.by_reason[reason], 1);
    atomic_fetch_add(&c->bucket[serve_histogram_bucket(serve_request_bounds, seconds)],
                     1);
    atomic_fetch_add(&c->microseconds, (uint64_t)(1e6 * seconds));
}

void serve_statistics_end(const struct serve_route *route, unsigned status,
                          uint64_t received, uint64_t sent)
{
    enum upload_result result = status == 0    ? ABORTED
                                : status < 400 ? STORED
                                : status < 500 ? REFUSED
                                               : FAILED;

    atomic_fetch_add(&counts.received, received);
    atomic_fetch_add(&counts.sent, sent);
    if (!route || route->body != SERVE_BODY_FILE)
        return;
    atomic_fetch_add(&counts_of(route)->upload[result], 1);
    if (result == STORED)
        atomic_fetch_add(&counts.stored, received);
}

static void write_durations(GString *s)
{
    static const char name[] = "nst_http_request_duration_seconds";

    serve_metric_head(s, name, "histogram",
                      "Seconds from the head of a request to its response, by route.");
    for (size_t i = 0; i <= counts.route_count; i++) {
        struct route_counts *c = &counts.route[i];
        struct serve_histogram h = {.sum =
                                        1e-6 * (double)atomic_load(&c->microseconds)};
        char *labels = g_strdup_printf("method=\"%s\",route=\"%s\",",
                                       c->route ? c->route->method : "other",
                                       c->route ? c->route->path : "other");

        for (int b = 0; b <= SERVE_BOUNDS; b++)
            h.bucket[b] = atomic_load(&c->bucket[b]);
        serve_metric_histogram(s, name, labels, serve_request_bounds, &h);
        g_free(labels);
    }
}

static void write_uploads(GString *s)
{
    serve_metric_head(s, "nst_uploads_total", "counter",
                      "Requests with a picture by form field and result.");
    for (size_t i = 0; i < counts.route_count; i++)
        for (int r = 0; r < UPLOAD_RESULTS; r++)
            if (counts.route[i].route->body == SERVE_BODY_FILE)
                g_string_append_printf(
                    s,
                    "nst_uploads_total{field=\"%s\",result=\"%s\"} %" PRIuLEAST64 "\n",
                    counts.route[i].route->field, upload_results[r],
                    atomic_load(&counts.route[i].upload[r]));
    serve_metric(s, "nst_upload_stored_bytes_total", "counter",
                 "Bytes of the requests whose pictures were stored.",
                 (double)atomic_load(&counts.stored));
}

void serve_statistics_write(GString *s)
{
    serve_metric_head(s, "nst_http_requests_total", "counter",
                      "Requests by class of status.");
    for (int i = 2; i < 6; i++)
        g_string_append_printf(
            s, "nst_http_requests_total{code=\"%dxx\"} %" PRIuLEAST64 "\n", i,
            atomic_load(&counts.by_class[i]));
    serve_metric(
        s, "nst_http_failures_total", "counter",
        "Requests with a status of 400 or above.",
        (double)(atomic_load(&counts.by_class[4]) + atomic_load(&counts.by_class[5])));
    serve_metric_head(s, "nst_http_rejected_total", "counter",
                      "Requests with a status of 400 or above by reason.");
    for (int i = SERVE_REASON_NONE + 1; i < SERVE_REASONS; i++)
        g_string_append_printf(
            s, "nst_http_rejected_total{reason=\"%s\"} %" PRIuLEAST64 "\n",
            serve_reason_names[i], atomic_load(&counts.by_reason[i]));
    serve_metric(s, "nst_http_received_bytes_total", "counter",
                 "Bytes of the bodies of requests.",
                 (double)atomic_load(&counts.received));
    serve_metric(s, "nst_http_sent_bytes_total", "counter",
                 "Bytes of the bodies of complete responses, without event streams.",
                 (double)atomic_load(&counts.sent));
    write_durations(s);
    write_uploads(s);
}
