/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/auth.h"

#include <arpa/inet.h>
#include <glib.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "serve/http/address.h"
#include "serve/http/cookie.h"
#include "serve/http/limiter.h"
#include "serve/http/tokens.h"
#include "serve/log.h"

#define BURST_SECONDS 4 /* of mutations at once */
#define WRONG_TOKENS 10 /* a minute */

#define SESSION "nst_session" /* cookies, and kinds of signatures */
#define VISITOR "nst_visitor"
#define VISITOR_OWNER "visitor:"
#define ADDRESS_OWNER "address:"
#define ID_DIGITS 16 /* of a visitor or an address */
#define VISITOR_SECONDS (365 * 24 * 3600)
#define BROWSER_SECONDS (24 * 3600) /* of a sign-in for this run of the browser */

static struct {
    const struct serve_settings *settings;
    struct serve_tokens *tokens; /* NULL: not required */
    pthread_rwlock_t lock;       /* of tokens */
    struct serve_limiter mutations, wrong_tokens;
} auth = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static enum nst_status read_tokens(struct serve_tokens **out, struct nst_err *err)
{
    const struct serve_settings *s = auth.settings;
    enum nst_status st = NST_OK;

    *out = NULL;
    if (s->tokens)
        st = serve_tokens_read(out, s->tokens, &s->quota, err);
    else if (s->token_file)
        st = serve_tokens_read_one(out, s->token_file, err);
    if (*out && serve_tokens_are_exposed(*out))
        serve_log(SERVE_WARNING, "%s: everybody on this machine can read it: chmod 600",
                  s->tokens ? s->tokens : s->token_file);
    return st;
}

enum nst_status serve_auth_open(const struct serve_settings *s, struct nst_err *err)
{
    enum nst_status st;

    auth.settings = s;
    serve_limiter_open(&auth.mutations, (double)s->rate,
                       BURST_SECONDS * (double)s->rate);
    serve_limiter_open(&auth.wrong_tokens, WRONG_TOKENS / 60.0, WRONG_TOKENS);
    st = read_tokens(&auth.tokens, err);
    return st == NST_OK ? serve_key_open(s->data, err) : st;
}

void serve_auth_close(void)
{
    serve_tokens_free(auth.tokens);
    auth.tokens = NULL;
    serve_limiter_close(&auth.mutations);
    serve_limiter_close(&auth.wrong_tokens);
}

enum nst_status serve_auth_reload(struct nst_err *err)
{
    struct serve_tokens *old, *new;
    enum nst_status st = read_tokens(&new, err);

    if (st != NST_OK || !new)
        return st;
    pthread_rwlock_wrlock(&auth.lock);
    old = auth.tokens;
    auth.tokens = new;
    pthread_rwlock_unlock(&auth.lock);
    serve_tokens_free(old);
    serve_log(SERVE_INFO, "the tokens are read again");
    return NST_OK;
}

bool serve_auth_has_tokens(void)
{
    return auth.settings->tokens || auth.settings->token_file;
}

static const char *request_header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* Copy the entry of a token, or if it is NULL of a name. */
static bool find_token(struct serve_token *out, const char *token, const char *name)
{
    const struct serve_token *found;

    pthread_rwlock_rdlock(&auth.lock);
    found = token ? serve_tokens_find(auth.tokens, token)
                  : serve_tokens_named(auth.tokens, name);
    if (found)
        *out = *found;
    pthread_rwlock_unlock(&auth.lock);
    return found != NULL;
}

static void set_owner(struct serve_identity *who, const struct serve_token *token)
{
    g_strlcpy(who->owner, token->name, sizeof who->owner);
    who->is_operator = token->is_operator;
    who->quota = token->quota;
}

/* 401: a token is missing or wrong. */
static struct serve_response unauthorized(const char *text)
{
    struct serve_response response =
        serve_response_error(MHD_HTTP_UNAUTHORIZED, "%s", text);

    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    return response;
}

/*
 * Find whose token it is. An address that has sent too many wrong ones must wait, even
 * with the right one: otherwise it could go on to guess. Sign-ins are not affected.
 */
static bool check_token(const char *text, const struct serve_identity *who,
                        struct serve_token *token, struct serve_response *response)
{
    unsigned seconds = serve_limiter_wait(&auth.wrong_tokens, who->address);

    if (seconds) {
        *response = serve_response_retry_after(MHD_HTTP_TOO_MANY_REQUESTS, seconds,
                                               "too many wrong tokens from this "
                                               "address");
        return false;
    }
    if (find_token(token, text, NULL))
        return true;
    serve_limiter_take(&auth.wrong_tokens, who->address);
    serve_log(SERVE_WARNING, "wrong token from %s%s", who->address,
              strchr(who->address, ':') ? "/64" : "");
    *response = unauthorized("the token is wrong");
    return false;
}

/* True if the request has the cookie of a sign-in; then *token is its entry. */
static bool has_session(struct MHD_Connection *c, struct serve_token *token)
{
    const char *value = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, SESSION);
    struct serve_cookie cookie;

    return serve_cookie_parse(&cookie, value, time(NULL)) &&
           find_token(token, NULL, cookie.text) &&
           serve_cookie_is_genuine(&cookie, SESSION, token->digest);
}

static bool identify_user(struct MHD_Connection *c, struct serve_identity *who,
                          struct serve_response *response)
{
    const char *header = request_header(c, MHD_HTTP_HEADER_AUTHORIZATION);
    struct serve_token token;

    if (header && strncasecmp(header, "Bearer ", 7) == 0) {
        if (!check_token(header + 7, who, &token, response))
            return false;
    } else if (!has_session(c, &token)) {
        *response =
            unauthorized("a token is needed: Authorization: Bearer TOKEN, or a sign-in "
                         "at /api/login");
        return false;
    }
    set_owner(who, &token);
    return true;
}

/* The owner that stands for an address. */
static void set_address_owner(struct serve_identity *who)
{
    char digest[SERVE_DIGEST_SIZE];

    serve_key_sign(digest, ADDRESS_OWNER, who->address);
    digest[ID_DIGITS] = 0;
    strcpy(who->owner, ADDRESS_OWNER);
    strcat(who->owner, digest);
}

static void identify_visitor(struct MHD_Connection *c, struct serve_identity *who)
{
    const char *value = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, VISITOR);
    struct serve_cookie cookie;

    who->is_operator = auth.settings->shared;
    who->quota = auth.settings->quota;
    if (serve_cookie_parse(&cookie, value, time(NULL)) &&
        serve_cookie_is_genuine(&cookie, VISITOR, "")) {
        g_snprintf(who->owner, sizeof who->owner, VISITOR_OWNER "%.*s", ID_DIGITS,
                   cookie.text);
        return;
    }
    set_address_owner(who);
}

/*
 * DNS rebinding: the owner of a name can point it at this address, so that its pages
 * have the same origin as this service. They cannot know a token. Without tokens,
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

/* True if the Host and Origin headers are right. */
static bool check_origin(struct MHD_Connection *c, struct serve_response *response)
{
    const char *host = request_header(c, MHD_HTTP_HEADER_HOST);
    const char *origin = request_header(c, MHD_HTTP_HEADER_ORIGIN);

    if (!serve_auth_has_tokens() && !auth.settings->insecure && !is_known_host(host)) {
        *response = serve_response_error(
            MHD_HTTP_FORBIDDEN, "host: '%.100s' is not a name of this service", host);
        response->reason = SERVE_REASON_HOST;
    } else if (origin && !is_same_origin(origin, host)) {
        *response = serve_response_error(MHD_HTTP_FORBIDDEN,
                                         "origin: '%.100s' is not allowed", origin);
        response->reason = SERVE_REASON_ORIGIN;
    } else
        return true;
    return false;
}

void serve_auth_address(struct MHD_Connection *c, char address[INET6_ADDRSTRLEN])
{
    serve_client_address(c, auth.settings->behind_proxy, address);
}

bool serve_auth_check(struct MHD_Connection *c, bool is_public, bool is_mutation,
                      struct serve_identity *who, struct serve_response *response)
{
    if (!check_origin(c, response))
        return false;
    if (!serve_auth_has_tokens())
        identify_visitor(c, who);
    else if (!is_public && !identify_user(c, who, response))
        return false;
    return !is_mutation || serve_auth_take_rate(who, response);
}

bool serve_auth_take_rate(const struct serve_identity *who,
                          struct serve_response *response)
{
    if (!auth.settings->rate || serve_limiter_take(&auth.mutations, who->address))
        return true;
    *response = serve_response_retry_after(MHD_HTTP_TOO_MANY_REQUESTS, 1,
                                           "more than %" PRId64 " requests a second",
                                           auth.settings->rate);
    return false;
}

/* A Set-Cookie header, a new string. seconds: 0: until the browser ends; -1: the end of
 * the cookie. */
static char *set_cookie(struct MHD_Connection *c, const char *name, const char *value,
                        const char *same_site, int64_t seconds)
{
    const struct serve_settings *s = auth.settings;
    char age[40] = "";

    if (seconds)
        g_snprintf(age, sizeof age, "; Max-Age=%" PRId64, MAX(seconds, 0));
    return nst_xasprintf("%s=%s; Path=%s/%s; HttpOnly; SameSite=%s%s", name, value,
                         s->prefix ? s->prefix : "", age, same_site,
                         serve_client_uses_tls(c, s->behind_proxy) ? "; Secure" : "");
}

bool serve_auth_sign_in(struct MHD_Connection *c, const char *text, int64_t seconds,
                        struct serve_identity *who, char **cookie,
                        struct serve_response *response)
{
    struct serve_token token;
    char *value;

    if (!check_token(text, who, &token, response))
        return false;
    set_owner(who, &token);
    value = serve_cookie_make(SESSION, token.name, token.digest,
                              time(NULL) + (seconds ? seconds : BROWSER_SECONDS));
    *cookie = set_cookie(c, SESSION, value, "Strict", seconds);
    free(value);
    return true;
}

char *serve_auth_sign_out(struct MHD_Connection *c)
{
    return set_cookie(c, SESSION, "", "Strict", -1);
}

void serve_auth_greet(struct MHD_Connection *c, const struct serve_identity *who,
                      struct serve_response *response)
{
    char id[ID_DIGITS + 1], *value, *header;
    uint64_t random;

    if (serve_auth_has_tokens())
        return;
    if (g_str_has_prefix(who->owner, VISITOR_OWNER))
        g_strlcpy(id, who->owner + strlen(VISITOR_OWNER), sizeof id);
    else if (getrandom(&random, sizeof random, 0) == sizeof random)
        g_snprintf(id, sizeof id, "%016" PRIx64, random);
    else
        return;
    value = serve_cookie_make(VISITOR, id, "", time(NULL) + VISITOR_SECONDS);
    header = set_cookie(c, VISITOR, value, "Lax", VISITOR_SECONDS);
    MHD_add_response_header(response->mhd, MHD_HTTP_HEADER_SET_COOKIE, header);
    free(header);
    free(value);
}
