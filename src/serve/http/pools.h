/* SPDX-License-Identifier: MIT */
/*
 * pools.h - thread pools for requests that block, so that a slow kind only delays its
 * own kind. In SERVE_POOL_DECODE and SERVE_POOL_PREVIEW requests take turns: one of
 * each client runs, and a few wait in order without a thread, so that one client cannot
 * occupy the pool.
 */
#ifndef NST_SERVE_HTTP_POOLS_H
#define NST_SERVE_HTTP_POOLS_H

#include <stdbool.h>

enum serve_pool {
    SERVE_POOL_NONE,      /* a thread of libmicrohttpd */
    SERVE_POOL_DISK,      /* waits for the disk */
    SERVE_POOL_DECODE,    /* waits for a process (sandbox.h) that decodes a picture */
    SERVE_POOL_PREVIEW,   /* waits for a process that makes a preview */
    SERVE_POOL_EXCLUSIVE, /* uses the whole machine, perhaps for minutes */
    SERVE_POOLS
};

#define SERVE_MAX_TURNS 8 /* requests of a client that wait for its turn */

enum serve_push {
    SERVE_PUSH_OK,
    SERVE_PUSH_FULL,     /* too many requests wait */
    SERVE_PUSH_TURNS,    /* too many requests of this client wait */
    SERVE_PUSH_STOPPING, /* serve_pools_close() has been called */
};

/* run handles a request in a thread of a pool; after that the request may be gone. */
void serve_pools_open(void (*run)(void *request));
/* Run what waits, which serve_pools_stopping() tells, and end. */
void serve_pools_close(void);
bool serve_pools_stopping(void);

/* Let a pool handle a request of a client. Both are borrowed. */
enum serve_push serve_pools_push(enum serve_pool pool, const char *client,
                                 void *request);

#endif
