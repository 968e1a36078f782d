/* SPDX-License-Identifier: MIT */
/*
 * log.h - the log, as text or JSON lines: on standard error, which the journal reads,
 * or in a file that is rotated by size.
 */
#ifndef NST_SERVE_LOG_H
#define NST_SERVE_LOG_H

#include <stdbool.h>

enum serve_level { SERVE_INFO, SERVE_WARNING, SERVE_ERROR };

/* path NULL: standard error. Before a file exceeds 10 MB it is renamed to FILE.1, that
 * to FILE.2 and so on, up to five files in all. False: errno. */
bool serve_log_open(const char *path, bool json);
void serve_log_close(void);

/* Write one line. Thread-safe. */
void serve_log(enum serve_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
