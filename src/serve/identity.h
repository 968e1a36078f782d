/* SPDX-License-Identifier: MIT */
/*
 * identity.h - who sends a request: the owner of what it creates, and what he may do.
 *
 * With tokens (--tokens, --token-file) the owner is the name of the token. Without, it
 * is the visitor of a signed cookie, which the page sets, or, for programs without
 * cookies, the address. Each sees and changes only what is his own, except operators:
 * tokens of that role, the one token of --token-file, and everybody with --shared.
 *
 * A visitor may get as many cookies as he likes: what must not be exceeded is counted
 * by address as well.
 */
#ifndef NST_SERVE_IDENTITY_H
#define NST_SERVE_IDENTITY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define SERVE_MAX_OWNER 40 /* characters of an owner's name */

/* What an owner may use; 0: no limit. */
struct serve_quota {
    int64_t waiting, running; /* tasks */
    int64_t bytes;            /* of uploads, styles and results */
    int64_t work_per_day;     /* pixels x steps of tasks created in 24 hours */
};

struct serve_identity {
    /* NAME (of a token: letters, digits and . _ -), visitor:HEX or address:HEX; "" only
     * in requests of public routes without a token */
    char owner[SERVE_MAX_OWNER + 1];
    bool is_operator;               /* sees and changes what others own */
    struct serve_quota quota;       /* of the token, else of --quota; operators: none */
    char address[INET6_ADDRSTRLEN]; /* of the client; of IPv6 the /64 prefix */
};

#endif
