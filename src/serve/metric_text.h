/* SPDX-License-Identifier: MIT */
/* metric_text.h - metrics in the text format of Prometheus, and histograms. */
#ifndef NST_SERVE_METRIC_TEXT_H
#define NST_SERVE_METRIC_TEXT_H

#include <glib.h>
#include <stdint.h>

#define SERVE_BOUNDS 8 /* upper bounds of a histogram's buckets, without infinity */

/* In seconds, ascending. */
extern const double serve_request_bounds[SERVE_BOUNDS];
extern const double serve_task_bounds[SERVE_BOUNDS];

struct serve_histogram {
    uint64_t
        bucket[SERVE_BOUNDS + 1]; /* not cumulative; the last is above all bounds */
    double sum;
};

/* The bucket of a value. */
unsigned serve_histogram_bucket(const double bounds[SERVE_BOUNDS], double value);
void serve_histogram_add(struct serve_histogram *h, const double bounds[SERVE_BOUNDS],
                         double value);

/* The lines HELP and TYPE. */
void serve_metric_head(GString *s, const char *name, const char *type,
                       const char *help);
/* A metric without labels. */
void serve_metric(GString *s, const char *name, const char *type, const char *help,
                  double value);
/* The series of a histogram after serve_metric_head(); labels: `name="value",` or "".
 */
void serve_metric_histogram(GString *s, const char *name, const char *labels,
                            const double bounds[SERVE_BOUNDS],
                            const struct serve_histogram *h);

#endif
