/* SPDX-License-Identifier: MIT */
/*
 * history.h - the file of finished runs: one line of JSON per run, appended and read by
 * any number of processes at once.
 */
#ifndef NST_RECORD_HISTORY_H
#define NST_RECORD_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Path of the history: option (--history), else $NST_HISTORY, else
 * $XDG_STATE_HOME/nst/history.jsonl. A new string; NULL for none. */
char *nst_history_path(const char *option);

/* Refuse a history that option or $NST_HISTORY names but that cannot be written, as in
 * a directory that does not exist. Other histories are not checked. NST_ERR_ARG,
 * NST_ERR_IO. */
enum nst_status nst_history_check(const char *option, struct nst_err *err);

#define NST_HISTORY_ID 8 /* hexadecimal digits of the SHA-256 of the line */

struct nst_history {
    size_t count;
    struct nst_history_line {
        char *text;
        char id[NST_HISTORY_ID + 1];
        json_t *run; /* NULL: the line is damaged */
    } * line;        /* oldest first */
};

/* Read all lines; none if the file does not exist. NST_ERR_IO. Free with the clear
 * function, also after a failure. */
enum nst_status nst_history_read(struct nst_history *h, const char *path,
                                 struct nst_err *err);
void nst_history_clear(struct nst_history *h);

/* Remove the lines for which should_remove() returns true, under the lock that
 * appending takes; the file is replaced as a whole. Damaged lines are kept without a
 * call. *removed: number of lines removed. NST_ERR_IO. */
enum nst_status nst_history_remove(const char *path,
                                   bool (*should_remove)(void *ctx,
                                                         const struct nst_history *h,
                                                         size_t i),
                                   void *ctx, size_t *removed, struct nst_err *err);

/* Not in nst.h. */

/*
 * Append a line (without newline) to the history at path; creates the file, and the
 * directories of the default path. One write under a lock keeps lines whole while other
 * processes append or rewrite. Starts a new line after one that a crash cut short.
 * NST_ERR_IO.
 */
enum nst_status nst_history_append(const char *path, const char *line,
                                   struct nst_err *err);

/* The path of the content image with this digest from which the latest recorded run
 * made output: a new string; NULL if the history has no such run. */
char *nst_history_content(const char *path, const char *output, const char *sha256);

#endif
