/* SPDX-License-Identifier: MIT */
/* settings.h - what the user asks of the plug-in: the arguments of its procedure. */
#ifndef NST_GIMP_SETTINGS_H
#define NST_GIMP_SETTINGS_H

#include <glib.h>

#include "nst.h"

#define NST_GIMP_PROCEDURE "plug-in-nst"

/* GIMP keeps them as bytes for the next call, so they have no pointers. */
struct nst_gimp_settings {
    gchar style[4096];   /* FILE[:WEIGHT] of nst --style, separated by semicolons */
    gchar preset[256];   /* of nst --preset; "": none */
    gdouble strength;    /* 0 to 1; negative: that of the preset */
    gint32 size;         /* longest side at which nst works; 0: that of the region */
    gdouble style_scale; /* 0.1 to 10; 0: that of the preset */
    gint32 colours;      /* enum nst_colour_mode; negative: that of the preset */
    gint32 seed;         /* of the noise; negative: the default */
    gint32 new_layer;    /* put the result into a new layer */
    gint32 keep;         /* what is painted when the user cancels */
    gchar options[1024]; /* NAME=VALUE of further options, separated by semicolons */
};

/* The settings before the first call. */
void nst_gimp_settings_default(struct nst_gimp_settings *s);

/* Load the settings of the last call in this session of GIMP; false if there is none.
 */
gboolean nst_gimp_settings_load(struct nst_gimp_settings *s);
void nst_gimp_settings_store(const struct nst_gimp_settings *s);

/* Name of the first style without folder and suffix; a new string: g_free(). */
gchar *nst_gimp_settings_style_name(const struct nst_gimp_settings *s);

/*
 * Set *p to a run by s on a region with this longest side. NST_ERR_ARG, NST_ERR_FORMAT;
 * the message names setting, value and range. Call nst_params_clear() in any case.
 */
enum nst_status nst_gimp_settings_params(const struct nst_gimp_settings *s, int longest,
                                         struct nst_params *p, struct nst_err *err);

#endif
