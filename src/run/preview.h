/* SPDX-License-Identifier: MIT */
/*
 * preview.h - the picture as it is while it is made, written for who wants to see it
 * (--preview).
 *
 * It has the size and the colours of the result, whatever scale it is of: so it does
 * not jump in a viewer, and a series of them (series.h) is a film.
 */
#ifndef NST_RUN_PREVIEW_H
#define NST_RUN_PREVIEW_H

#include <stdint.h>

#include "job/options.h"

struct nst_picture;

struct nst_preview {
    const float *rgb; /* 3 x height x width and the border around it, borrowed */
    int height, width, border;
    int64_t step; /* of all scales */
    int scale;    /* longest side */
};

/* Write it to where p says, as a picture made of content. NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_preview_write(const struct nst_preview *v,
                                  const struct nst_params *p,
                                  const struct nst_picture *content,
                                  struct nst_err *err);

#endif
