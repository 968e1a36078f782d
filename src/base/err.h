/* SPDX-License-Identifier: MIT */
/*
 * err.h - error reporting.
 *
 * A function that can fail returns enum nst_status and writes one line of text to the
 * caller's struct nst_err. There is no global state, so two jobs in one process never
 * mix their messages. Libraries never print.
 */
#ifndef NST_BASE_ERR_H
#define NST_BASE_ERR_H

enum nst_status {
    NST_OK = 0,
    NST_ERR_ARG,     /* a value outside its documented range, a name of nothing */
    NST_ERR_IO,      /* the system failed to open, read, write or rename */
    NST_ERR_FORMAT,  /* invalid or unsuitable file contents */
    NST_ERR_MEM,     /* out of memory */
    NST_ERR_NUMERIC, /* a value that must be finite is not */
    NST_ERR_SPACE    /* the disk, or a quota of it, is full */
};

struct nst_err {
    enum nst_status status;
    char text[1024]; /* one line, no newline, always terminated */
};

/* Fill *err (NULL is fine) from a printf format and return status. */
enum nst_status nst_err_set(struct nst_err *err, enum nst_status status,
                            const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Not in nst.h. */

/* Prepend "PREFIX: " to the text of err (NULL is fine). */
void nst_err_prefix(struct nst_err *err, const char *prefix);

#endif
