/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/conditional.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_DIGITS 32 /* of SHA-256 in an entity tag */
#define DATE_FORMAT "%a, %d %b %Y %H:%M:%S GMT"

struct serve_validator serve_validator_of_bytes(const void *bytes, size_t size)
{
    char *hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, size);
    struct serve_validator v = {.modified = 0};

    g_snprintf(v.etag, sizeof v.etag, "\"%.*s\"", HASH_DIGITS, hash);
    g_free(hash);
    return v;
}

void serve_http_date(time_t t, char text[SERVE_DATE_SIZE])
{
    struct tm utc;

    strftime(text, SERVE_DATE_SIZE, DATE_FORMAT, gmtime_r(&t, &utc));
}

/* The time of an HTTP date; -1 if it is not one. */
static time_t parse_date(const char *text)
{
    struct tm utc = {0};
    const char *end = strptime(text, DATE_FORMAT, &utc);

    return end && !*end ? timegm(&utc) : -1;
}

/* True if a list of entity tags has this tag, or is *. weak: W/"x" matches "x" too. A
 * tag of this service contains no comma. */
static bool has_tag(const char *list, const char *tag, bool weak)
{
    gchar **items = g_strsplit(list, ",", -1);
    bool found = false;

    for (int i = 0; items[i] && !found; i++) {
        const char *item = g_strstrip(items[i]);

        if (weak && g_str_has_prefix(item, "W/"))
            item += 2;
        found = strcmp(item, tag) == 0 || strcmp(item, "*") == 0;
    }
    g_strfreev(items);
    return found;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* True if the representation has changed after the date in a header, which is ignored
 * if it is not a date. unknown: the result in that case. */
static bool is_newer(const struct serve_validator *v, const char *date, bool unknown)
{
    time_t t = date && v->modified ? parse_date(date) : -1;

    return t == -1 ? unknown : v->modified > t;
}

/* 200, or the status of a precondition that fails, in the order of section 13.2.2. */
static unsigned check_preconditions(struct MHD_Connection *c,
                                    const struct serve_validator *v)
{
    const char *match = header(c, MHD_HTTP_HEADER_IF_MATCH);
    const char *none = header(c, MHD_HTTP_HEADER_IF_NONE_MATCH);

    if (match ? !has_tag(match, v->etag, false)
              : is_newer(v, header(c, MHD_HTTP_HEADER_IF_UNMODIFIED_SINCE), false))
        return MHD_HTTP_PRECONDITION_FAILED;
    if (none ? has_tag(none, v->etag, true)
             : !is_newer(v, header(c, MHD_HTTP_HEADER_IF_MODIFIED_SINCE), true))
        return MHD_HTTP_NOT_MODIFIED;
    return MHD_HTTP_OK;
}

/* True if a range belongs to this version. */
static bool is_same_version(const char *if_range, const struct serve_validator *v)
{
    return !if_range || strcmp(if_range, v->etag) == 0 ||
           (v->modified && parse_date(if_range) == v->modified);
}

/* Digits at *text, which is moved behind them. False without any. A number above 64
 * bits is the largest one. */
static bool parse_digits(const char **text, uint64_t *out)
{
    char *end;

    if (!g_ascii_isdigit(**text))
        return false;
    *out = g_ascii_strtoull(*text, &end, 10);
    *text = end;
    return true;
}

/* Parse "bytes=FIRST-LAST", "bytes=FIRST-" or "bytes=-LENGTH". A header that is none of
 * these is ignored: it leaves *s as it is. */
static void select_range(const char *range, uint64_t size, struct serve_selection *s)
{
    uint64_t first = 0, last = UINT64_MAX;
    bool has_first, has_last;

    if (g_ascii_strncasecmp(range, "bytes=", 6) != 0)
        return;
    range += 6;
    has_first = parse_digits(&range, &first);
    if (*range++ != '-')
        return;
    has_last = parse_digits(&range, &last);
    if (*range || !(has_first || has_last) || (has_first && last < first))
        return;
    if (!has_first) { /* the last so many bytes */
        first = size - MIN(last, size);
        last = UINT64_MAX;
    }
    *s = first < size
             ? (struct serve_selection){MHD_HTTP_PARTIAL_CONTENT, first,
                                        MIN(last, size - 1) - first + 1}
             : (struct serve_selection){.status = MHD_HTTP_RANGE_NOT_SATISFIABLE};
}

struct serve_selection serve_select(struct MHD_Connection *c,
                                    const struct serve_validator *v, uint64_t size,
                                    bool ranges)
{
    struct serve_selection s = {check_preconditions(c, v), 0, size};
    const char *range = ranges ? header(c, MHD_HTTP_HEADER_RANGE) : NULL;

    if (s.status == MHD_HTTP_OK && range &&
        is_same_version(header(c, MHD_HTTP_HEADER_IF_RANGE), v))
        select_range(range, size, &s);
    return s;
}
