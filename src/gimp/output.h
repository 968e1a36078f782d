/* SPDX-License-Identifier: MIT */
/*
 * output.h - puts the result, and before it the picture so far, into the image, as one
 * step of the history.
 *
 * GIMP's button for cancelling kills the plug-in, so a picture that shall survive that
 * must be in the image already. The first picture so far makes the step of the history;
 * what follows replaces its pixels, as long as nobody else changes them.
 */
#ifndef NST_GIMP_OUTPUT_H
#define NST_GIMP_OUTPUT_H

#include "gimp/region.h"
#include "gimp/task.h"

struct nst_gimp_output {
    struct nst_gimp_region *region; /* borrowed */
    const gchar *new_layer;         /* its name; NULL: the drawable itself */
    gint32 target;                  /* shows the picture so far; -1: nothing does yet */
    gchar *written;                 /* digest of its pixels; owned */
};

/* Nothing is written yet. name: of a new layer above the drawable, borrowed; NULL: the
 * result replaces the pixels. A channel gets no new layer. */
void nst_gimp_output_init(struct nst_gimp_output *o, struct nst_gimp_region *r,
                          const gchar *name);
void nst_gimp_output_clear(struct nst_gimp_output *o);

/* Show a picture so far, enlarged to the region. Out of memory, it does nothing. */
void nst_gimp_output_so_far(struct nst_gimp_output *o,
                            const struct nst_gimp_preview *picture);

/* Write the pixels of the region. Those that are not selected keep their values. */
void nst_gimp_output_result(struct nst_gimp_output *o);

#endif
