/* SPDX-License-Identifier: MIT */
/*
 * styles.h - the styles of a run: each a picture or a style pack, perhaps with a mask.
 */
#ifndef NST_RUN_STYLES_H
#define NST_RUN_STYLES_H

#include "image/picture.h"
#include "job/job.h"
#include "style/pack.h"
#include "style/statistics_cache.h"

/* What all pictures of a batch share of their styles; for any number of threads. */
struct nst_styles_shared;

/*
 * Read the packs that p asks for, and see that they are of all of e's networks.
 * several: there is more than one picture to be made, so that what is measured of a
 * style is kept. Both are borrowed. *out belongs to the caller. NST_ERR_ARG if one of
 * the packs lacks a network or a layer; errors of nst_pack_load().
 */
enum nst_status nst_styles_shared_new(struct nst_styles_shared **out,
                                      const struct nst_params *p,
                                      const struct nst_engine *e, bool several,
                                      struct nst_err *err);
void nst_styles_shared_free(struct nst_styles_shared *s); /* NULL is fine */

/* The styles of one picture to be made. */
struct nst_style_set {
    struct nst_styles_shared *shared;
    int count;
    struct {
        const struct nst_pack *pack; /* or */
        int height, width;           /* of a picture that is */
        struct nst_picture *picture; /* here or, if NULL, read once it is needed */
        struct nst_statistics_cache *cache; /* what is known of the picture; or NULL */
        struct nst_picture *mask;           /* or NULL */
    } item[NST_STYLES_MAX];
};

/* Read what is needed of them. Errors of nst_picture_load(). Free with the clear
 * function, after a failure too. */
enum nst_status nst_style_set_load(struct nst_style_set *s,
                                   struct nst_styles_shared *shared,
                                   struct nst_err *err);
void nst_style_set_clear(struct nst_style_set *s);

/* The i-th's picture, read if need be. Errors of nst_picture_load(). */
enum nst_status nst_style_set_picture(struct nst_style_set *s, int i,
                                      struct nst_picture **out, struct nst_err *err);
/* The pictures, but not the masks, are needed no more, or not soon. */
void nst_style_set_drop_pictures(struct nst_style_set *s);

/* The largest picture; 0 x 0 if all are packs. */
void nst_style_set_largest(const struct nst_style_set *s, int *height, int *width);

/* Bytes of all pictures and masks, those that are to be read again too. */
size_t nst_style_set_bytes(const struct nst_style_set *s);

#endif
