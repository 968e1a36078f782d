/* SPDX-License-Identifier: MIT */
/*
 * log.h - the log, as text or JSON lines: on standard error, which the journal reads,
 * or in a file that is rotated by size.
 */
#ifndef NST_SERVE_LOG_H
#define NST_SERVE_LOG_H

#include <stdbool.h>

enum serve_level { SERVE_INFO, SERVE_WARNING, SERVE_ERROR };

/* path NULL: standard error; otherwise a file of log_file.h. False: errno. */
bool serve_log_open(const char *path, bool json);
void serve_log_close(void);
/* Open the file again, after another program has renamed it. */
void serve_log_reopen(void);

/* Write one line. Thread-safe. */
void serve_log(enum serve_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Write one line on what a client has changed: what happened ("task created"), the ID
 * of the thing, its owner ("" for nobody) and the client's address. Thread-safe. */
void serve_log_change(const char *what, const char *id, const char *owner,
                      const char *address);

#endif
