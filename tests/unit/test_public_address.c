/* SPDX-License-Identifier: MIT */
#include "serve/public_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static bool is_public(const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return serve_address_is_public((struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return serve_address_is_public((struct sockaddr *)&six);
}

static void public_addresses_are_public(void **state)
{
    static const char *const list[] = {
        "1.1.1.1",         "9.255.255.255",   "11.0.0.0",         "100.63.255.255",
        "100.128.0.0",     "126.255.255.255", "128.0.0.0",        "172.15.255.255",
        "172.32.0.0",      "192.167.0.1",     "192.169.0.1",      "223.255.255.255",
        "2606:4700::1111", "::ffff:1.1.1.1",  "64:ff9b::1.1.1.1", "2002:101:101::1"};

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!is_public(list[i]))
            fail_msg("%s is public", list[i]);
}

static void other_addresses_are_not(void **state)
{
    static const char *const list[] = {"0.0.0.0",
                                       "0.1.2.3",
                                       "10.0.0.1",
                                       "100.64.0.1",
                                       "100.127.255.255",
                                       "127.0.0.1",
                                       "127.255.255.255",
                                       "169.254.169.254",
                                       "172.16.0.1",
                                       "172.31.255.255",
                                       "192.0.0.8",
                                       "192.168.1.1",
                                       "198.18.0.1",
                                       "198.19.255.255",
                                       "224.0.0.1",
                                       "240.0.0.1",
                                       "255.255.255.255",
                                       "::",
                                       "::1",
                                       "::127.0.0.1",
                                       "::ffff:127.0.0.1",
                                       "::ffff:10.0.0.1",
                                       "64:ff9b::169.254.169.254",
                                       "64:ff9b:1::1",
                                       "2002:7f00:1::",
                                       "2002:a00:1::1",
                                       "2001::1",
                                       "fc00::1",
                                       "fdff::1",
                                       "fe80::1",
                                       "febf::1",
                                       "fec0::1",
                                       "ff02::1"};

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (is_public(list[i]))
            fail_msg("%s is not public", list[i]);
    assert_false(serve_address_is_public(&(struct sockaddr){.sa_family = AF_UNIX}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(public_addresses_are_public),
                                       cmocka_unit_test(other_addresses_are_not)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
