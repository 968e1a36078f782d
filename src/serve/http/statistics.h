/* SPDX-License-Identifier: MIT */
/* statistics.h - counts of requests for /metrics. Thread-safe. */
#ifndef NST_SERVE_HTTP_STATISTICS_H
#define NST_SERVE_HTTP_STATISTICS_H

#include <glib.h>
#include <stdint.h>

#include "serve/http/server.h"

/* The routes that serve_http_open() gets, borrowed. */
void serve_statistics_open(const struct serve_route *routes);
void serve_statistics_close(void);

/* Count a response, seconds after the head of its request. route NULL: none matched. */
void serve_statistics_answer(const struct serve_route *route,
                             const struct serve_response *response, double seconds);
/* Count the end of a request. received and sent: bytes of the bodies; status 0: the
 * client went away before the response. */
void serve_statistics_end(const struct serve_route *route, unsigned status,
                          uint64_t received, uint64_t sent);

/* Append all metrics of HTTP. */
void serve_statistics_write(GString *s);

#endif
