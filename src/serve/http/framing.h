/* SPDX-License-Identifier: MIT */
/*
 * framing.h - refuses requests whose end or host is ambiguous. libmicrohttpd accepts
 * them; a proxy in front may read them differently, which allows request smuggling.
 */
#ifndef NST_SERVE_HTTP_FRAMING_H
#define NST_SERVE_HTTP_FRAMING_H

#include <microhttpd.h>

#define SERVE_MAX_HEAD_BYTES 16384 /* request line and headers */

/* An HTTP error; status 0: none. */
struct serve_http_error {
    unsigned status;
    const char *text;
};

/* Check the head of a request. *path is reduced to its path if it is a whole URL (the
 * absolute form of RFC 9112, 3.2.2). */
struct serve_http_error serve_framing_check(struct MHD_Connection *c,
                                            const char *method, const char **path,
                                            const char *version);

#endif
