/* SPDX-License-Identifier: MIT */
/* limiter.h - how often an address may do something: a token bucket for each. */
#ifndef NST_SERVE_HTTP_LIMITER_H
#define NST_SERVE_HTTP_LIMITER_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

struct serve_limiter {
    double rate;     /* events per second */
    double capacity; /* events at once */
    pthread_mutex_t lock;
    GHashTable *buckets;
};

void serve_limiter_open(struct serve_limiter *l, double rate, double capacity);
void serve_limiter_close(struct serve_limiter *l);

/* Count an event of an address. False: there were too many, and it does not count.
 * Thread-safe. */
bool serve_limiter_take(struct serve_limiter *l, const char *address);
/* Seconds until the address may do it again; 0: now. Thread-safe. */
unsigned serve_limiter_wait(struct serve_limiter *l, const char *address);

#endif
