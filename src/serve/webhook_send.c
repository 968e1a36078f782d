/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/webhook_send.h"

#include <stddef.h>

#ifdef HAVE_LIBCURL
#include <curl/curl.h>
#include <glib.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "serve/public_address.h"

#define CONNECT_SECONDS 5L
#define TOTAL_SECONDS 10L
#define MAX_URL 2000

bool serve_webhook_is_supported(void)
{
    return true;
}

static bool has_part(CURLU *u, CURLUPart which)
{
    char *text = NULL;
    bool has = curl_url_get(u, which, &text, 0) == CURLUE_OK && *text;

    curl_free(text);
    return has;
}

bool serve_webhook_is_valid_url(const char *url)
{
    CURLU *u = curl_url();
    bool is_http = g_ascii_strncasecmp(url, "http://", 7) == 0 ||
                   g_ascii_strncasecmp(url, "https://", 8) == 0;
    bool valid = is_http && strlen(url) <= MAX_URL &&
                 curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 has_part(u, CURLUPART_HOST) && !has_part(u, CURLUPART_USER);

    curl_url_cleanup(u);
    return valid;
}

/* CURLOPT_OPENSOCKETFUNCTION: called with each resolved address right before libcurl
 * connects to it, so that a name cannot change in between. */
static curl_socket_t open_public(void *refused, curlsocktype purpose,
                                 struct curl_sockaddr *a)
{
    (void)purpose;
    if (!serve_address_is_public(&a->addr)) {
        *(bool *)refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* CURLOPT_WRITEFUNCTION */
static size_t ignore(char *bytes, size_t size, size_t count, void *unused)
{
    (void)bytes;
    (void)unused;
    return size * count;
}

/* The headers with the signature of "TIMESTAMP.BODY". */
static struct curl_slist *sign(const char *text, const char *secret)
{
    char *time_text = nst_xasprintf("%" PRId64, (int64_t)time(NULL));
    char *signed_text = nst_xasprintf("%s.%s", time_text, text);
    char *hmac = g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guchar *)secret,
                                           strlen(secret), signed_text, -1);
    char *timestamp = nst_xasprintf("Nst-Timestamp: %s", time_text);
    char *signature = nst_xasprintf("Nst-Signature: sha256=%s", hmac);
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");

    list = curl_slist_append(list, timestamp);
    list = curl_slist_append(list, signature);
    free(signature);
    free(timestamp);
    g_free(hmac);
    free(signed_text);
    free(time_text);
    return list;
}

enum serve_webhook_end serve_webhook_send(const char *url, const char *text,
                                          const char *secret, char **problem)
{
    struct curl_slist *headers = sign(text, secret);
    CURL *c = curl_easy_init();
    bool refused = false;
    long status = 0;
    CURLcode end;

    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_PROXY, ""); /* a proxy would hide the address */
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_public);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, &refused);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "nst-serve/" PACKAGE_VERSION);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, TOTAL_SECONDS);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    end = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    *problem = status >= 200 && status < 300 ? NULL
               : refused                     ? nst_xstrdup("its address is not public")
               : status                      ? nst_xasprintf("status %ld", status)
                                             : nst_xstrdup(curl_easy_strerror(end));
    curl_easy_cleanup(c);
    curl_slist_free_all(headers);
    return !*problem ? SERVE_WEBHOOK_TAKEN
           : refused ? SERVE_WEBHOOK_REFUSED
                     : SERVE_WEBHOOK_FAILED;
}

#else

bool serve_webhook_is_supported(void)
{
    return false;
}

bool serve_webhook_is_valid_url(const char *url)
{
    (void)url;
    return false;
}

enum serve_webhook_end serve_webhook_send(const char *url, const char *text,
                                          const char *secret, char **problem)
{
    (void)url;
    (void)text;
    (void)secret;
    *problem = NULL;
    return SERVE_WEBHOOK_FAILED;
}

#endif
