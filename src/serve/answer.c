/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/answer.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nst.h"

#define AWAY_SECONDS 5

static const char *allowed; /* an origin, or NULL */

void serve_answer_allow(const char *origin)
{
    allowed = origin;
}

struct MHD_Response *serve_response(struct MHD_Response *r, const char *type)
{
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "X-Frame-Options", "DENY");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Cross-Origin-Resource-Policy",
                            allowed ? "cross-origin" : "same-origin");
    if (allowed) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
                                allowed);
        MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, DELETE");
        MHD_add_response_header(r, "Access-Control-Allow-Headers",
                                "Authorization, Content-Type");
        MHD_add_response_header(r, "Access-Control-Expose-Headers",
                                "Retry-After, X-Total-Count");
    }
    return r;
}

/* What is no page loads nothing, and is not kept. */
static struct MHD_Response *data(char *text, const char *type)
{
    struct MHD_Response *r = serve_response(
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE),
        type);

    MHD_add_response_header(r, "Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return r;
}

struct serve_answer serve_answer_text(const char *type, char *text)
{
    return (struct serve_answer){MHD_HTTP_OK, data(text, type)};
}

struct serve_answer serve_answer_json(unsigned status, json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));

    json_decref(j);
    return (struct serve_answer){
        status, data(text ? text : nst_xstrdup("{}"), "application/json")};
}

static struct serve_answer error(unsigned status, const char *fmt, va_list ap)
{
    char text[1024], *valid;
    json_t *j;

    vsnprintf(text, sizeof text, fmt, ap);
    valid = g_utf8_make_valid(text, -1); /* it may have been cut in a character */
    j = json_pack("{s:s}", "error", valid);
    g_free(valid);
    return serve_answer_json(status, j);
}

struct serve_answer serve_answer_error(unsigned status, const char *fmt, ...)
{
    struct serve_answer a;
    va_list ap;

    va_start(ap, fmt);
    a = error(status, fmt, ap);
    va_end(ap);
    return a;
}

struct serve_answer serve_answer_later(unsigned status, unsigned seconds,
                                       const char *fmt, ...)
{
    struct serve_answer a;
    char after[16];
    va_list ap;

    va_start(ap, fmt);
    a = error(status, fmt, ap);
    va_end(ap);
    snprintf(after, sizeof after, "%u", seconds);
    MHD_add_response_header(a.response, MHD_HTTP_HEADER_RETRY_AFTER, after);
    return a;
}

struct serve_answer serve_answer_away(void)
{
    return serve_answer_later(MHD_HTTP_SERVICE_UNAVAILABLE, AWAY_SECONDS,
                              "the queue is away: try again later");
}

struct serve_answer serve_answer_file(int fd, uint64_t size, const char *type,
                                      bool changes)
{
    struct MHD_Response *r =
        serve_response(MHD_create_response_from_fd64(size, fd), type);

    MHD_add_response_header(r, "Content-Security-Policy",
                            "default-src 'none'; frame-ancestors 'none'");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL,
                            changes ? "no-store"
                                    : "private, max-age=31536000, immutable");
    return (struct serve_answer){MHD_HTTP_OK, r};
}
