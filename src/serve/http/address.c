/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/address.h"

#include <arpa/inet.h>
#include <glib.h>
#include <string.h>

/* inet_ntop() takes a tenth of the time of a short request. */
static void write_ipv4(const unsigned char bytes[4], char *out)
{
    for (int i = 0; i < 4; i++) {
        unsigned b = bytes[i];

        if (b >= 100)
            *out++ = (char)('0' + b / 100);
        if (b >= 10)
            *out++ = (char)('0' + b / 10 % 10);
        *out++ = (char)('0' + b % 10);
        *out++ = i < 3 ? '.' : 0;
    }
}

static void write_key(int family, const void *bytes, char address[INET6_ADDRSTRLEN])
{
    struct in6_addr six;

    if (family == AF_INET6) {
        memcpy(&six, bytes, sizeof six);
        if (IN6_IS_ADDR_V4MAPPED(&six)) {
            write_ipv4(&six.s6_addr[12], address);
            return;
        }
        memset(&six.s6_addr[8], 0, 8);
        inet_ntop(AF_INET6, &six, address, INET6_ADDRSTRLEN);
    } else
        write_ipv4(bytes, address);
}

struct header {
    const char *name, *value;
};

/* MHD_KeyValueIterator. The last header of a name is the proxy's. */
static enum MHD_Result find_last(void *cls, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct header *h = cls;

    (void)kind;
    if (g_ascii_strcasecmp(key, h->name) == 0 && value)
        h->value = value;
    return MHD_YES;
}

/* The element of a list that the proxy appended, a new string, or NULL. */
static char *forwarded(struct MHD_Connection *c, const char *name)
{
    struct header h = {name, NULL};
    const char *comma;

    MHD_get_connection_values(c, MHD_HEADER_KIND, find_last, &h);
    if (!h.value)
        return NULL;
    comma = strrchr(h.value, ',');
    return g_strstrip(g_strdup(comma ? comma + 1 : h.value));
}

void serve_client_address(struct MHD_Connection *c, bool behind_proxy,
                          char address[INET6_ADDRSTRLEN])
{
    const struct sockaddr *a =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    char *word = behind_proxy ? forwarded(c, "X-Forwarded-For") : NULL;
    unsigned char bytes[sizeof(struct in6_addr)];

    address[0] = 0;
    if (word && inet_pton(AF_INET, word, bytes) == 1)
        write_key(AF_INET, bytes, address);
    else if (word && inet_pton(AF_INET6, word, bytes) == 1)
        write_key(AF_INET6, bytes, address);
    else if (a && a->sa_family == AF_INET)
        write_key(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, address);
    else if (a && a->sa_family == AF_INET6)
        write_key(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, address);
    g_free(word);
}

bool serve_client_uses_tls(struct MHD_Connection *c, bool behind_proxy)
{
    char *word = behind_proxy ? forwarded(c, "X-Forwarded-Proto") : NULL;
    bool tls = word && g_ascii_strcasecmp(word, "https") == 0;

    g_free(word);
    return tls;
}
