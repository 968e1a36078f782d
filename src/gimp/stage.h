/* SPDX-License-Identifier: MIT */
/*
 * stage.h - the two runs that make a preview of what the user sees.
 *
 * The first paints the whole region at the small scales of the run that the settings
 * describe, so strokes and colours lie where they will lie in the result. The second
 * continues it at the remaining scales, but only where the user looks, with a margin,
 * and no finer than the screen shows.
 */
#ifndef NST_GIMP_STAGE_H
#define NST_GIMP_STAGE_H

#include "gimp/paint.h"
#include "gimp/region.h"
#include "gimp/view.h"

/* A run of nst on a part of the region. All data is owned. */
struct nst_gimp_stage {
    struct nst_samples picture, keep, result;
    double x, y, w, h; /* the part, in pixels of the drawable */
    gchar *init;       /* file with the picture to start from; or NULL */
};

/* Prepare the first run: change *p, which describes the whole run, and set *s. False if
 * there is none: a network paints in one pass, or all scales are large. */
gboolean nst_gimp_stage_whole(struct nst_gimp_stage *s, const struct nst_gimp_region *r,
                              struct nst_params *p);

/* Prepare the second run, which continues painting unless that has no pixels. False if
 * there is nothing to paint: the region is not in view, painting shows all that the
 * screen can, or *p has masks or a shape that belong to the whole picture. */
gboolean nst_gimp_stage_part(struct nst_gimp_stage *s, const struct nst_gimp_region *r,
                             const struct nst_gimp_frame *frame,
                             const struct nst_gimp_paint *painting,
                             struct nst_params *p);

/* Free what *s owns, and remove its file. */
void nst_gimp_stage_clear(struct nst_gimp_stage *s);

#endif
