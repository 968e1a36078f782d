/* SPDX-License-Identifier: MIT */
/*
 * kept.h - the statistics of a painting, kept from one picture in its style to the
 * next: what was measured once at some size is not measured again. Any number of
 * threads may ask at a time; what one of them measures, others wait for.
 */
#ifndef NST_STYLE_KEPT_H
#define NST_STYLE_KEPT_H

#include "style/statistics.h"

/* Sizes of a painting that are remembered; the oldest gives way to one more. */
#define NST_KEPT_SIZES 8

struct nst_kept;

/* A new one, without any sizes; belongs to the caller: nst_kept_free(). */
struct nst_kept *nst_kept_new(void);
void nst_kept_free(struct nst_kept *k); /* NULL is fine */

/* Nothing but a height, a width, a tile (0: in one piece) and the network's fingerprint
 * tells sizes apart: the layers and whether sums are wanted are the same for all. */
struct nst_kept_size {
    int height, width, tile;
    uint64_t network;
};

/* Is the size there, so that no picture is needed for it? */
bool nst_kept_has(struct nst_kept *k, struct nst_kept_size size);

/*
 * Those of count layers to s, from memory; or else by measure(ctx), which fills in s,
 * and remembered. Errors of measure, NST_ERR_MEM.
 */
enum nst_status nst_kept_read(struct nst_kept *k, struct nst_kept_size size,
                              struct nst_statistics *const s[], int count,
                              enum nst_status (*measure)(void *ctx,
                                                         struct nst_err *err),
                              void *ctx, struct nst_err *err);

#endif
