/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/response.h"

#include <glib.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"

#define UNAVAILABLE_SECONDS 5
/* A picture can be deleted: after five minutes a cache asks again. */
#define CACHE_PICTURE "private, max-age=300, must-revalidate"
#define CACHE_CHANGING "private, no-cache"

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
    if (type)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < LENGTH(common_headers); i++)
        MHD_add_response_header(r, common_headers[i][0], common_headers[i][1]);
    MHD_add_response_header(r, "Cross-Origin-Resource-Policy",
                            allowed_origin ? "cross-origin" : "same-origin");
    if (allowed_origin) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
                                allowed_origin);
        MHD_add_response_header(r, "Access-Control-Allow-Methods",
                                "GET, POST, PATCH, DELETE");
        MHD_add_response_header(r, "Access-Control-Allow-Headers",
                                "Authorization, Content-Type, Range");
        MHD_add_response_header(r, "Access-Control-Expose-Headers",
                                "Accept-Ranges, Content-Range, ETag, Retry-After, "
                                "X-Total-Count");
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
    [SERVE_REASON_CONDITION] = "condition",
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
        {MHD_HTTP_PRECONDITION_FAILED, SERVE_REASON_CONDITION},
        {MHD_HTTP_RANGE_NOT_SATISFIABLE, SERVE_REASON_CONDITION},
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

/* text is released by free_text(). */
static struct serve_response text_response(unsigned status, const char *type,
                                           char *text,
                                           MHD_ContentReaderFreeCallback free_text)
{
    size_t size = strlen(text);
    struct MHD_Response *r = serve_response_add_headers(
        MHD_create_response_from_buffer_with_free_callback(size, text, free_text),
        type);

    for (size_t i = 0; i < LENGTH(data_headers); i++)
        MHD_add_response_header(r, data_headers[i][0], data_headers[i][1]);
    return (struct serve_response){
        .status = status, .mhd = r, .text = text, .size = size};
}

struct serve_response serve_response_text(const char *type, char *text)
{
    return text_response(MHD_HTTP_OK, type, text, free);
}

static void release(void *text)
{
    g_ref_string_release(text);
}

struct serve_response serve_response_shared(const char *type, GRefString *text)
{
    return text_response(MHD_HTTP_OK, type, text, release);
}

struct serve_response serve_response_json(unsigned status, json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(15));

    json_decref(j);
    return text_response(status, "application/json", text ? text : nst_xstrdup("{}"),
                         free);
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

struct serve_response serve_response_message(const char *text)
{
    return serve_response_json(MHD_HTTP_OK, json_pack("{s:s}", "message", text));
}

struct serve_response serve_response_unknown(const char *what, const char *name)
{
    return serve_response_error(MHD_HTTP_NOT_FOUND, "%s: '%.64s' is not known", what,
                                name);
}

struct serve_response serve_response_unavailable(void)
{
    return serve_response_retry_after(MHD_HTTP_SERVICE_UNAVAILABLE, UNAVAILABLE_SECONDS,
                                      "the queue is unreachable: try again later");
}

void serve_response_add_validator(struct MHD_Response *r,
                                  const struct serve_validator *v, const char *cache)
{
    char date[SERVE_DATE_SIZE];

    MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, v->etag);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, cache);
    if (v->modified) {
        serve_http_date(v->modified, date);
        MHD_add_response_header(r, MHD_HTTP_HEADER_LAST_MODIFIED, date);
    }
}

/* MHD_ContentReaderCallback. Not called: a 304 has no contents. */
static ssize_t read_nothing(void *cls, uint64_t pos, char *buffer, size_t max)
{
    (void)cls;
    (void)pos;
    (void)buffer;
    (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

struct serve_response serve_response_unselected(const struct serve_selection *s,
                                                const struct serve_validator *v,
                                                uint64_t size, const char *cache)
{
    struct serve_response response;
    char text[40];

    if (s->status == MHD_HTTP_NOT_MODIFIED) {
        struct MHD_Response *r = serve_response_add_headers(
            /* Content-Length is that of a 200 (section 8.6) */
            MHD_create_response_from_callback(size, 1, read_nothing, NULL, NULL), NULL);

        serve_response_add_validator(r, v, cache);
        return (struct serve_response){.status = s->status, .mhd = r};
    }
    if (s->status == MHD_HTTP_PRECONDITION_FAILED)
        return serve_response_error(s->status,
                                    "the contents have changed: a condition of the "
                                    "request does not hold");
    response = serve_response_error(
        s->status, "range: the picture has only %" PRIu64 " bytes", size);
    snprintf(text, sizeof text, "bytes */%" PRIu64, size);
    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    return response;
}

static const char *cache_control(const struct serve_picture_request *p)
{
    return p->may_change ? CACHE_CHANGING : CACHE_PICTURE;
}

/* Add the headers of a picture, whose part s of size bytes is in r. */
static struct serve_response picture(const struct serve_picture_request *p,
                                     struct MHD_Response *r,
                                     const struct serve_selection *s,
                                     const struct serve_validator *v, uint64_t size)
{
    char text[80];

    serve_response_add_headers(r, p->type);
    MHD_add_response_header(r, data_headers[0][0], data_headers[0][1]);
    MHD_add_response_header(r, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    serve_response_add_validator(r, v, cache_control(p));
    if (s->status == MHD_HTTP_PARTIAL_CONTENT) {
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, s->from,
                 s->from + s->size - 1, size);
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    }
    return (struct serve_response){.status = s->status, .mhd = r, .size = s->size};
}

static bool has_contents(const struct serve_selection *s)
{
    return s->status == MHD_HTTP_OK || s->status == MHD_HTTP_PARTIAL_CONTENT;
}

/* Append n in hexadecimal digits; returns the end. printf() takes ten times as long. */
static char *append_hex(char *end, uint64_t n)
{
    int shift = 60;

    while (shift > 0 && n >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *end++ = "0123456789abcdef"[n >> shift & 15];
    return end;
}

/* A file is replaced by another, never written to, so these tell its versions apart. A
 * preview changes several times a second: no Last-Modified. */
static struct serve_validator file_validator(const struct stat *st, bool may_change)
{
    struct serve_validator v = {.modified = may_change ? 0 : st->st_mtim.tv_sec};
    char *end = v.etag;

    *end++ = '"';
    end = append_hex(end, (uint64_t)st->st_ino);
    *end++ = '-';
    end = append_hex(end, (uint64_t)st->st_size);
    *end++ = '-';
    end = append_hex(end, (uint64_t)st->st_mtim.tv_sec * 1000000000 +
                              (uint64_t)st->st_mtim.tv_nsec);
    *end = '"';
    return v;
}

struct serve_response serve_response_file(const struct serve_picture_request *p, int fd)
{
    struct serve_validator v;
    struct serve_selection s;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        close(fd);
        return serve_response_error(MHD_HTTP_NOT_FOUND, "there is no such picture");
    }
    v = file_validator(&st, p->may_change);
    s = serve_select(p->connection, &v, (uint64_t)st.st_size, !p->is_head);
    if (!has_contents(&s)) {
        close(fd);
        return serve_response_unselected(&s, &v, (uint64_t)st.st_size,
                                         cache_control(p));
    }
    return picture(p, MHD_create_response_from_fd_at_offset64(s.size, fd, s.from), &s,
                   &v, (uint64_t)st.st_size);
}

struct serve_response serve_response_bytes(const struct serve_picture_request *p,
                                           void *bytes, size_t size)
{
    struct serve_validator v = serve_validator_of_bytes(bytes, size);
    struct serve_selection s = serve_select(p->connection, &v, size, !p->is_head);

    if (!has_contents(&s)) {
        free(bytes);
        return serve_response_unselected(&s, &v, size, cache_control(p));
    }
    memmove(bytes, (char *)bytes + s.from, s.size);
    return picture(
        p, MHD_create_response_from_buffer(s.size, bytes, MHD_RESPMEM_MUST_FREE), &s,
        &v, size);
}
