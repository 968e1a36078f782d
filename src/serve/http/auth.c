/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/auth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/text_file.h"
#include "serve/clock.h"

#define MIN_TOKEN 16
#define BURST_SECONDS 4 /* capacity of a bucket: requests of so many seconds */
#define MAX_BUCKETS 8192
#define TOKEN_COOKIE "nst_token" /* an <img> cannot send a header */

struct bucket { /* of one address */
    double tokens;
    double refilled; /* nst_clock_seconds() */
};

static struct {
    const struct serve_settings *settings;
    char *token; /* NULL: not required */
    pthread_mutex_t lock;
    GHashTable *buckets;
} auth = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum nst_status read_token(const char *path, struct nst_err *err)
{
    char line[512] = "";
    FILE *f = fopen(path, "re");

    if (!f)
        return nst_err_set(err, nst_open_status(errno), "cannot open %s: %s", path,
                           strerror(errno));
    if (nst_text_file_begin(f, path, err) != NST_OK) {
        fclose(f);
        return err->status = NST_ERR_ARG;
    }
    if (!fgets(line, sizeof line, f))
        line[0] = 0;
    fclose(f);
    if (strlen(line) == sizeof line - 1) /* the line is longer than the buffer */
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: the token in the first line must have "
                           "fewer than %zu characters",
                           path, sizeof line - 1);
    line[strcspn(line, "\r\n")] = 0;
    if (strlen(line) < MIN_TOKEN)
        return nst_err_set(
            err, NST_ERR_ARG,
            "%s: the token in the first line must have at least %d characters", path,
            MIN_TOKEN);
    auth.token = nst_xstrdup(line);
    return NST_OK;
}

enum nst_status serve_auth_open(const struct serve_settings *s, struct nst_err *err)
{
    auth.settings = s;
    auth.buckets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return s->token_file ? read_token(s->token_file, err) : NST_OK;
}

void serve_auth_close(void)
{
    free(auth.token);
    auth.token = NULL;
    if (auth.buckets)
        g_hash_table_destroy(auth.buckets);
    auth.buckets = NULL;
}

static const char *request_header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* Compare with the token in constant time for texts of the same length. */
static bool has_valid_token(struct MHD_Connection *c)
{
    const char *bearer = request_header(c, MHD_HTTP_HEADER_AUTHORIZATION);
    const char *cookie = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, TOKEN_COOKIE);
    const char *text =
        bearer && strncasecmp(bearer, "Bearer ", 7) == 0 ? bearer + 7 : cookie;
    size_t n = strlen(auth.token);
    unsigned char difference = text && strlen(text) != n;

    for (size_t i = 0, m = text ? strlen(text) : 0; i < m; i++)
        difference |= (unsigned char)(text[i] ^ auth.token[i % n]);
    return text && !difference;
}

/*
 * DNS rebinding: the owner of a name can point it at this address, so that its pages
 * have the same origin as this service. They cannot know the token. Without a token,
 * unknown names are rejected.
 */
static bool is_known_host(const char *host)
{
    unsigned char buffer[sizeof(struct in6_addr)];
    /* without the port; an IPv6 address is in brackets */
    char *name = host ? g_strndup(host, strcspn(host, ":")) : NULL;
    bool known =
        !name || host[0] == '[' || inet_pton(AF_INET, name, buffer) == 1 ||
        g_ascii_strcasecmp(name, "localhost") == 0 ||
        (auth.settings->host && g_ascii_strcasecmp(name, auth.settings->host) == 0);

    g_free(name);
    return known;
}

/* Browsers send the Origin header with every request that may change something. */
static bool is_same_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://"),
               *allowed = auth.settings->allow_origin;

    return (authority && host && g_ascii_strcasecmp(authority + 3, host) == 0) ||
           (allowed && strcmp(origin, allowed) == 0);
}

/* An address as a key, a new string. For IPv6 the /64 prefix, which one client owns. */
static char *address_key(int family, const void *bytes)
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

/* The client's address that the proxy appended to X-Forwarded-For, as a new key; NULL
 * if the last element is not an address. */
static char *forwarded_key(const char *list)
{
    const char *last = strrchr(list, ',');
    char *word = g_strstrip(g_strdup(last ? last + 1 : list));
    unsigned char bytes[sizeof(struct in6_addr)];
    char *key = inet_pton(AF_INET, word, bytes) == 1    ? address_key(AF_INET, bytes)
                : inet_pton(AF_INET6, word, bytes) == 1 ? address_key(AF_INET6, bytes)
                                                        : NULL;

    g_free(word);
    return key;
}

/* MHD_KeyValueIterator. The last X-Forwarded-For header is the proxy's. */
static enum MHD_Result find_forwarded(void *cls, enum MHD_ValueKind kind,
                                      const char *key, const char *value)
{
    (void)kind;
    if (g_ascii_strcasecmp(key, "X-Forwarded-For") == 0 && value)
        *(const char **)cls = value;
    return MHD_YES;
}

/* The key of the client's address, a new string. */
static char *client_key(struct MHD_Connection *c)
{
    const struct sockaddr *a =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const char *forwarded = NULL;
    char *key;

    if (auth.settings->behind_proxy)
        MHD_get_connection_values(c, MHD_HEADER_KIND, find_forwarded, &forwarded);
    key = forwarded ? forwarded_key(forwarded) : NULL;
    if (key)
        return key;
    if (a && a->sa_family == AF_INET)
        return address_key(AF_INET, &((const struct sockaddr_in *)a)->sin_addr);
    if (a && a->sa_family == AF_INET6)
        return address_key(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr);
    return g_strdup("");
}

void serve_auth_address(struct MHD_Connection *c, char address[INET6_ADDRSTRLEN])
{
    char *key = client_key(c);

    g_strlcpy(address, key, INET6_ADDRSTRLEN);
    g_free(key);
}

static void refill(struct bucket *b, double rate)
{
    double now = nst_clock_seconds();

    b->tokens += (now - b->refilled) * rate;
    if (b->tokens > BURST_SECONDS * rate)
        b->tokens = BURST_SECONDS * rate;
    b->refilled = now;
}

/* GHRFunc. A full bucket is equivalent to none, so it can be removed. */
static gboolean is_full(gpointer key, gpointer value, gpointer rate)
{
    (void)key;
    refill(value, *(double *)rate);
    return ((struct bucket *)value)->tokens >= BURST_SECONDS * *(double *)rate;
}

/* Token bucket. */
static bool is_rate_limited(const char *address)
{
    double rate = (double)auth.settings->rate;
    struct bucket *b;
    bool limited;

    if (rate == 0)
        return false;
    pthread_mutex_lock(&auth.lock);
    b = g_hash_table_lookup(auth.buckets, address);
    if (!b) {
        /* Remove full buckets; if too many remain, remove all. */
        if (g_hash_table_size(auth.buckets) >= MAX_BUCKETS) {
            g_hash_table_foreach_remove(auth.buckets, is_full, &rate);
            if (g_hash_table_size(auth.buckets) >= MAX_BUCKETS / 2)
                g_hash_table_remove_all(auth.buckets);
        }
        b = g_new(struct bucket, 1);
        *b = (struct bucket){BURST_SECONDS * rate, nst_clock_seconds()};
        g_hash_table_insert(auth.buckets, g_strdup(address), b);
    }
    refill(b, rate);
    limited = b->tokens < 1;
    if (!limited)
        b->tokens--;
    pthread_mutex_unlock(&auth.lock);
    return limited;
}

bool serve_auth_check(struct MHD_Connection *c, bool is_public, bool is_mutation,
                      struct serve_identity *who, struct serve_response *response)
{
    const char *host = request_header(c, MHD_HTTP_HEADER_HOST);
    const char *origin = request_header(c, MHD_HTTP_HEADER_ORIGIN);

    *who = (struct serve_identity){.is_operator = true};
    serve_auth_address(c, who->address);
    if (!auth.token && !auth.settings->insecure && !is_known_host(host)) {
        *response = serve_response_error(
            MHD_HTTP_FORBIDDEN, "host: '%.100s' is not a name of this service", host);
        response->reason = SERVE_REASON_HOST;
    } else if (origin && !is_same_origin(origin, host)) {
        *response = serve_response_error(MHD_HTTP_FORBIDDEN,
                                         "origin: '%.100s' is not allowed", origin);
        response->reason = SERVE_REASON_ORIGIN;
    } else if (auth.token && !is_public && !has_valid_token(c)) {
        *response = serve_response_error(
            MHD_HTTP_UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN");
        MHD_add_response_header(response->mhd, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                "Bearer");
    } else if (is_mutation && is_rate_limited(who->address))
        *response = serve_response_retry_after(MHD_HTTP_TOO_MANY_REQUESTS, 1,
                                               "more than %lld requests a second",
                                               (long long)auth.settings->rate);
    else
        return true;
    return false;
}
