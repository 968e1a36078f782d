/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/statistics_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct entry {
    struct nst_statistics_key key;
    struct nst_statistics *statistics; /* of each layer; NULL: unused */
    int count;
};

struct nst_statistics_cache {
    pthread_mutex_t lock;
    struct entry entry[NST_STATISTICS_CACHE_SIZES];
    int next; /* the entry to overwrite next */
};

struct nst_statistics_cache *nst_statistics_cache_new(void)
{
    struct nst_statistics_cache *cache = nst_xcalloc(1, sizeof *cache);

    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void clear_entry(struct entry *e)
{
    for (int i = 0; e->statistics && i < e->count; i++)
        nst_statistics_clear(&e->statistics[i]);
    free(e->statistics);
    e->statistics = NULL;
}

void nst_statistics_cache_free(struct nst_statistics_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < NST_STATISTICS_CACHE_SIZES; i++)
        clear_entry(&cache->entry[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct entry *find_entry(struct nst_statistics_cache *cache,
                                struct nst_statistics_key key)
{
    for (int i = 0; i < NST_STATISTICS_CACHE_SIZES; i++) {
        struct entry *e = &cache->entry[i];

        if (e->statistics && e->key.height == key.height && e->key.width == key.width &&
            e->key.tile == key.tile && e->key.network == key.network)
            return e;
    }
    return NULL;
}

bool nst_statistics_cache_contains(struct nst_statistics_cache *cache,
                                   struct nst_statistics_key key)
{
    bool has;

    pthread_mutex_lock(&cache->lock);
    has = find_entry(cache, key) != NULL;
    pthread_mutex_unlock(&cache->lock);
    return has;
}

static enum nst_status insert(struct nst_statistics_cache *cache,
                              struct nst_statistics_key key,
                              struct nst_statistics *const s[], int count,
                              struct nst_err *err)
{
    struct entry *e = &cache->entry[cache->next];
    enum nst_status st = NST_OK;

    clear_entry(e);
    *e = (struct entry){key, nst_xcalloc((size_t)count, sizeof *e->statistics), count};
    for (int i = 0; st == NST_OK && i < count; i++) {
        st = nst_statistics_init(&e->statistics[i], NULL, s[i]->layer, s[i]->channels,
                                 s[i]->sums != NULL, err);
        if (st == NST_OK)
            nst_statistics_copy(&e->statistics[i], s[i]);
    }
    if (st != NST_OK)
        clear_entry(e);
    else
        cache->next = (cache->next + 1) % NST_STATISTICS_CACHE_SIZES;
    return st;
}

enum nst_status nst_statistics_cache_get(struct nst_statistics_cache *cache,
                                         struct nst_statistics_key key,
                                         const struct nst_statistics_request *r,
                                         struct nst_err *err)
{
    enum nst_status st = NST_OK;
    struct entry *e;

    pthread_mutex_lock(&cache->lock);
    e = find_entry(cache, key);
    for (int i = 0; e && i < r->count; i++)
        nst_statistics_copy(r->layer[i], &e->statistics[i]);
    if (!e)
        st = r->compute(r->ctx, err);
    if (!e && st == NST_OK)
        st = insert(cache, key, r->layer, r->count, err);
    pthread_mutex_unlock(&cache->lock);
    return st;
}
