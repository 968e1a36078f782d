/* SPDX-License-Identifier: MIT */
/*
 * identity.h - who sends a request: the owner of what it creates, and what he may do.
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
    char owner[SERVE_MAX_OWNER + 1]; /* "": nobody in particular */
    bool is_operator;                /* sees and changes what others own */
    struct serve_quota quota;
    char address[INET6_ADDRSTRLEN]; /* of the client; of IPv6 the /64 prefix */
};

#endif
