/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/output.h"

#include <stdlib.h>
#include <string.h>

#include <libgimp/gimp.h>

#include "gimp/paint.h"

static size_t row_bytes(const struct nst_gimp_region *r)
{
    return (size_t)r->area.width * (size_t)babl_format_get_bytes_per_pixel(r->format);
}

static gboolean is_kept(const struct nst_gimp_region *r, size_t pixel)
{
    return r->keep.type == NST_SAMPLE_U8 ? ((guint8 *)r->keep.data)[pixel] == 255
                                         : ((float *)r->keep.data)[pixel] >= 1;
}

/* Give pixels that are not selected the values of the drawable: nst clips values beyond
 * white, and a conversion rounds. */
static void restore_kept(const struct nst_gimp_region *r, guchar *pixels)
{
    size_t bytes = (size_t)babl_format_get_bytes_per_pixel(r->format);
    size_t width = (size_t)r->area.width;
    GeglBuffer *drawable = gimp_drawable_get_buffer(r->drawable);
    guchar *row = g_malloc(row_bytes(r));

    for (gint y = 0; y < r->area.height; y++) {
        const GeglRectangle at = {r->area.x, r->area.y + y, r->area.width, 1};
        guchar *to = pixels + (size_t)y * width * bytes;

        gegl_buffer_get(drawable, &at, 1, r->format, row, GEGL_AUTO_ROWSTRIDE,
                        GEGL_ABYSS_NONE);
        for (size_t x = 0; x < width; x++)
            if (is_kept(r, (size_t)y * width + x))
                memcpy(to + x * bytes, row + x * bytes, bytes);
    }
    g_object_unref(drawable);
    g_free(row);
}

/* Write pixels in the format of the region; the buffer is taken over. */
static void set_pixels(const struct nst_gimp_region *r, GeglBuffer *buffer,
                       const guchar *pixels)
{
    gegl_buffer_set(buffer, &r->area, 0, r->format, pixels, GEGL_AUTO_ROWSTRIDE);
    gegl_buffer_flush(buffer);
    g_object_unref(buffer);
}

static void update(const struct nst_gimp_region *r, gint32 drawable)
{
    gimp_drawable_update(drawable, r->area.x, r->area.y, r->area.width, r->area.height);
}

static gint32 write_layer(const struct nst_gimp_region *r, const gchar *name,
                          const guchar *pixels)
{
    gint32 layer = gimp_layer_copy(r->drawable);

    gimp_item_set_name(layer, name);
    gimp_image_insert_layer(r->image, layer, gimp_item_get_parent(r->drawable),
                            gimp_image_get_item_position(r->image, r->drawable));
    set_pixels(r, gimp_drawable_get_buffer(layer), pixels);
    return layer;
}

/* The result holds the selection already. GIMP would apply it again, so it is empty
 * meanwhile. */
static void write_drawable(const struct nst_gimp_region *r, const guchar *pixels)
{
    gboolean selected = !gimp_selection_is_empty(r->image);
    gint32 saved = -1, layer = gimp_image_get_active_layer(r->image);
    gint32 channel = gimp_image_get_active_channel(r->image);
    GeglBuffer *shadow = gimp_drawable_get_shadow_buffer(r->drawable);
    GeglBuffer *buffer = gimp_drawable_get_buffer(r->drawable);

    gegl_buffer_copy(buffer, NULL, GEGL_ABYSS_NONE, shadow, NULL);
    g_object_unref(buffer);
    set_pixels(r, shadow, pixels);
    if (selected) {
        saved = gimp_selection_save(r->image);
        gimp_selection_none(r->image);
    }
    gimp_drawable_merge_shadow(r->drawable, TRUE);
    if (selected) {
        gimp_image_select_item(r->image, GIMP_CHANNEL_OP_REPLACE, saved);
        gimp_image_remove_channel(r->image, saved);
        if (channel != -1)
            gimp_image_set_active_channel(r->image, channel);
        else if (layer != -1)
            gimp_image_set_active_layer(r->image, layer);
    }
}

/* A digest of the pixels of the region in a drawable; g_free(). */
static gchar *digest(const struct nst_gimp_region *r, gint32 drawable)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_MD5);
    GeglBuffer *buffer = gimp_drawable_get_buffer(drawable);
    guchar *row = g_malloc(row_bytes(r));
    gchar *text;

    for (gint y = 0; y < r->area.height; y++) {
        const GeglRectangle at = {r->area.x, r->area.y + y, r->area.width, 1};

        gegl_buffer_get(buffer, &at, 1, r->format, row, GEGL_AUTO_ROWSTRIDE,
                        GEGL_ABYSS_NONE);
        g_checksum_update(sum, row, (gssize)row_bytes(r));
    }
    text = g_strdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
    g_object_unref(buffer);
    g_free(row);
    return text;
}

/* Whether the target has the pixels that were written last. Else the user has undone
 * the step or painted there, and a write without a step of its own would be final. */
static gboolean is_ours(const struct nst_gimp_output *o)
{
    gchar *now;
    gboolean same;

    if (o->target == -1 || !gimp_item_is_valid(o->target))
        return FALSE;
    now = digest(o->region, o->target);
    same = g_strcmp0(now, o->written) == 0;
    g_free(now);
    return same;
}

/* Begin a step of the history. */
static void write_step(struct nst_gimp_output *o, const guchar *pixels)
{
    const struct nst_gimp_region *r = o->region;

    o->target = r->drawable;
    gimp_image_undo_group_start(r->image);
    if (o->new_layer && gimp_item_is_layer(r->drawable))
        o->target = write_layer(r, o->new_layer, pixels);
    else
        write_drawable(r, pixels);
    gimp_image_undo_group_end(r->image);
    update(r, o->target);
}

/* Write pixels as the first ones or over those before. */
static void write_pixels(struct nst_gimp_output *o, const guchar *pixels)
{
    if (is_ours(o)) {
        set_pixels(o->region, gimp_drawable_get_buffer(o->target), pixels);
        update(o->region, o->target);
    } else
        write_step(o, pixels);
}

void nst_gimp_output_init(struct nst_gimp_output *o, struct nst_gimp_region *r,
                          const gchar *name)
{
    *o = (struct nst_gimp_output){.region = r, .new_layer = name, .target = -1};
}

void nst_gimp_output_clear(struct nst_gimp_output *o)
{
    g_free(o->written);
    o->written = NULL;
}

/* Make pixels of the region from a smaller picture, with the alpha of the region. */
static guchar *enlarge(const struct nst_gimp_region *r,
                       const struct nst_gimp_preview *picture)
{
    const struct nst_gimp_paint p = {.rgb = picture->rgb,
                                     .width = picture->width,
                                     .height = picture->height,
                                     .w = r->area.width,
                                     .h = r->area.height};
    const Babl *plain = babl_format("R'G'B'A float");
    size_t width = (size_t)r->area.width, bytes = row_bytes(r);
    guchar *pixels = g_try_malloc_n((gsize)r->area.height, bytes);
    float *row = g_malloc_n(width, 4 * sizeof *row);
    const Babl *format = nst_gimp_region_format(r);

    for (gint y = 0; pixels && y < r->area.height; y++) {
        const guchar *before = (guchar *)r->picture.data + (size_t)y * bytes;

        babl_process(babl_fish(format, plain), before, row, (glong)width);
        for (size_t x = 0; x < width; x++) {
            nst_gimp_paint_sample(&p, (double)x + 0.5, y + 0.5, row + 4 * x);
            for (size_t c = 0; c < 3; c++)
                row[4 * x + c] /= 255;
        }
        babl_process(babl_fish(plain, format), row, pixels + (size_t)y * bytes,
                     (glong)width);
    }
    g_free(row);
    return pixels;
}

void nst_gimp_output_so_far(struct nst_gimp_output *o,
                            const struct nst_gimp_preview *picture)
{
    const struct nst_gimp_region *r = o->region;
    guchar *pixels;

    if (o->target != -1 && !is_ours(o))
        return;
    pixels = enlarge(r, picture);
    if (!pixels)
        return;
    if (r->profile)
        nst_gimp_region_convert(r, pixels, TRUE);
    if (r->keep.data)
        restore_kept(r, pixels);
    write_pixels(o, pixels);
    g_free(pixels);
    g_free(o->written);
    o->written = digest(r, o->target);
    gimp_displays_flush();
}

void nst_gimp_output_result(struct nst_gimp_output *o)
{
    const struct nst_gimp_region *r = o->region;
    guchar *pixels = r->picture.data;

    if (r->profile)
        nst_gimp_region_convert(r, pixels, TRUE);
    if (r->keep.data)
        restore_kept(r, pixels);
    write_pixels(o, pixels);
}
