/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/pools.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"

#define MAX_WAITING 8 /* requests, if the pool has limited */

static const struct {
    int threads;
    bool takes_turns, limited;
} kinds[SERVE_POOLS] = {[SERVE_POOL_DISK] = {2, false, false},
                        [SERVE_POOL_DECODE] = {2, true, false},
                        [SERVE_POOL_PREVIEW] = {1, true, true},
                        [SERVE_POOL_EXCLUSIVE] = {1, false, true}};

struct job {
    void *request;
    enum serve_pool pool;
    char *client; /* if requests take turns; or NULL */
};

static struct {
    void (*run)(void *request);
    GThreadPool *pool[SERVE_POOLS];
    /* of each pool: clients with a running job: a GQueue of waiting ones */
    GHashTable *turns[SERVE_POOLS];
    atomic_bool stopping;
    pthread_mutex_t lock; /* of turns; and no push after stopping is set */
} pools = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* True if the job may run; otherwise it waits. The lock is held. */
static bool begin_turn(struct job *job)
{
    GHashTable *turns = pools.turns[job->pool];
    GQueue *waiting = g_hash_table_lookup(turns, job->client);

    if (waiting)
        g_queue_push_tail(waiting, job);
    else
        g_hash_table_insert(turns, g_strdup(job->client), g_queue_new());
    return !waiting;
}

/* The next job of the client, which may run; NULL if none waits. The lock is held. */
static struct job *end_turn(const struct job *job)
{
    GHashTable *turns = pools.turns[job->pool];
    struct job *next = g_queue_pop_head(g_hash_table_lookup(turns, job->client));

    if (!next)
        g_hash_table_remove(turns, job->client);
    return next;
}

static bool has_too_many_turns(enum serve_pool pool, const char *client)
{
    GQueue *waiting = g_hash_table_lookup(pools.turns[pool], client);

    return waiting && g_queue_get_length(waiting) >= SERVE_MAX_TURNS;
}

/* GFunc of the pools. While the service stops, waiting jobs run here as well, because
 * the pool takes no more. */
static void run_job(gpointer p, gpointer unused)
{
    struct job *job = p, *next;

    (void)unused;
    for (; job; job = next) {
        next = NULL;
        pools.run(job->request);
        if (job->client) {
            pthread_mutex_lock(&pools.lock);
            next = end_turn(job);
            if (next && !atomic_load(&pools.stopping)) {
                g_thread_pool_push(pools.pool[job->pool], next, NULL);
                next = NULL;
            }
            pthread_mutex_unlock(&pools.lock);
        }
        g_free(job->client);
        free(job);
    }
}

void serve_pools_open(void (*run)(void *request))
{
    pools.run = run;
    for (int i = SERVE_POOL_NONE + 1; i < SERVE_POOLS; i++) {
        pools.turns[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                               (GDestroyNotify)g_queue_free);
        pools.pool[i] = g_thread_pool_new(run_job, NULL, kinds[i].threads, TRUE, NULL);
    }
}

void serve_pools_close(void)
{
    pthread_mutex_lock(&pools.lock);
    atomic_store(&pools.stopping, true);
    pthread_mutex_unlock(&pools.lock);
    for (int i = SERVE_POOL_NONE + 1; i < SERVE_POOLS; i++) {
        g_thread_pool_free(pools.pool[i], FALSE, TRUE);
        g_hash_table_destroy(pools.turns[i]);
    }
}

bool serve_pools_stopping(void)
{
    return atomic_load(&pools.stopping);
}

enum serve_push serve_pools_push(enum serve_pool pool, const char *client,
                                 void *request)
{
    bool takes_turns = kinds[pool].takes_turns;
    enum serve_push outcome = SERVE_PUSH_OK;
    struct job *job;

    pthread_mutex_lock(&pools.lock);
    if (atomic_load(&pools.stopping))
        outcome = SERVE_PUSH_STOPPING;
    else if (kinds[pool].limited &&
             g_thread_pool_unprocessed(pools.pool[pool]) >= MAX_WAITING)
        outcome = SERVE_PUSH_FULL;
    else if (takes_turns && has_too_many_turns(pool, client))
        outcome = SERVE_PUSH_TURNS;
    else {
        job = nst_xcalloc(1, sizeof *job);
        *job = (struct job){request, pool, takes_turns ? g_strdup(client) : NULL};
        if (!takes_turns || begin_turn(job))
            g_thread_pool_push(pools.pool[pool], job, NULL);
    }
    pthread_mutex_unlock(&pools.lock);
    return outcome;
}
