/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/paint.h"

#include <math.h>
#include <string.h>

#include <gdk-pixbuf/gdk-pixbuf.h>

void nst_gimp_paint_clear(struct nst_gimp_paint *p)
{
    g_free(p->rgb);
    p->rgb = NULL;
}

void nst_gimp_paint_replace(struct nst_gimp_paint *p, guchar *rgb, int width,
                            int height)
{
    g_free(p->rgb);
    p->rgb = rgb;
    p->width = width;
    p->height = height;
}

gboolean nst_gimp_paint_covers(const struct nst_gimp_paint *p, double x, double y)
{
    return p->rgb && x >= p->x && y >= p->y && x < p->x + p->w && y < p->y + p->h;
}

/* The pixels to both sides of a position, and the share of the second one. */
static float neighbours(double at, int count, int *a, int *b)
{
    double low = floor(at);

    *a = CLAMP((int)low, 0, count - 1);
    *b = CLAMP((int)low + 1, 0, count - 1);
    return (float)(at - low);
}

void nst_gimp_paint_sample(const struct nst_gimp_paint *p, double x, double y,
                           float out[3])
{
    int x0, x1, y0, y1;
    float u = neighbours((x - p->x) / p->w * p->width - 0.5, p->width, &x0, &x1);
    float v = neighbours((y - p->y) / p->h * p->height - 0.5, p->height, &y0, &y1);
    const guchar *top = p->rgb + 3 * (gsize)y0 * (gsize)p->width;
    const guchar *bottom = p->rgb + 3 * (gsize)y1 * (gsize)p->width;

    for (int c = 0; c < 3; c++) {
        float a = (float)top[3 * x0 + c] * (1 - u) + (float)top[3 * x1 + c] * u;
        float b = (float)bottom[3 * x0 + c] * (1 - u) + (float)bottom[3 * x1 + c] * u;

        out[c] = a * (1 - v) + b * v;
    }
}

gboolean nst_gimp_paint_save(const struct nst_gimp_paint *p, const gchar *path)
{
    GdkPixbuf *pixels =
        gdk_pixbuf_new_from_data(p->rgb, GDK_COLORSPACE_RGB, FALSE, 8, p->width,
                                 p->height, 3 * p->width, NULL, NULL);
    gboolean saved =
        gdk_pixbuf_save(pixels, path, "png", NULL, "compression", "0", NULL);

    g_object_unref(pixels);
    return saved;
}
