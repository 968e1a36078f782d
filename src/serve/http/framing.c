/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/framing.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

static const struct serve_http_error no_error;

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
    if (g_ascii_strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0)
        f->hosts++;
    else if (g_ascii_strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        f->lengths++;
    else if (g_ascii_strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        f->codings++;
        f->chunked = value && g_ascii_strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

struct serve_http_error serve_framing_check(struct MHD_Connection *c, const char *path,
                                            const char *version)
{
    struct framing f = {0};

    MHD_get_connection_values(c, MHD_HEADER_KIND, collect_framing, &f);
    if (MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
            ->header_size > SERVE_MAX_HEAD_BYTES)
        return strlen(path) > SERVE_MAX_HEAD_BYTES / 2
                   ? (struct serve_http_error){MHD_HTTP_URI_TOO_LONG,
                                               "the path is too long"}
                   : (struct serve_http_error){MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                                               "the headers are too large"};
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
