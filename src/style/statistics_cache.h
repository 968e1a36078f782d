/* SPDX-License-Identifier: MIT */
/*
 * statistics_cache.h - cache of a style image's statistics at several sizes, for many
 * pictures in its style. Thread-safe: one thread computes while the others wait.
 */
#ifndef NST_STYLE_STATISTICS_CACHE_H
#define NST_STYLE_STATISTICS_CACHE_H

#include "style/statistics.h"

/* Maximum number of cached sizes; the oldest is evicted. */
#define NST_STATISTICS_CACHE_SIZES 8

struct nst_statistics_cache;

/* An empty cache; belongs to the caller: nst_statistics_cache_free(). */
struct nst_statistics_cache *nst_statistics_cache_new(void);
void nst_statistics_cache_free(struct nst_statistics_cache *cache); /* NULL is fine */

/* tile: 0 without tiling; network: nst_vgg_whole_fingerprint(). Layers and the choice
 * of sums are not part of the key: they are the same for all entries of a cache. */
struct nst_statistics_key {
    int height, width, tile;
    uint64_t network;
};

/* True if the size is cached, so that its picture is not needed. */
bool nst_statistics_cache_contains(struct nst_statistics_cache *cache,
                                   struct nst_statistics_key key);

/* Statistics of count layers to be filled, and the function that computes them. */
struct nst_statistics_request {
    struct nst_statistics *const *layer;
    int count;
    enum nst_status (*compute)(void *ctx, struct nst_err *err); /* fills the layers */
    void *ctx;
};

/* Fill the layers of r from the cache. If they are missing, compute them and cache a
 * copy. Errors of compute, NST_ERR_MEM. */
enum nst_status nst_statistics_cache_get(struct nst_statistics_cache *cache,
                                         struct nst_statistics_key key,
                                         const struct nst_statistics_request *r,
                                         struct nst_err *err);

#endif
