/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/limiter.h"

#include <math.h>

#include "base/clock.h"

#define MAX_BUCKETS 8192

struct bucket {
    double level;
    double refilled; /* nst_clock_seconds() */
};

void serve_limiter_open(struct serve_limiter *l, double rate, double capacity)
{
    l->rate = rate;
    l->capacity = capacity;
    pthread_mutex_init(&l->lock, NULL);
    l->buckets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void serve_limiter_close(struct serve_limiter *l)
{
    if (!l->buckets)
        return;
    g_hash_table_destroy(l->buckets);
    l->buckets = NULL;
    pthread_mutex_destroy(&l->lock);
}

static void refill(const struct serve_limiter *l, struct bucket *b)
{
    double now = nst_clock_seconds();

    b->level = MIN(l->capacity, b->level + (now - b->refilled) * l->rate);
    b->refilled = now;
}

/* GHRFunc. A full bucket is equivalent to none, so it can be removed. */
static gboolean is_full(gpointer key, gpointer value, gpointer limiter)
{
    const struct serve_limiter *l = limiter;
    struct bucket *b = value;

    (void)key;
    refill(l, b);
    return b->level >= l->capacity;
}

/* The bucket of an address, refilled. */
static struct bucket *find_bucket(struct serve_limiter *l, const char *address)
{
    struct bucket *b = g_hash_table_lookup(l->buckets, address);

    if (!b) {
        /* Remove full buckets; if too many remain, remove all. */
        if (g_hash_table_size(l->buckets) >= MAX_BUCKETS) {
            g_hash_table_foreach_remove(l->buckets, is_full, l);
            if (g_hash_table_size(l->buckets) >= MAX_BUCKETS / 2)
                g_hash_table_remove_all(l->buckets);
        }
        b = g_new(struct bucket, 1);
        *b = (struct bucket){l->capacity, nst_clock_seconds()};
        g_hash_table_insert(l->buckets, g_strdup(address), b);
    }
    refill(l, b);
    return b;
}

bool serve_limiter_take(struct serve_limiter *l, const char *address)
{
    struct bucket *b;
    bool allowed;

    pthread_mutex_lock(&l->lock);
    b = find_bucket(l, address);
    allowed = b->level >= 1;
    if (allowed)
        b->level--;
    pthread_mutex_unlock(&l->lock);
    return allowed;
}

unsigned serve_limiter_wait(struct serve_limiter *l, const char *address)
{
    struct bucket *b;
    unsigned seconds = 0;

    pthread_mutex_lock(&l->lock);
    b = g_hash_table_lookup(l->buckets, address);
    if (b) {
        refill(l, b);
        if (b->level < 1)
            seconds = (unsigned)ceil((1 - b->level) / l->rate);
    }
    pthread_mutex_unlock(&l->lock);
    return seconds;
}
