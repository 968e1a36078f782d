/* SPDX-License-Identifier: MIT */
/*
 * statistics_cache.h - the statistics of a painting, kept from one picture in its style
 * to the next: what was measured once at some size is not measured again. Any number of
 * threads may ask at a time; what one of them measures, others wait for.
 */
#ifndef NST_STYLE_STATISTICS_CACHE_H
#define NST_STYLE_STATISTICS_CACHE_H

#include "style/statistics.h"

/* Sizes of a painting that are remembered; the oldest gives way to one more. */
#define NST_STATISTICS_CACHE_SIZES 8

struct nst_statistics_cache;

/* A new one, without any sizes; belongs to the caller: nst_statistics_cache_free(). */
struct nst_statistics_cache *nst_statistics_cache_new(void);
void nst_statistics_cache_free(struct nst_statistics_cache *cache); /* NULL is fine */

/* Nothing but a height, a width, a tile (0: in one piece) and the network's fingerprint
 * tells sizes apart: the layers and whether sums are wanted are the same for all. */
struct nst_statistics_key {
    int height, width, tile;
    uint64_t network;
};

/* Is the size there, so that no picture is needed for it? */
bool nst_statistics_cache_contains(struct nst_statistics_cache *cache,
                                   struct nst_statistics_key key);

/*
 * Those of count layers to s, from memory; or else by compute(ctx), which fills in s,
 * and remembered. Errors of measure, NST_ERR_MEM.
 */
enum nst_status nst_statistics_cache_get(
    struct nst_statistics_cache *cache, struct nst_statistics_key key,
    struct nst_statistics *const s[], int count,
    enum nst_status (*compute)(void *ctx, struct nst_err *err), void *ctx,
    struct nst_err *err);

#endif
