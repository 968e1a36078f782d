/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/framing.h"

#include <arpa/inet.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

static const struct serve_http_error no_error;

/* Counts of the headers that determine the host and the end of a request. */
struct framing {
    unsigned hosts, lengths, codings;
    const char *host; /* borrowed */
    const char *end;  /* of the header before */
    bool chunked;
    bool blank; /* a header name is empty or contains a blank */
    bool nul;   /* a header has text after a NUL byte, or in a second line */
};

/* True if there is text between the end of a header and the next one. libmicrohttpd
 * ends strings in its buffer by NUL bytes; it does not notice those of the client. */
static bool has_text(const char *end, const char *next)
{
    bool same_buffer = end < next && next - end < SERVE_MAX_HEAD_BYTES;

    for (; same_buffer && end < next; end++)
        if (*end && !strchr(" \t\r\n", *end))
            return true;
    return false;
}

/* MHD_KeyValueIterator */
static enum MHD_Result collect_framing(void *cls, enum MHD_ValueKind kind,
                                       const char *key, const char *value)
{
    struct framing *f = cls;

    (void)kind;
    f->blank |= !*key || key[strcspn(key, " \t")];
    if (g_ascii_strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0) {
        f->hosts++;
        f->host = value;
    } else if (g_ascii_strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        f->lengths++;
    else if (g_ascii_strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        f->codings++;
        f->chunked = value && g_ascii_strcasecmp(value, "chunked") == 0;
    }
    f->nul |= has_text(f->end, key);
    f->end = (value ? value : key) + strlen(value ? value : key);
    return MHD_YES;
}

static bool is_name_byte(char c)
{
    return g_ascii_isalnum(c) || (c && strchr("-._~%!$&'()*+,;=", c));
}

/* True for NAME or ADDRESS, with or without :PORT. An IPv6 address is in brackets. */
static bool is_host(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    size_t n = 0, digits = 0;
    char *address;
    bool valid = true;

    if (host[0] == '[') {
        n = strcspn(host, "]");
        address = g_strndup(host + 1, n - 1);
        valid = host[n] == ']' && inet_pton(AF_INET6, address, bytes) == 1;
        g_free(address);
        n += host[n] == ']';
    } else
        while (is_name_byte(host[n]))
            n++;
    while (host[n] == ':' && g_ascii_isdigit(host[n + 1 + digits]))
        digits++;
    return valid && (!host[n] || (host[n] == ':' && !host[n + 1 + digits]));
}

/* Reduce http://HOST/PATH to /PATH. False if the host is not that of the header, which
 * another parser may prefer. */
static bool reduce_path(const char **path, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        const char *authority = *path + strlen(schemes[i]);
        size_t n;

        if (g_ascii_strncasecmp(*path, schemes[i], strlen(schemes[i])) != 0)
            continue;
        n = strcspn(authority, "/");
        *path = authority[n] ? authority + n : "/";
        return host && strlen(host) == n &&
               g_ascii_strncasecmp(authority, host, n) == 0;
    }
    return true;
}

struct serve_http_error serve_framing_check(struct MHD_Connection *c,
                                            const char *method, const char **path,
                                            const char *version)
{
    size_t size = MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                      ->header_size;
    struct framing f = {.end = version + strlen(version)};

    MHD_get_connection_values(c, MHD_HEADER_KIND, collect_framing, &f);
    if (size > SERVE_MAX_HEAD_BYTES)
        return strlen(*path) > SERVE_MAX_HEAD_BYTES / 2
                   ? (struct serve_http_error){MHD_HTTP_URI_TOO_LONG,
                                               "the path is too long"}
                   : (struct serve_http_error){MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                                               "the headers are too large"};
    if (f.nul || has_text(f.end, method + size))
        return (struct serve_http_error){
            MHD_HTTP_BAD_REQUEST,
            "a header contains a NUL byte, or goes on in a second "
            "line"};
    if (f.blank) /* another parser may read it as the header that it resembles */
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "a header name is empty or contains a blank"};
    if (f.hosts > 1 || (f.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0))
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "host: exactly one Host header is required"};
    if ((f.host && !is_host(f.host)) || !reduce_path(path, f.host))
        return (struct serve_http_error){
            MHD_HTTP_BAD_REQUEST,
            "host: must be a name or an address, with or without :PORT, and that of "
            "the URL"};
    if (f.lengths > 1 || (f.lengths && f.codings))
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "content length: is given twice, or with a "
                                         "transfer encoding"};
    if (f.codings > 1 || (f.codings && !f.chunked))
        return (struct serve_http_error){
            MHD_HTTP_NOT_IMPLEMENTED, "transfer encoding: only chunked is supported"};
    return no_error;
}
