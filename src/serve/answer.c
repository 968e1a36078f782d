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

/* Of all answers, and of those that are no page besides: these load nothing, and are
 * not kept. */
static const char *const of_all[][2] = {{"X-Content-Type-Options", "nosniff"},
                                        {"X-Frame-Options", "DENY"},
                                        {"Referrer-Policy", "no-referrer"}};
static const char *const of_data[][2] = {
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Cache-Control", "no-store"}};
#define LENGTH(list) (sizeof(list) / sizeof *(list))

struct MHD_Response *serve_response(struct MHD_Response *r, const char *type)
{
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < LENGTH(of_all); i++)
        MHD_add_response_header(r, of_all[i][0], of_all[i][1]);
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

static struct MHD_Response *data_of(void *bytes, size_t size, const char *type)
{
    struct MHD_Response *r = serve_response(
        MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE), type);

    for (size_t i = 0; i < LENGTH(of_data); i++)
        MHD_add_response_header(r, of_data[i][0], of_data[i][1]);
    return r;
}

static struct MHD_Response *data(char *text, const char *type)
{
    return data_of(text, strlen(text), type);
}

struct serve_answer serve_answer_text(const char *type, char *text)
{
    return (struct serve_answer){MHD_HTTP_OK, data(text, type)};
}

struct serve_answer serve_answer_data(const char *type, void *bytes, size_t size)
{
    return (struct serve_answer){MHD_HTTP_OK, data_of(bytes, size, type)};
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

char *serve_answer_bytes(unsigned status, const char *text, bool with_body)
{
    GString *s = g_string_new(NULL);
    json_t *j = json_pack("{s:s}", "error", text);
    char *body = json_dumps(j, JSON_COMPACT);

    g_string_printf(s,
                    "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Length: %zu\r\n"
                    "Content-Type: application/json\r\n",
                    status, MHD_get_reason_phrase_for(status), strlen(body));
    for (size_t i = 0; i < LENGTH(of_all); i++)
        g_string_append_printf(s, "%s: %s\r\n", of_all[i][0], of_all[i][1]);
    for (size_t i = 0; i < LENGTH(of_data); i++)
        g_string_append_printf(s, "%s: %s\r\n", of_data[i][0], of_data[i][1]);
    g_string_append_printf(s, "Cross-Origin-Resource-Policy: %s\r\n",
                           allowed ? "cross-origin" : "same-origin");
    if (allowed)
        g_string_append_printf(s, "Access-Control-Allow-Origin: %s\r\n", allowed);
    g_string_append_printf(s, "\r\n%s", with_body ? body : "");
    free(body);
    json_decref(j);
    return g_string_free(s, FALSE);
}

struct serve_answer serve_answer_away(void)
{
    return serve_answer_later(MHD_HTTP_SERVICE_UNAVAILABLE, AWAY_SECONDS,
                              "the queue is unreachable: try again later");
}

struct serve_answer serve_answer_file(int fd, uint64_t size, const char *type,
                                      bool changes)
{
    struct MHD_Response *r =
        serve_response(MHD_create_response_from_fd64(size, fd), type);

    MHD_add_response_header(r, of_data[0][0], of_data[0][1]);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL,
                            changes ? "no-store"
                                    : "private, max-age=31536000, immutable");
    return (struct serve_answer){MHD_HTTP_OK, r};
}
