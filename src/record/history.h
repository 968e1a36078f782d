/* SPDX-License-Identifier: MIT */
/*
 * history.h - the file of finished runs: a line of JSON each, appended by any number of
 * processes at once, read by whoever wants to.
 */
#ifndef NST_RECORD_HISTORY_H
#define NST_RECORD_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Where history goes: asked (--history), else $NST_HISTORY, else
 * $XDG_STATE_HOME/nst/history.jsonl. A new string; NULL for none. */
char *nst_history_path(const char *option);

/*
 * Append a line (without its end) to the history at path, made with its directories if
 * need be. It goes out in one write under a lock, so lines stay whole whoever else
 * appends or rewrites; after a line that a crash cut short it begins a new one.
 * NST_ERR_IO.
 */
enum nst_status nst_history_append(const char *path, const char *line,
                                   struct nst_err *err);

#define NST_HISTORY_ID 8 /* hexadecimal digits, of the SHA-256 of the line */

struct nst_history {
    size_t count;
    struct nst_history_line {
        char *text;
        char id[NST_HISTORY_ID + 1];
        json_t *run; /* NULL: the line is damaged */
    } * line;        /* oldest first */
};

/* Read all lines; a file that is not there has none. NST_ERR_IO. Free with the clear
 * function, after a failure too. */
enum nst_status nst_history_read(struct nst_history *h, const char *path,
                                 struct nst_err *err);
void nst_history_clear(struct nst_history *h);

/* Take out the lines that should_remove() says so of, under the lock of those who
 * append: the file is replaced as a whole. Damaged lines are not asked about, and stay.
 * How many lines went to *removed. NST_ERR_IO. */
enum nst_status nst_history_remove(const char *path,
                                   bool (*should_remove)(void *ctx,
                                                         const struct nst_history *h,
                                                         size_t i),
                                   void *ctx, size_t *removed, struct nst_err *err);

#endif
