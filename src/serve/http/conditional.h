/* SPDX-License-Identifier: MIT */
/*
 * conditional.h - conditional requests and byte ranges (RFC 9110, sections 13 and 14):
 * what of a representation a GET or HEAD request asks for, by its headers.
 */
#ifndef NST_SERVE_HTTP_CONDITIONAL_H
#define NST_SERVE_HTTP_CONDITIONAL_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define SERVE_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* What tells one version of a representation from another. */
struct serve_validator {
    char etag[56];   /* strong, with its quotation marks */
    time_t modified; /* Last-Modified; 0: none */
};

struct serve_selection {
    unsigned status;     /* HTTP: 200, 206, 304, 412 or 416 */
    uint64_t from, size; /* of the bytes to send, for 200 and 206 */
};

/* The validator of bytes: their hash. */
struct serve_validator serve_validator_of_bytes(const void *bytes, size_t size);

/* Select from a representation of size bytes. ranges: answer a Range header, which GET
 * alone defines. One range is answered; several are as none. */
struct serve_selection serve_select(struct MHD_Connection *c,
                                    const struct serve_validator *v, uint64_t size,
                                    bool ranges);

/* Write the date of an HTTP header. */
void serve_http_date(time_t t, char text[SERVE_DATE_SIZE]);

#endif
