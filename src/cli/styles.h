/* SPDX-License-Identifier: MIT */
/*
 * styles.h - the styles of a run: each a picture or a style pack, perhaps with a mask.
 */
#ifndef NST_CLI_STYLES_H
#define NST_CLI_STYLES_H

#include "image/picture.h"
#include "job/job.h"
#include "style/pack.h"

struct nst_styles_read {
    int count;
    struct {
        struct nst_picture *picture; /* or */
        struct nst_pack *pack;
        struct nst_picture *mask; /* or NULL */
    } of[NST_STYLES_MAX];
};

/* A run that asks for no model takes that of its style packs. Errors of
 * nst_pack_load(). */
enum nst_status nst_styles_choose_model(struct nst_params *p, struct nst_err *err);

/* Read all that p asks for, for a content of that size. Errors of nst_picture_load()
 * and nst_pack_load(). Free with the clear function, after a failure too. */
enum nst_status nst_styles_read(struct nst_styles_read *s, const struct nst_params *p,
                                const struct nst_picture_size *size,
                                struct nst_err *err);
void nst_styles_clear(struct nst_styles_read *s);
/* The pictures, but not the masks, are needed no more. */
void nst_styles_drop_pictures(struct nst_styles_read *s);

/* NST_ERR_ARG if one of the packs is of another network or lacks a layer. */
enum nst_status nst_styles_check(const struct nst_styles_read *s,
                                 const struct nst_params *p, const struct nst_engine *e,
                                 struct nst_err *err);

/* The largest picture; 0 x 0 if all are packs. */
void nst_styles_largest(const struct nst_styles_read *s, int *height, int *width);

#endif
