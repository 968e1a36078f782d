/* SPDX-License-Identifier: MIT */
/*
 * view.h - the widget that shows painted pictures in place: a part of the drawable at
 * 1:1, which the user scrolls, or all of it at a small size.
 */
#ifndef NST_GIMP_VIEW_H
#define NST_GIMP_VIEW_H

#include <gtk/gtk.h>

#include "gimp/paint.h"
#include "gimp/region.h"

struct nst_gimp_view {
    GtkWidget *widget; /* pages for both */
    GtkWidget *detail; /* GIMP's preview at 1:1 */
    GtkWidget *whole;
    const struct nst_gimp_region *region;
    void (*changed)(gpointer data);
    gpointer data; /* of changed */
};

/* What it shows. */
struct nst_gimp_frame {
    double x, y;       /* its upper left corner in the drawable */
    double zoom;       /* pixels of the screen per pixel of the drawable */
    int width, height; /* in pixels of the screen */
};

/* Make the widget; it shows the middle of the region. Call changed(data) after the user
 * has scrolled, changed the page, or switched the preview on. */
void nst_gimp_view_init(struct nst_gimp_view *v, const struct nst_gimp_region *r,
                        void (*changed)(gpointer data), gpointer data);

/* Call changed() no more. */
void nst_gimp_view_clear(struct nst_gimp_view *v);

/* Whether the user wants to see a preview. */
gboolean nst_gimp_view_is_on(const struct nst_gimp_view *v);

struct nst_gimp_frame nst_gimp_view_frame(const struct nst_gimp_view *v);

/*
 * Draw the drawable, and where it is in the region and selected the first of the
 * paintings that covers a point. Transparency stays.
 */
void nst_gimp_view_draw(const struct nst_gimp_view *v,
                        const struct nst_gimp_paint *const *paintings, int count);

#endif
