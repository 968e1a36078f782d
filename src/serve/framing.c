/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/request_filter.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "serve/response.h"

#define DEFER_SECONDS 1           /* then accept() returns without any bytes */
#define MAX_DIGITS 19             /* any length with these digits fits into 64 bits */
#define MAX_DISCARDED_BYTES 65536 /* of a rejected request */

#define MAX_PARTS 200 /* see count_parts() */

static const struct serve_http_error no_error;
static const struct serve_http_error headers_too_large = {
    MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large"};
static const struct serve_http_error uri_too_long = {MHD_HTTP_URI_TOO_LONG,
                                                     "the path is too long"};

/* A line without its line end. */
struct line {
    const char *at;
    size_t size;
};

/* Take the next line. False if it is incomplete. */
static bool next_line(struct line *line, const char **at, size_t *left)
{
    const char *end = memchr(*at, '\n', *left);

    if (!end)
        return false;
    *line = (struct line){*at, (size_t)(end - *at)};
    if (line->size && line->at[line->size - 1] == '\r')
        line->size--;
    *left -= (size_t)(end + 1 - *at);
    *at = end + 1;
    return true;
}

/* METHOD TARGET VERSION */
static struct serve_http_error check_request_line(struct line line)
{
    const char *end = line.at + line.size, *version = end, *method_end;

    while (version > line.at && version[-1] != ' ')
        version--;
    method_end = memchr(line.at, ' ', line.size);
    if (!method_end || method_end == line.at || method_end + 1 >= version)
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "the first line is not METHOD PATH HTTP/1.1"};
    if (end - version == 8 && memcmp(version, "HTTP/1.", 7) == 0 && version[7] >= '0' &&
        version[7] <= '9')
        return no_error;
    if (end - version > 5 && memcmp(version, "HTTP/", 5) == 0)
        return (struct serve_http_error){
            MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED,
            "version: only HTTP/1.0 and HTTP/1.1 are supported"};
    return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                     "the first line does not end with HTTP/1.1"};
}

static struct serve_http_error check_content_length(const char *value, size_t size)
{
    size_t digits = 0;

    while (size && (*value == ' ' || *value == '\t'))
        value++, size--;
    while (digits < size && value[digits] >= '0' && value[digits] <= '9')
        digits++;
    if (digits == 0 || digits < size)
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "content length: is not a whole number"};
    if (digits > MAX_DIGITS)
        return (struct serve_http_error){MHD_HTTP_CONTENT_TOO_LARGE,
                                         "content length: is too large"};
    return no_error;
}

static struct serve_http_error check_header(struct line line)
{
    static const char length[] = "Content-Length";
    const char *colon = memchr(line.at, ':', line.size);

    if (line.at[0] == ' ' || line.at[0] == '\t') /* continues the line before */
        return no_error;
    if (!colon)
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST, "a header has no colon"};
    if ((size_t)(colon - line.at) != strlen(length) ||
        strncasecmp(line.at, length, strlen(length)) != 0)
        return no_error;
    return check_content_length(colon + 1, (size_t)(line.at + line.size - colon - 1));
}

/* Headers, cookies and parameters: libmicrohttpd allocates memory for each of them. */
static size_t count_parts(struct line line)
{
    size_t n = 1;

    for (size_t i = 0; i < line.size; i++)
        n += line.at[i] == '&' || line.at[i] == ';';
    return n;
}

struct serve_http_error serve_filter_check_head(const char *head, size_t size)
{
    const char *at = head;
    size_t left = size, n = 0;
    struct serve_http_error error;
    struct line line;
    bool complete;

    do
        complete = next_line(&line, &at, &left);
    while (complete && line.size == 0); /* leading empty lines are allowed */
    error = complete ? check_request_line(line) : no_error;
    if (!complete && size >= SERVE_MAX_HEAD_BYTES)
        return uri_too_long;
    while (complete && !error.status) {
        n += count_parts(line);
        if (n > MAX_PARTS)
            return headers_too_large;
        complete = next_line(&line, &at, &left);
        if (complete && line.size == 0)
            return no_error;
        error = complete ? check_header(line) : no_error;
    }
    if (!error.status && size >= SERVE_MAX_HEAD_BYTES)
        return headers_too_large;
    return error;
}

/* Counts of the headers that determine the host and the end of a request. */
struct framing {
    unsigned hosts, lengths, codings;
    bool chunked, blank; /* blank: a header name is empty or contains a blank */
};

/* MHD_KeyValueIterator */
static enum MHD_Result collect_framing(void *cls, enum MHD_ValueKind kind,
                                       const char *key, const char *value)
{
    struct framing *f = cls;

    (void)kind;
    f->blank |= !*key || key[strcspn(key, " \t")];
    if (strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0)
        f->hosts++;
    else if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        f->lengths++;
    else if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        f->codings++;
        f->chunked = value && strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

struct serve_http_error serve_filter_check_framing(struct MHD_Connection *c,
                                                   const char *path,
                                                   const char *version)
{
    struct framing f = {0};

    MHD_get_connection_values(c, MHD_HEADER_KIND, collect_framing, &f);
    if (MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
            ->header_size > SERVE_MAX_HEAD_BYTES)
        return strlen(path) > SERVE_MAX_HEAD_BYTES / 2 ? uri_too_long
                                                       : headers_too_large;
    if (f.blank) /* another parser may read it as the header that it resembles */
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "a header name is empty or contains a blank"};
    if (f.hosts > 1 || (f.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0))
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "host: exactly one Host header is required"};
    if (f.lengths > 1 || (f.lengths && f.codings))
        return (struct serve_http_error){MHD_HTTP_BAD_REQUEST,
                                         "content length: is given twice, or with a "
                                         "transfer encoding"};
    if (f.codings > 1 || (f.codings && !f.chunked))
        return (struct serve_http_error){
            MHD_HTTP_NOT_IMPLEMENTED, "transfer encoding: only chunked is supported"};
    return no_error;
}

void serve_filter_open(int socket)
{
    const int seconds = DEFER_SECONDS;

    /* fails without harm on a socket that is not TCP */
    setsockopt(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

static atomic_uint_least64_t rejected[6];

/* Send the error. Reads the input first: closing with unread bytes sends a reset, which
 * discards the response. */
static void reject(int fd, struct serve_http_error error, bool with_body)
{
    char *response = serve_response_raw_error(error.status, error.text, with_body);
    char discarded[4096];

    for (int i = 0; i < MAX_DISCARDED_BYTES / (int)sizeof discarded; i++)
        if (recv(fd, discarded, sizeof discarded, MSG_DONTWAIT) <= 0)
            break;
    if (send(fd, response, strlen(response), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        atomic_fetch_add(&rejected[error.status / 100], 1);
    shutdown(fd, SHUT_WR);
    free(response);
}

bool serve_filter_reject(int fd)
{
    char head[SERVE_MAX_HEAD_BYTES];
    ssize_t n = recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
    struct serve_http_error error =
        n > 0 ? serve_filter_check_head(head, (size_t)n) : no_error;

    if (error.status)
        reject(fd, error, n < 5 || memcmp(head, "HEAD ", 5) != 0);
    return error.status != 0;
}

void serve_filter_count(uint64_t responses[6])
{
    for (int i = 0; i < 6; i++)
        responses[i] += atomic_load(&rejected[i]);
}
