/* SPDX-License-Identifier: MIT */
/*
 * styles.h - the styles of a run: each a picture or a style pack, and perhaps a mask;
 * or one feed-forward network.
 */
#ifndef NST_RUN_STYLES_H
#define NST_RUN_STYLES_H

#include "image/picture.h"
#include "run/job.h"
#include "style/pack.h"
#include "style/statistics_cache.h"

/* True if nst_adapt_params() measures the pictures of a run by p. */
bool nst_params_need_pixels(const struct nst_params *p);

/* How to load the pictures of a run by p, within the memory that s may use. A dry run
 * reads only the headers unless nst_params_need_pixels(). */
struct nst_picture_size nst_params_load_size(const struct nst_params *p,
                                             struct nst_session *s);

/* Style data shared by all pictures of a batch; safe to use from several threads. */
struct nst_styles_shared;

/*
 * Load the style packs of p and check that they support all networks of e, or load the
 * feed-forward network. several: the
 * batch has more than one picture, so style statistics are cached. p is borrowed. *out
 * belongs to the caller: nst_styles_shared_free(). NST_ERR_ARG if a pack lacks a
 * network or a layer; errors of nst_pack_load().
 */
enum nst_status nst_styles_shared_new(struct nst_styles_shared **out,
                                      const struct nst_params *p, struct nst_session *s,
                                      bool several, struct nst_err *err);
void nst_styles_shared_free(struct nst_styles_shared *s); /* NULL is fine */

struct nst_net_file;
/* The style that is a feed-forward network; NULL if it is none. Borrowed. */
const struct nst_net_file *nst_styles_shared_net(const struct nst_styles_shared *s);

/* The styles for one picture of the batch. */
struct nst_style_set {
    struct nst_styles_shared *shared;
    int count;
    struct {
        const struct nst_pack *pack;        /* or NULL: a picture or a network */
        int height, width;                  /* of the picture */
        struct nst_picture *picture;        /* NULL: loaded on demand */
        struct nst_statistics_cache *cache; /* statistics of the picture; or NULL */
        struct nst_picture *mask;           /* or NULL */
    } item[NST_STYLES_MAX];
};

/* Load sizes and masks. Errors of nst_picture_load(). Free with the clear function,
 * also after a failure. */
enum nst_status nst_style_set_load(struct nst_style_set *s,
                                   struct nst_styles_shared *shared,
                                   struct nst_err *err);
void nst_style_set_clear(struct nst_style_set *s);

/* The i-th picture, loaded on demand. Errors of nst_picture_load(). */
enum nst_status nst_style_set_picture(struct nst_style_set *s, int i,
                                      struct nst_picture **out, struct nst_err *err);
/* Free the pictures, but not the masks; they are loaded again on demand. */
void nst_style_set_drop_pictures(struct nst_style_set *s);

/* Size of the largest picture; 0 x 0 if all styles are packs. */
struct nst_size nst_style_set_largest(const struct nst_style_set *s);

/* Bytes of all pictures and masks, including pictures not loaded at the moment. */
size_t nst_style_set_bytes(const struct nst_style_set *s);

#endif
