/* SPDX-License-Identifier: MIT */
/* styles.h - the list of styles, with thumbnails, that the dialog offers. */
#ifndef NST_GIMP_STYLES_H
#define NST_GIMP_STYLES_H

#include <gtk/gtk.h>

/* The columns of the list: what --style takes, and three to look at. */
enum {
    NST_GIMP_STYLE_VALUE,
    NST_GIMP_STYLE_NAME,
    NST_GIMP_STYLE_TITLE,
    NST_GIMP_STYLE_PICTURE
};

/* The user's style packs and networks, and the installed ones; the caller unrefs it. */
GtkListStore *nst_gimp_styles_list(void);

/* Save a layer of an open image for use as a style; the file lasts as long as GIMP. The
 * path is a new string; NULL if that fails. */
gchar *nst_gimp_styles_save_layer(gint32 drawable);

#endif
