/* SPDX-License-Identifier: MIT */
/*
 * log_file.h - a file to append lines to, rotated by its size. Not thread-safe.
 */
#ifndef NST_SERVE_LOG_FILE_H
#define NST_SERVE_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVE_LOG_FILE_BYTES 10000000
#define SERVE_LOG_FILES 5

struct serve_log_file {
    char *path; /* NULL: not open */
    int fd;
    int64_t size; /* of a regular file; others are not rotated */
};

/* Open or create a file to append to. False: errno. */
bool serve_log_file_open(struct serve_log_file *f, const char *path);
void serve_log_file_close(struct serve_log_file *f);

/*
 * Append whole lines. Before the file exceeds SERVE_LOG_FILE_BYTES it is renamed to
 * FILE.1, that to FILE.2 and so on, up to SERVE_LOG_FILES files in all. False: the text
 * could not be written.
 */
bool serve_log_file_write(struct serve_log_file *f, const char *text, size_t size);

/* Open the path again, because another program may have renamed the file. If that
 * fails, lines still go to the old one. False: errno. */
bool serve_log_file_reopen(struct serve_log_file *f);

#endif
