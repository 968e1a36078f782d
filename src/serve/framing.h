/* SPDX-License-Identifier: MIT */
/*
 * request_filter.h - checks the first request of a connection before libmicrohttpd
 * reads it. The library (0.9.75) rejects malformed HTTP with an HTML page that cannot
 * be replaced; this filter answers with JSON. It only sees the bytes that arrived at
 * once. Later requests of a connection are read by the library first.
 */
#ifndef NST_SERVE_REQUEST_FILTER_H
#define NST_SERVE_REQUEST_FILTER_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVE_MAX_HEAD_BYTES 16384 /* request line and headers */

/* An HTTP error; status 0: none. */
struct serve_http_error {
    unsigned status;
    const char *text;
};

/* Check the beginning of a request for what the library would reject. An incomplete
 * head is valid unless it is already too large. */
struct serve_http_error serve_filter_check_head(const char *head, size_t size);

/* Check a request for framing errors that the library accepts: its end or its host is
 * ambiguous, which allows request smuggling. */
struct serve_http_error serve_filter_check_framing(struct MHD_Connection *c,
                                                   const char *path,
                                                   const char *version);

/* Let the kernel defer accept() until the first bytes of a connection have arrived. */
void serve_filter_open(int socket);

/* Answer a connection with a malformed first request and return true; the caller must
 * then ignore all further input. */
bool serve_filter_reject(int fd);

/* Add the rejections by class, as serve_http_count(). */
void serve_filter_count(uint64_t responses[6]);

#endif
