/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_TOKEN 16
#define BURST 4 /* seconds' worth of requests at once */
#define MOST_ADDRESSES 8192
#define COOKIE "nst_token" /* for pages, whose pictures cannot send a header */

struct bucket { /* of one address */
    double tokens;
    gint64 filled; /* microseconds */
};

static struct {
    const struct serve_settings *settings;
    char *token; /* NULL: none is asked for */
    pthread_mutex_t lock;
    GHashTable *buckets;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum nst_status read_token(const char *path, struct nst_err *err)
{
    char line[512] = "";
    FILE *f = fopen(path, "re");

    if (!f)
        return nst_err_set(err, NST_ERR_IO, "cannot open %s: %s", path,
                           strerror(errno));
    if (!fgets(line, sizeof line, f))
        line[0] = 0;
    fclose(f);
    if (strlen(line) == sizeof line - 1) /* it goes on, and the rest would not count */
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: the token in the first line must have "
                           "fewer than %zu characters",
                           path, sizeof line - 1);
    line[strcspn(line, "\r\n")] = 0;
    if (strlen(line) < LEAST_TOKEN)
        return nst_err_set(
            err, NST_ERR_FORMAT,
            "%s: the token in the first line must have at least %d characters", path,
            LEAST_TOKEN);
    all.token = nst_xstrdup(line);
    return NST_OK;
}

enum nst_status serve_guard_open(const struct serve_settings *s, struct nst_err *err)
{
    all.settings = s;
    all.buckets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return s->token_file ? read_token(s->token_file, err) : NST_OK;
}

void serve_guard_close(void)
{
    free(all.token);
    all.token = NULL;
    if (all.buckets)
        g_hash_table_destroy(all.buckets);
    all.buckets = NULL;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* Takes as long for any text of that length. */
static bool is_token(const char *text)
{
    size_t n = strlen(all.token);
    unsigned char differ = strlen(text) != n;

    for (size_t i = 0, m = strlen(text); i < m; i++)
        differ |= (unsigned char)(text[i] ^ all.token[i % n]);
    return !differ;
}

static bool has_token(struct MHD_Connection *c)
{
    const char *bearer = header(c, MHD_HTTP_HEADER_AUTHORIZATION);
    const char *cookie = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, COOKIE);

    if (bearer && strncasecmp(bearer, "Bearer ", 7) == 0)
        return is_token(bearer + 7);
    return cookie && is_token(cookie);
}

/* The part of "example.org:80" or "[::1]:80" before the port: a new string. */
static char *name_of(const char *host)
{
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    return g_strndup(host, n);
}

static bool is_address(const char *name)
{
    unsigned char buffer[sizeof(struct in6_addr)];

    return name[0] == '[' || inet_pton(AF_INET, name, buffer) == 1;
}

/*
 * A page anywhere may have a name of its own mean this address, and then be of the same
 * origin as this service (DNS rebinding). It cannot know the token; where there is
 * none, names that are not known to be ours are refused.
 */
static bool is_our_name(const char *host)
{
    char *name = host ? name_of(host) : NULL;
    bool ours =
        !name || is_address(name) || g_ascii_strcasecmp(name, "localhost") == 0 ||
        (all.settings->host && g_ascii_strcasecmp(name, all.settings->host) == 0);

    g_free(name);
    return ours;
}

static bool is_allowed_origin(const char *origin)
{
    return all.settings->allow_origin &&
           strcmp(origin, all.settings->allow_origin) == 0;
}

/* Browsers send the origin of the page with all that may change something. */
static bool is_our_page(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");

    return (authority && host && g_ascii_strcasecmp(authority + 3, host) == 0) ||
           is_allowed_origin(origin);
}

/* An address as a key: of IPv6, the /64 that one client has. A new string. */
static char *key_of(int family, const void *bytes)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr six;

    if (family == AF_INET6) {
        memset(&six, 0, sizeof six);
        memcpy(&six, bytes, 8);
        bytes = &six;
    }
    inet_ntop(family, bytes, text, sizeof text);
    return g_strdup(text);
}

/* What the proxy before us says of the client, in its last word; NULL if that is no
 * address. */
static char *forwarded_key(const char *list)
{
    const char *last = strrchr(list, ',');
    char *word = g_strstrip(g_strdup(last ? last + 1 : list));
    unsigned char bytes[sizeof(struct in6_addr)];
    char *key = inet_pton(AF_INET, word, bytes) == 1    ? key_of(AF_INET, bytes)
                : inet_pton(AF_INET6, word, bytes) == 1 ? key_of(AF_INET6, bytes)
                                                        : NULL;

    g_free(word);
    return key;
}

/* MHD_KeyValueIterator. Of several such headers the last one is the proxy's. */
static enum MHD_Result note_forwarded(void *cls, enum MHD_ValueKind kind,
                                      const char *key, const char *value)
{
    (void)kind;
    if (g_ascii_strcasecmp(key, "X-Forwarded-For") == 0 && value)
        *(const char **)cls = value;
    return MHD_YES;
}

/* Who asks: a new string. */
static char *address_of(struct MHD_Connection *c)
{
    const struct sockaddr *a =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const char *forwarded = NULL;
    char *key;

    if (all.settings->behind_proxy)
        MHD_get_connection_values(c, MHD_HEADER_KIND, note_forwarded, &forwarded);
    key = forwarded ? forwarded_key(forwarded) : NULL;
    if (key)
        return key;
    if (a && a->sa_family == AF_INET)
        return key_of(AF_INET, &((const struct sockaddr_in *)a)->sin_addr);
    if (a && a->sa_family == AF_INET6)
        return key_of(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr);
    return g_strdup("");
}

static void fill(struct bucket *b, double rate)
{
    gint64 now = g_get_monotonic_time();

    b->tokens += 1e-6 * (double)(now - b->filled) * rate;
    if (b->tokens > BURST * rate)
        b->tokens = BURST * rate;
    b->filled = now;
}

/* An address whose bucket is full again is as good as one that is not known. */
static gboolean is_full(gpointer key, gpointer value, gpointer rate)
{
    (void)key;
    fill(value, *(double *)rate);
    return ((struct bucket *)value)->tokens >= BURST * *(double *)rate;
}

/* All is locked. If they are still too many, all are forgiven. */
static void make_room(double rate)
{
    if (g_hash_table_size(all.buckets) < MOST_ADDRESSES)
        return;
    g_hash_table_foreach_remove(all.buckets, is_full, &rate);
    if (g_hash_table_size(all.buckets) >= MOST_ADDRESSES / 2)
        g_hash_table_remove_all(all.buckets);
}

/* Token bucket. */
static bool is_too_often(struct MHD_Connection *c)
{
    double rate = (double)all.settings->rate;
    char *address;
    struct bucket *b;
    bool often;

    if (rate == 0)
        return false;
    address = address_of(c);
    pthread_mutex_lock(&all.lock);
    b = g_hash_table_lookup(all.buckets, address);
    if (!b) {
        make_room(rate);
        b = g_new(struct bucket, 1);
        *b = (struct bucket){BURST * rate, g_get_monotonic_time()};
        g_hash_table_insert(all.buckets, g_strdup(address), b);
    }
    fill(b, rate);
    often = b->tokens < 1;
    if (!often)
        b->tokens--;
    pthread_mutex_unlock(&all.lock);
    g_free(address);
    return often;
}

bool serve_guard_admits(struct MHD_Connection *c, bool open, bool changes,
                        struct serve_answer *answer)
{
    const char *host = header(c, MHD_HTTP_HEADER_HOST);
    const char *origin = header(c, MHD_HTTP_HEADER_ORIGIN);

    if (!all.token && !all.settings->insecure && !is_our_name(host))
        *answer = serve_answer_error(
            MHD_HTTP_FORBIDDEN, "host: '%.100s' is not a name of this service", host);
    else if (origin && !is_our_page(origin, host))
        *answer = serve_answer_error(MHD_HTTP_FORBIDDEN,
                                     "origin: '%.100s' is not allowed", origin);
    else if (all.token && !open && !has_token(c)) {
        *answer = serve_answer_error(MHD_HTTP_UNAUTHORIZED,
                                     "a token is needed: Authorization: Bearer TOKEN");
        MHD_add_response_header(answer->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                "Bearer");
    } else if (changes && is_too_often(c))
        *answer = serve_answer_later(MHD_HTTP_TOO_MANY_REQUESTS, 1,
                                     "more than %lld requests a second",
                                     (long long)all.settings->rate);
    else
        return true;
    return false;
}
