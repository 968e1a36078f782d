/* SPDX-License-Identifier: MIT */
/*
 * access_log.h - a line for each request, when its response has ended. A thread writes
 * the lines, so that a slow disk does not delay requests. Thread-safe.
 */
#ifndef NST_SERVE_HTTP_ACCESS_LOG_H
#define NST_SERVE_HTTP_ACCESS_LOG_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "serve/identity.h"
#include "serve/settings.h"

/* The format of a name: common, combined or json. False: unknown. */
bool serve_access_format_parse(const char *name, enum serve_access_format *format);

/* Open the file (log_file.h) and start the thread. False: errno. */
bool serve_access_log_open(const char *path, enum serve_access_format format);
/* Write what is waiting and close the file. */
void serve_access_log_close(void);
/* Open the file again, after another program has renamed it. */
void serve_access_log_reopen(void);
/* Lines that were lost because the disk was too slow or full. */
uint64_t serve_access_log_dropped(void);

/* The head of a request. */
struct serve_access {
    double start; /* nst_clock_seconds() */
    time_t time;
    char *method, *path, *version; /* NULL without an access log */
};

/* Note the head of a request. The query is left out: it may contain a secret. nul: the
 * path goes on after a NUL byte. */
void serve_access_begin(struct serve_access *a, const char *method, const char *path,
                        bool nul, const char *version);

/* The end of a request. */
struct serve_access_end {
    struct MHD_Connection *connection;
    const struct serve_identity *identity;
    unsigned status; /* 0: none was sent */
    uint64_t size;   /* of the body, or SERVE_SIZE_UNKNOWN */
    bool is_complete;
};

/* Write the line of a request and free what serve_access_begin() noted. */
void serve_access_finish(struct serve_access *a, const struct serve_access_end *end);

#endif
