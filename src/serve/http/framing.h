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

struct serve_http_error serve_framing_check(struct MHD_Connection *c, const char *path,
                                            const char *version);

#endif
