/* SPDX-License-Identifier: MIT */
/* paint.h - a small picture of a part of the drawable, as the preview shows it. */
#ifndef NST_GIMP_PAINT_H
#define NST_GIMP_PAINT_H

#include <glib.h>

struct nst_gimp_paint {
    guchar *rgb; /* 3 bytes per pixel, owned; NULL: no picture */
    int width, height;
    double x, y, w, h; /* the part, in pixels of the drawable */
};

void nst_gimp_paint_clear(struct nst_gimp_paint *p);

/* Replace the pixels by rgb, which is taken over; the part stays the same. */
void nst_gimp_paint_replace(struct nst_gimp_paint *p, guchar *rgb, int width,
                            int height);

/* Whether the picture shows this point of the drawable. */
gboolean nst_gimp_paint_covers(const struct nst_gimp_paint *p, double x, double y);

/* Interpolate the colour at a point of the drawable, 0 to 255. */
void nst_gimp_paint_sample(const struct nst_gimp_paint *p, double x, double y,
                           float out[3]);

/* Write the pixels to a PNG. */
gboolean nst_gimp_paint_save(const struct nst_gimp_paint *p, const gchar *path);

#endif
