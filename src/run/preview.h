/* SPDX-License-Identifier: MIT */
/*
 * preview.h - writes the current image during a run (--preview).
 *
 * The preview has the size and the colours of the result at every scale, so it does not
 * jump in a viewer, and a series of previews (series.h) makes a video.
 */
#ifndef NST_RUN_PREVIEW_H
#define NST_RUN_PREVIEW_H

#include <stdint.h>

#include "base/image.h"
#include "options/params.h"

struct nst_picture;

struct nst_preview {
    struct nst_image image;
    int64_t step; /* counted over all scales */
    int scale;    /* longest side */
};

/* Write v to the path that p->preview gives. NST_ERR_IO, NST_ERR_MEM. */
enum nst_status nst_preview_write(const struct nst_preview *v,
                                  const struct nst_params *p,
                                  const struct nst_picture *content,
                                  struct nst_err *err);

#endif
