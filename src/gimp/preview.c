/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/preview.h"

#include <stdlib.h>
#include <string.h>

#include <libgimp/gimp.h>

#include "gimp/task.h"

/* Longest side of the preview in pixels. */
#define SIDE 256
/* Milliseconds between two looks at the run. */
#define TICK 50

enum work { WORK_NONE, WORK_PREVIEW, WORK_ESTIMATE };

struct nst_gimp_live {
    const struct nst_gimp_settings *settings;
    const struct nst_gimp_region *region;
    GtkWidget *picture, *text;
    struct nst_samples small, keep, result; /* data is owned */
    struct nst_gimp_task *task;             /* or NULL */
    enum work work, next;                   /* of task; to begin when it has ended */
    guint timer;
};

/* Read the area of a drawable, displaced, at the size of s. */
static void read_small(gint32 drawable, GeglRectangle area, const char *format,
                       struct nst_samples *s)
{
    GeglBuffer *buffer = gimp_drawable_get_buffer(drawable);
    double scale = (double)s->width / area.width;
    const GeglRectangle at = {(gint)(area.x * scale), (gint)(area.y * scale), s->width,
                              s->height};

    s->data = g_malloc0((gsize)s->width * (gsize)s->height * (gsize)s->channels);
    gegl_buffer_get(buffer, &at, scale, babl_format(format), s->data,
                    GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_CLAMP);
    g_object_unref(buffer);
}

static void read_region(struct nst_gimp_live *l)
{
    GeglRectangle area = l->region->area;
    /* nst makes no picture with a side below 16 */
    double scale = MIN(1, MAX(SIDE / (double)MAX(area.width, area.height),
                              16.0 / MIN(area.width, area.height)));
    gint x, y;

    l->small = (struct nst_samples){.width = MAX(1, (gint)(area.width * scale + 0.5)),
                                    .height = MAX(1, (gint)(area.height * scale + 0.5)),
                                    .channels = 3,
                                    .type = NST_SAMPLE_U8};
    l->result = l->keep = l->small;
    read_small(l->region->drawable, area, "R'G'B' u8", &l->small);
    read_small(l->region->drawable, area, "R'G'B' u8", &l->result);
    if (!l->region->keep.data)
        return;
    l->keep.channels = 1;
    gimp_drawable_offsets(l->region->drawable, &x, &y);
    area.x += x;
    area.y += y;
    read_small(gimp_image_get_selection(l->region->image), area, "Y u8", &l->keep);
    for (gint i = 0; i < l->keep.width * l->keep.height; i++)
        ((guint8 *)l->keep.data)[i] = (guint8)(255 - ((guint8 *)l->keep.data)[i]);
}

static void free_pixels(guchar *pixels, gpointer data)
{
    (void)data;
    g_free(pixels);
}

/* Show 3 bytes per pixel, which are taken over, at the size of the preview. */
static void show(struct nst_gimp_live *l, guchar *rgb, int width, int height)
{
    GdkPixbuf *coarse = gdk_pixbuf_new_from_data(
        rgb, GDK_COLORSPACE_RGB, FALSE, 8, width, height, 3 * width, free_pixels, NULL);
    GdkPixbuf *shown = gdk_pixbuf_scale_simple(coarse, l->small.width, l->small.height,
                                               GDK_INTERP_BILINEAR);

    gtk_image_set_from_pixbuf(GTK_IMAGE(l->picture), shown);
    g_object_unref(shown);
    g_object_unref(coarse);
}

static void show_error(struct nst_gimp_live *l, const struct nst_err *err)
{
    gtk_label_set_text(GTK_LABEL(l->text), err->text);
}

static void show_estimate(struct nst_gimp_live *l, const struct nst_estimate *e)
{
    int seconds = (int)(e->seconds + 0.5);
    gchar *text = g_strdup_printf(
        "%d × %d pixels, about %d min %d s and %zu MiB of memory", e->width, e->height,
        seconds / 60, seconds % 60, e->memory >> 20);

    gtk_label_set_text(GTK_LABEL(l->text), text);
    g_free(text);
}

/* Begin the next piece of work. */
static void begin(struct nst_gimp_live *l)
{
    const struct nst_gimp_region *r = l->region;
    struct nst_gimp_settings s = *l->settings;
    enum work work = l->next;
    struct nst_params p;
    struct nst_err err;
    enum nst_status st;

    l->next = WORK_NONE;
    if (work == WORK_PREVIEW)
        s.size = MAX(l->small.width, l->small.height);
    st = nst_gimp_settings_params(&s, MAX(r->picture.width, r->picture.height), &p,
                                  &err);
    if (st == NST_OK && work == WORK_PREVIEW) {
        nst_params_set(&p, "save-every", "2", NULL);
        gtk_label_set_text(GTK_LABEL(l->text), "Preview…");
        l->task = nst_gimp_task_start(&p, &l->small, &l->keep, &l->result);
    } else if (st == NST_OK) {
        nst_params_set(&p, "dry-run", "true", NULL);
        l->task = nst_gimp_task_start(&p, &r->picture, &r->keep, &r->picture);
    } else
        show_error(l, &err);
    if (l->task)
        l->work = work;
    nst_params_clear(&p);
}

static void end(struct nst_gimp_live *l)
{
    struct nst_estimate estimate;
    gboolean cancelled;
    struct nst_err err;
    enum nst_status st = nst_gimp_task_finish(l->task, &cancelled, &estimate, &err);

    l->task = NULL;
    if (l->next != WORK_NONE) /* the settings have changed meanwhile */
        return;
    if (st != NST_OK)
        show_error(l, &err);
    else if (l->work == WORK_ESTIMATE)
        show_estimate(l, &estimate);
    else if (!cancelled) {
        gsize bytes = 3 * (gsize)l->result.width * (gsize)l->result.height;

        show(l, g_memdup2(l->result.data, bytes), l->result.width, l->result.height);
        l->next = WORK_ESTIMATE;
    }
}

static gboolean look(gpointer data)
{
    struct nst_gimp_live *l = data;
    struct nst_gimp_preview preview;

    if (l->task && nst_gimp_task_preview(l->task, &preview)) {
        if (l->next == WORK_NONE)
            show(l, preview.rgb, preview.width, preview.height);
        else
            g_free(preview.rgb);
    }
    if (l->task && nst_gimp_task_is_finished(l->task))
        end(l);
    if (!l->task && l->next != WORK_NONE)
        begin(l);
    return G_SOURCE_CONTINUE;
}

struct nst_gimp_live *nst_gimp_live_new(const struct nst_gimp_settings *s,
                                        const struct nst_gimp_region *r,
                                        GtkWidget *picture, GtkWidget *text)
{
    struct nst_gimp_live *l = g_new0(struct nst_gimp_live, 1);
    gsize bytes;

    l->settings = s;
    l->region = r;
    l->picture = picture;
    l->text = text;
    read_region(l);
    bytes = 3 * (gsize)l->small.width * (gsize)l->small.height;
    show(l, g_memdup2(l->small.data, bytes), l->small.width, l->small.height);
    l->next = WORK_PREVIEW;
    l->timer = g_timeout_add(TICK, look, l);
    return l;
}

void nst_gimp_live_change(struct nst_gimp_live *l)
{
    if (l->task)
        nst_gimp_task_cancel(l->task);
    l->next = WORK_PREVIEW;
}

void nst_gimp_live_free(struct nst_gimp_live *l)
{
    struct nst_err err;

    g_source_remove(l->timer);
    if (l->task) {
        nst_gimp_task_cancel(l->task);
        nst_gimp_task_finish(l->task, NULL, NULL, &err);
    }
    g_free(l->small.data);
    g_free(l->keep.data);
    g_free(l->result.data);
    g_free(l);
}
