/* SPDX-License-Identifier: MIT */
/*
 * log.h - lines about what happens, for a person or as JSON: to standard error, which a
 * journal reads, or to a file that is turned over before it is too large.
 */
#ifndef NST_SERVE_LOG_H
#define NST_SERVE_LOG_H

#include <stdbool.h>

enum serve_level { SERVE_INFO, SERVE_WARNING, SERVE_ERROR };

/* path: NULL is standard error. A file is renamed to FILE.1, that to FILE.2 and so on
 * before it exceeds 10 MB; five are kept. False if it cannot be opened: errno. */
bool serve_log_open(const char *path, bool json);
void serve_log_close(void);

/* A line; for any thread. */
void serve_log(enum serve_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
