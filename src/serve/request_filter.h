/* SPDX-License-Identifier: MIT */
/*
 * request_filter.h - a connection is looked at before libmicrohttpd has it, which
 * refuses what is no HTTP in a page of HTML, and has nothing (0.9.75) that would make
 * it say something else. What is seen here is a connection's first request, as much of
 * it as came at once; the bytes of those that follow are the library's before anybody
 * is told.
 */
#ifndef NST_SERVE_REQUEST_FILTER_H
#define NST_SERVE_REQUEST_FILTER_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVE_MAX_HEAD_BYTES 16384 /* of a request's first line and headers */

/* What the library would refuse a request for; status 0: nothing. */
struct serve_http_error {
    unsigned status;
    const char *text;
};

/* Of a request that begins so; what is still to come is not missed, unless it makes the
 * head too large. */
struct serve_http_error serve_filter_check_head(const char *head, size_t size);

/* Of any request, what the library lets pass all the same: nobody can tell where such a
 * request ends, or what it is for. */
struct serve_http_error serve_filter_check_framing(struct MHD_Connection *c,
                                                   const char *path,
                                                   const char *version);

/* Have connections wait until something has come to be looked at. */
void serve_filter_open(int socket);

/* Refuse a connection whose beginning is faulty: true, and all that still comes of it
 * is to be dropped. */
bool serve_filter_reject(int fd);

/* Add how many were refused with a status of 100 * i. */
void serve_filter_count(uint64_t responses[6]);

#endif
