/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/public_address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct network {
    uint8_t prefix[16];
    int bits;
};

/* IANA's special-purpose registries, without those that only waste a connection */
static const struct network four[] = {
    {{0}, 8},         {{10}, 8},       {{100, 64}, 10},   {{127}, 8},
    {{169, 254}, 16}, {{172, 16}, 12}, {{192, 0, 0}, 24}, {{192, 168}, 16},
    {{198, 18}, 15},  {{224}, 4},      {{240}, 4}};
static const struct network six[] = {
    {{0}, 96},          /* unspecified, loopback, and IPv4-compatible */
    {{0x20, 0x01}, 32}, /* Teredo, which contains an obfuscated IPv4 address */
    {{0xfc}, 7},        /* private */
    {{0xfe, 0x80}, 10}, /* link-local */
    {{0xfe, 0xc0}, 10}, /* site-local */
    {{0xff}, 8},        /* multicast */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48}}; /* private NAT64 */
/* networks of IPv6 whose addresses contain an IPv4 address after the prefix */
static const struct network embedding[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, /* IPv4-mapped */
    {{0x00, 0x64, 0xff, 0x9b}, 96},                   /* NAT64 */
    {{0x20, 0x02}, 16}};                              /* 6to4 */

static bool is_in(const uint8_t *address, const struct network *n)
{
    int bytes = n->bits / 8, rest = n->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    return memcmp(address, n->prefix, (size_t)bytes) == 0 &&
           (rest == 0 || (address[bytes] & mask) == n->prefix[bytes]);
}

static bool is_in_any(const uint8_t *address, const struct network *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_in(address, &list[i]))
            return true;
    return false;
}

static bool is_public_four(const uint8_t *address)
{
    return !is_in_any(address, four, sizeof four / sizeof *four);
}

static bool is_public_six(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof embedding / sizeof *embedding; i++)
        if (is_in(address, &embedding[i]))
            return is_public_four(address + embedding[i].bits / 8);
    return !is_in_any(address, six, sizeof six / sizeof *six);
}

bool serve_address_is_public(const struct sockaddr *address)
{
    const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)(const void *)address;

    if (address->sa_family == AF_INET)
        return is_public_four((const uint8_t *)&a->sin_addr);
    return address->sa_family == AF_INET6 && is_public_six(b->sin6_addr.s6_addr);
}
