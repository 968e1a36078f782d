/* SPDX-License-Identifier: MIT */
/* metrics.h - the response to GET /metrics. */
#ifndef NST_SERVE_METRICS_H
#define NST_SERVE_METRICS_H

/* All metrics in the text format of Prometheus, a new string. */
char *serve_metrics(void);

#endif
