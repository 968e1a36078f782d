/* SPDX-License-Identifier: MIT */
/*
 * preview.h - the live preview of the dialog: what the user sees of the region, painted
 * coarse to fine, and after it an estimate of the whole run. A change cancels what
 * runs.
 */
#ifndef NST_GIMP_PREVIEW_H
#define NST_GIMP_PREVIEW_H

#include <gtk/gtk.h>

#include "gimp/region.h"
#include "gimp/settings.h"

struct nst_gimp_live;

/* Make a preview for that region. It borrows s, which the dialog changes, and text, a
 * GtkLabel for estimates and errors. */
struct nst_gimp_live *nst_gimp_live_new(const struct nst_gimp_settings *s,
                                        const struct nst_gimp_region *r,
                                        GtkWidget *text);

/* The widget that shows it. */
GtkWidget *nst_gimp_live_widget(struct nst_gimp_live *l);

/* The settings have changed. */
void nst_gimp_live_change(struct nst_gimp_live *l);

/* Stop what runs, and free it, before its widget is destroyed. */
void nst_gimp_live_free(struct nst_gimp_live *l);

#endif
