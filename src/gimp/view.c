/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/view.h"

#include <math.h>

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

/* Longest side of the page with all of the drawable, in pixels. */
#define WHOLE_SIDE 256
enum { PAGE_DETAIL, PAGE_WHOLE };

static GimpPreviewArea *detail_area(const struct nst_gimp_view *v)
{
    return GIMP_PREVIEW_AREA(gimp_preview_get_area(GIMP_PREVIEW(v->detail)));
}

/* Scroll to the middle of the region. */
static gboolean scroll(gpointer data)
{
    struct nst_gimp_view *v = data;
    const GeglRectangle *area = &v->region->area;
    gint width, height;

    gimp_preview_get_size(GIMP_PREVIEW(v->detail), &width, &height);
    gimp_scrolled_preview_set_position(GIMP_SCROLLED_PREVIEW(v->detail),
                                       area->x + (area->width - width) / 2,
                                       area->y + (area->height - height) / 2);
    return G_SOURCE_REMOVE;
}

/* Now the widget has its size. */
static void on_size_known(GtkWidget *area, GtkAllocation *size, gpointer data)
{
    (void)size;
    g_signal_handlers_disconnect_by_func(area, G_CALLBACK(on_size_known), data);
    g_idle_add(scroll, data);
}

static gboolean tell_change(gpointer data)
{
    struct nst_gimp_view *v = data;

    v->changed(v->data);
    return G_SOURCE_REMOVE;
}

/* The page is not there yet. */
static void on_page(GtkNotebook *book, gpointer page, guint number, gpointer data)
{
    (void)book;
    (void)page;
    (void)number;
    g_idle_add(tell_change, data);
}

static void on_invalidated(GimpPreview *detail, gpointer data)
{
    (void)detail;
    tell_change(data);
}

static GtkWidget *whole_page(struct nst_gimp_view *v)
{
    GtkWidget *centre = gtk_alignment_new(0.5, 0.5, 0, 0);
    double width = gimp_drawable_width(v->region->drawable);
    double height = gimp_drawable_height(v->region->drawable);
    double scale = MIN(1, WHOLE_SIDE / MAX(width, height));

    v->whole = gimp_preview_area_new();
    gtk_widget_set_size_request(v->whole, MAX(1, (gint)(width * scale + 0.5)),
                                MAX(1, (gint)(height * scale + 0.5)));
    gtk_container_add(GTK_CONTAINER(centre), v->whole);
    return centre;
}

void nst_gimp_view_init(struct nst_gimp_view *v, const struct nst_gimp_region *r,
                        void (*changed)(gpointer data), gpointer data)
{
    *v = (struct nst_gimp_view){.region = r, .changed = changed, .data = data};
    v->widget = gtk_notebook_new();
    v->detail = gimp_drawable_preview_new_from_drawable_id(r->drawable);
    gtk_container_set_border_width(GTK_CONTAINER(v->detail), 4);
    gtk_notebook_append_page(GTK_NOTEBOOK(v->widget), v->detail,
                             gtk_label_new_with_mnemonic("_1:1"));
    gtk_notebook_append_page(GTK_NOTEBOOK(v->widget), whole_page(v),
                             gtk_label_new_with_mnemonic("W_hole"));
    g_signal_connect(v->widget, "switch-page", G_CALLBACK(on_page), v);
    g_signal_connect(v->detail, "invalidated", G_CALLBACK(on_invalidated), v);
    g_signal_connect_after(detail_area(v), "size-allocate", G_CALLBACK(on_size_known),
                           v);
}

void nst_gimp_view_clear(struct nst_gimp_view *v)
{
    g_signal_handlers_disconnect_by_data(v->widget, v);
    g_signal_handlers_disconnect_by_data(v->detail, v);
    g_signal_handlers_disconnect_by_data(detail_area(v), v);
    while (g_idle_remove_by_data(v))
        ;
}

static gboolean shows_whole(const struct nst_gimp_view *v)
{
    return gtk_notebook_get_current_page(GTK_NOTEBOOK(v->widget)) == PAGE_WHOLE;
}

gboolean nst_gimp_view_is_on(const struct nst_gimp_view *v)
{
    return shows_whole(v) || gimp_preview_get_update(GIMP_PREVIEW(v->detail));
}

struct nst_gimp_frame nst_gimp_view_frame(const struct nst_gimp_view *v)
{
    struct nst_gimp_frame f = {.zoom = 1};
    gint x, y;

    if (shows_whole(v)) {
        gtk_widget_get_size_request(v->whole, &f.width, &f.height);
        f.zoom = MAX(f.width, f.height) /
                 (double)MAX(gimp_drawable_width(v->region->drawable),
                             gimp_drawable_height(v->region->drawable));
        return f;
    }
    gimp_preview_get_position(GIMP_PREVIEW(v->detail), &x, &y);
    gimp_preview_get_size(GIMP_PREVIEW(v->detail), &f.width, &f.height);
    f.x = x;
    f.y = y;
    return f;
}

/* Read what a frame shows of a buffer, from x, y on. */
static guchar *read_buffer(GeglBuffer *buffer, const struct nst_gimp_frame *f, double x,
                           double y, const char *name)
{
    const Babl *format = babl_format(name);
    const GeglRectangle at = {(gint)floor(x * f->zoom + 0.5),
                              (gint)floor(y * f->zoom + 0.5), f->width, f->height};
    guchar *pixels = g_malloc0_n((gsize)f->width * (gsize)f->height,
                                 (gsize)babl_format_get_bytes_per_pixel(format));

    gegl_buffer_get(buffer, &at, f->zoom, format, pixels, GEGL_AUTO_ROWSTRIDE,
                    GEGL_ABYSS_NONE);
    g_object_unref(buffer);
    return pixels;
}

static guchar *read_selection(const struct nst_gimp_region *r,
                              const struct nst_gimp_frame *f)
{
    gint x, y;

    if (!r->keep.data)
        return NULL;
    gimp_drawable_offsets(r->drawable, &x, &y);
    return read_buffer(gimp_drawable_get_buffer(gimp_image_get_selection(r->image)), f,
                       f->x + x, f->y + y, "Y u8");
}

static const struct nst_gimp_paint *find(const struct nst_gimp_paint *const *paintings,
                                         int count, double x, double y)
{
    for (int i = 0; i < count; i++)
        if (nst_gimp_paint_covers(paintings[i], x, y))
            return paintings[i];
    return NULL;
}

static gboolean contains(const GeglRectangle *area, double x, double y)
{
    return x >= area->x && y >= area->y && x < area->x + area->width &&
           y < area->y + area->height;
}

/* Put the paintings over the pixels of the frame. */
static void paint(const struct nst_gimp_view *v, const struct nst_gimp_frame *f,
                  const struct nst_gimp_paint *const *paintings, int count,
                  guchar *pixels)
{
    guchar *selected = read_selection(v->region, f);

    for (int j = 0; j < f->height; j++)
        for (int i = 0; i < f->width; i++) {
            double x = f->x + (i + 0.5) / f->zoom, y = f->y + (j + 0.5) / f->zoom;
            gsize at = (gsize)j * (gsize)f->width + (gsize)i;
            const struct nst_gimp_paint *p;
            float colour[3];

            if (!contains(&v->region->area, x, y) || (selected && !selected[at]) ||
                !(p = find(paintings, count, x, y)))
                continue;
            nst_gimp_paint_sample(p, x, y, colour);
            for (int c = 0; c < 3; c++)
                pixels[4 * at + (gsize)c] = (guchar)(colour[c] + 0.5f);
        }
    g_free(selected);
}

void nst_gimp_view_draw(const struct nst_gimp_view *v,
                        const struct nst_gimp_paint *const *paintings, int count)
{
    struct nst_gimp_frame f = nst_gimp_view_frame(v);
    guchar *pixels = read_buffer(gimp_drawable_get_buffer(v->region->drawable), &f, f.x,
                                 f.y, "R'G'B'A u8");

    paint(v, &f, paintings, count, pixels);
    gimp_preview_area_draw(
        shows_whole(v) ? GIMP_PREVIEW_AREA(v->whole) : detail_area(v), 0, 0, f.width,
        f.height, GIMP_RGBA_IMAGE, pixels, 4 * f.width);
    g_free(pixels);
}
