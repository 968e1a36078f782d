/* SPDX-License-Identifier: MIT */
/*
 * err.h - how a function says what went wrong.
 *
 * Every fallible function returns enum nst_status and writes one line for a
 * person into the struct nst_err its caller lent it, so that nothing is global
 * and two jobs in one process never mix their messages. Libraries never print.
 */
#ifndef NST_BASE_ERR_H
#define NST_BASE_ERR_H

enum nst_status {
    NST_OK = 0,
    NST_ERR_ARG,    /* a value outside its documented range */
    NST_ERR_IO,     /* the system refused: open, read, write, rename */
    NST_ERR_FORMAT, /* a file is not what it should be */
    NST_ERR_MEM,    /* something sized by a picture did not fit */
    NST_ERR_NUMERIC /* a value that must be finite is not */
};

struct nst_err {
    enum nst_status status;
    char text[1024]; /* one line, no newline, always terminated */
};

/* Fill *err (NULL is fine) from a printf format and return status. */
enum nst_status nst_err_set(struct nst_err *err, enum nst_status status,
                            const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "PREFIX: " before the text that err holds already. */
void nst_err_prefix(struct nst_err *err, const char *prefix);

/* A message is one line: what would break it, as the name of a file may, becomes
 * blanks. */
void nst_sanitise_line(char *text);

#endif
