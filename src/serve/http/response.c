/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/response.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"

#define UNAVAILABLE_SECONDS 5

static const char *allowed_origin; /* or NULL */

void serve_response_allow_origin(const char *origin)
{
    allowed_origin = origin;
}

/* common_headers are in all responses, data_headers in those that are not pages: they
 * load nothing and are not cached. */
static const char *const common_headers[][2] = {{"X-Content-Type-Options", "nosniff"},
                                                {"X-Frame-Options", "DENY"},
                                                {"Referrer-Policy", "no-referrer"}};
static const char *const data_headers[][2] = {
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Cache-Control", "no-store"}};
#define LENGTH(list) (sizeof(list) / sizeof *(list))

struct MHD_Response *serve_response_add_headers(struct MHD_Response *r,
                                                const char *type)
{
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < LENGTH(common_headers); i++)
        MHD_add_response_header(r, common_headers[i][0], common_headers[i][1]);
    MHD_add_response_header(r, "Cross-Origin-Resource-Policy",
                            allowed_origin ? "cross-origin" : "same-origin");
    if (allowed_origin) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
                                allowed_origin);
        MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, DELETE");
        MHD_add_response_header(r, "Access-Control-Allow-Headers",
                                "Authorization, Content-Type");
        MHD_add_response_header(r, "Access-Control-Expose-Headers",
                                "Retry-After, X-Total-Count");
    }
    return r;
}

const char *const serve_reason_names[SERVE_REASONS] = {
    [SERVE_REASON_NONE] = "none",
    [SERVE_REASON_HOST] = "host",
    [SERVE_REASON_ORIGIN] = "origin",
    [SERVE_REASON_RATE] = "rate",
    [SERVE_REASON_QUEUE_FULL] = "queue_full",
    [SERVE_REASON_QUOTA] = "quota",
    [SERVE_REASON_BUSY] = "busy",
    [SERVE_REASON_SHUTTING_DOWN] = "shutting_down",
    [SERVE_REASON_STYLES_FULL] = "styles_full",
    [SERVE_REASON_INVALID] = "invalid",
    [SERVE_REASON_TOKEN] = "token",
    [SERVE_REASON_FORBIDDEN] = "forbidden",
    [SERVE_REASON_NOT_FOUND] = "not_found",
    [SERVE_REASON_METHOD] = "method",
    [SERVE_REASON_CONFLICT] = "conflict",
    [SERVE_REASON_TOO_LARGE] = "too_large",
    [SERVE_REASON_HEAD_TOO_LARGE] = "head_too_large",
    [SERVE_REASON_MEDIA_TYPE] = "media_type",
    [SERVE_REASON_DISK_FULL] = "disk_full",
    [SERVE_REASON_UNAVAILABLE] = "unavailable",
    [SERVE_REASON_INTERNAL] = "internal",
    [SERVE_REASON_OTHER] = "other",
};

enum serve_reason serve_response_reason(const struct serve_response *r)
{
    static const struct {
        unsigned status;
        enum serve_reason reason;
    } by_status[] = {
        {MHD_HTTP_BAD_REQUEST, SERVE_REASON_INVALID},
        {MHD_HTTP_UNAUTHORIZED, SERVE_REASON_TOKEN},
        {MHD_HTTP_FORBIDDEN, SERVE_REASON_FORBIDDEN},
        {MHD_HTTP_NOT_FOUND, SERVE_REASON_NOT_FOUND},
        {MHD_HTTP_METHOD_NOT_ALLOWED, SERVE_REASON_METHOD},
        {MHD_HTTP_CONFLICT, SERVE_REASON_CONFLICT},
        {MHD_HTTP_CONTENT_TOO_LARGE, SERVE_REASON_TOO_LARGE},
        {MHD_HTTP_URI_TOO_LONG, SERVE_REASON_HEAD_TOO_LARGE},
        {MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, SERVE_REASON_HEAD_TOO_LARGE},
        {MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, SERVE_REASON_MEDIA_TYPE},
        {MHD_HTTP_TOO_MANY_REQUESTS, SERVE_REASON_RATE},
        {MHD_HTTP_INTERNAL_SERVER_ERROR, SERVE_REASON_INTERNAL},
        {MHD_HTTP_SERVICE_UNAVAILABLE, SERVE_REASON_UNAVAILABLE},
        {MHD_HTTP_INSUFFICIENT_STORAGE, SERVE_REASON_DISK_FULL},
    };

    if (r->status < 400 || r->reason != SERVE_REASON_NONE)
        return r->status < 400 ? SERVE_REASON_NONE : r->reason;
    for (size_t i = 0; i < LENGTH(by_status); i++)
        if (by_status[i].status == r->status)
            return by_status[i].reason;
    return SERVE_REASON_OTHER;
}

struct serve_response serve_response_because(enum serve_reason reason,
                                             struct serve_response r)
{
    r.reason = reason;
    return r;
}

static struct MHD_Response *data_response(void *bytes, size_t size, const char *type)
{
    struct MHD_Response *r = serve_response_add_headers(
        MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE), type);

    for (size_t i = 0; i < LENGTH(data_headers); i++)
        MHD_add_response_header(r, data_headers[i][0], data_headers[i][1]);
    return r;
}

static struct serve_response text_response(unsigned status, const char *type,
                                           char *text)
{
    size_t size = strlen(text);

    return (struct serve_response){
        .status = status, .mhd = data_response(text, size, type), .size = size};
}

struct serve_response serve_response_text(const char *type, char *text)
{
    return text_response(MHD_HTTP_OK, type, text);
}

struct serve_response serve_response_data(const char *type, void *bytes, size_t size)
{
    return (struct serve_response){
        .status = MHD_HTTP_OK, .mhd = data_response(bytes, size, type), .size = size};
}

struct serve_response serve_response_json(unsigned status, json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));

    json_decref(j);
    return text_response(status, "application/json", text ? text : nst_xstrdup("{}"));
}

static struct serve_response error_response(unsigned status, const char *fmt,
                                            va_list ap)
{
    char text[1024], *valid;
    json_t *j;

    vsnprintf(text, sizeof text, fmt, ap);
    valid = g_utf8_make_valid(text, -1); /* may be cut within a character */
    j = json_pack("{s:s}", "error", valid);
    g_free(valid);
    return serve_response_json(status, j);
}

struct serve_response serve_response_error(unsigned status, const char *fmt, ...)
{
    struct serve_response response;
    va_list ap;

    va_start(ap, fmt);
    response = error_response(status, fmt, ap);
    va_end(ap);
    return response;
}

struct serve_response serve_response_retry_after(unsigned status, unsigned seconds,
                                                 const char *fmt, ...)
{
    struct serve_response response;
    char retry_after[16];
    va_list ap;

    va_start(ap, fmt);
    response = error_response(status, fmt, ap);
    va_end(ap);
    snprintf(retry_after, sizeof retry_after, "%u", seconds);
    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_RETRY_AFTER, retry_after);
    return response;
}

struct serve_response serve_response_unavailable(void)
{
    return serve_response_retry_after(MHD_HTTP_SERVICE_UNAVAILABLE, UNAVAILABLE_SECONDS,
                                      "the queue is unreachable: try again later");
}

struct serve_response serve_response_file(int fd, uint64_t size, const char *type,
                                          bool may_change)
{
    struct MHD_Response *r =
        serve_response_add_headers(MHD_create_response_from_fd64(size, fd), type);

    MHD_add_response_header(r, data_headers[0][0], data_headers[0][1]);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL,
                            may_change ? "no-store"
                                       : "private, max-age=31536000, immutable");
    return (struct serve_response){.status = MHD_HTTP_OK, .mhd = r, .size = size};
}
