/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/region.h"

#include <stdlib.h>
#include <string.h>

#include <libgimp/gimp.h>

/* The shortest side that nst takes. */
#define MIN_SIDE NST_PICTURE_MIN_SIDE

static bool is_linear(gint32 image)
{
    switch (gimp_image_get_precision(image)) {
    case GIMP_PRECISION_U8_LINEAR:
    case GIMP_PRECISION_U16_LINEAR:
    case GIMP_PRECISION_U32_LINEAR:
    case GIMP_PRECISION_HALF_LINEAR:
    case GIMP_PRECISION_FLOAT_LINEAR:
    case GIMP_PRECISION_DOUBLE_LINEAR:
        return true;
    default:
        return false;
    }
}

/* Choose the samples that hold the precision of the image. */
static void choose_format(struct nst_gimp_region *r)
{
    static const struct {
        const char *rgb, *rgba;
    } integers[] = {{"R'G'B' u8", "R'G'B'A u8"}, {"R'G'B' u16", "R'G'B'A u16"}},
      floats[] = {{"R'G'B' float", "R'G'B'A float"}, {"RGB float", "RGBA float"}};
    GimpPrecision precision = gimp_image_get_precision(r->image);
    gboolean alpha = gimp_drawable_has_alpha(r->drawable);
    bool linear = is_linear(r->image);
    const char *name;

    r->picture.channels = alpha ? 4 : 3;
    r->picture.type = precision == GIMP_PRECISION_U8_GAMMA    ? NST_SAMPLE_U8
                      : precision == GIMP_PRECISION_U16_GAMMA ? NST_SAMPLE_U16
                                                              : NST_SAMPLE_F32;
    if (r->profile)
        r->picture.type = NST_SAMPLE_F32;
    if (r->picture.type == NST_SAMPLE_F32)
        name = alpha ? floats[linear].rgba : floats[linear].rgb;
    else
        name = alpha ? integers[r->picture.type].rgba : integers[r->picture.type].rgb;
    r->format = babl_format(name);
    r->picture.linear = linear && !r->profile; /* else it is converted to sRGB */
}

/* Let a side be at least as long as nst needs, if the drawable is. */
static void widen(gint *at, gint *length, gint limit)
{
    gint wanted = MAX(*length, MIN(MIN_SIDE, limit));

    *at = MAX(0, MIN(*at - (wanted - *length) / 2, limit - wanted));
    *length = wanted;
}

const Babl *nst_gimp_region_format(const struct nst_gimp_region *r)
{
    if (!r->profile)
        return r->format;
    return babl_format(r->picture.channels == 4 ? "R'G'B'A float" : "R'G'B' float");
}

void nst_gimp_region_convert(const struct nst_gimp_region *r, void *pixels,
                             gboolean back)
{
    GimpColorProfile *own = gimp_image_get_color_profile(r->image);
    GimpColorProfile *srgb = gimp_color_profile_new_rgb_srgb();
    const Babl *plain = nst_gimp_region_format(r);
    GimpColorTransform *t = gimp_color_transform_new(
        back ? srgb : own, back ? plain : r->format, back ? own : srgb,
        back ? r->format : plain, GIMP_COLOR_RENDERING_INTENT_RELATIVE_COLORIMETRIC,
        GIMP_COLOR_TRANSFORM_FLAGS_BLACK_POINT_COMPENSATION |
            GIMP_COLOR_TRANSFORM_FLAGS_NOOPTIMIZE);

    if (t) { /* else the profile cannot be used */
        gimp_color_transform_process_pixels(
            t, back ? plain : r->format, pixels, back ? r->format : plain, pixels,
            (gsize)r->area.width * (gsize)r->area.height);
        g_object_unref(t);
    }
    g_object_unref(srgb);
    g_object_unref(own);
}

static gboolean has_other_profile(gint32 image, gint32 drawable)
{
    GimpColorProfile *own =
        gimp_drawable_is_rgb(drawable) ? gimp_image_get_color_profile(image) : NULL;
    GimpColorProfile *srgb = is_linear(image) ? gimp_color_profile_new_rgb_srgb_linear()
                                              : gimp_color_profile_new_rgb_srgb();
    gboolean other = own && !gimp_color_profile_is_equal(own, srgb);

    g_object_unref(srgb);
    if (own)
        g_object_unref(own);
    return other;
}

/* Read the selection, which says how much of a pixel changes. */
static gboolean read_selection(struct nst_gimp_region *r)
{
    size_t n = (size_t)r->area.width * (size_t)r->area.height;
    gboolean wide = r->picture.type != NST_SAMPLE_U8, any = FALSE;
    GeglRectangle at = r->area;
    GeglBuffer *buffer;
    gint x, y;

    r->keep = (struct nst_samples){.width = at.width,
                                   .height = at.height,
                                   .channels = 1,
                                   .type = wide ? NST_SAMPLE_F32 : NST_SAMPLE_U8};
    r->keep.data = calloc(n, wide ? sizeof(float) : 1);
    if (!r->keep.data)
        return FALSE;
    gimp_drawable_offsets(r->drawable, &x, &y);
    at.x += x;
    at.y += y;
    buffer = gimp_drawable_get_buffer(gimp_image_get_selection(r->image));
    gegl_buffer_get(buffer, &at, 1, babl_format(wide ? "Y float" : "Y u8"),
                    r->keep.data, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
    g_object_unref(buffer);
    for (size_t i = 0; i < n; i++)
        if (wide) {
            float *v = (float *)r->keep.data + i;

            *v = 1 - CLAMP(*v, 0, 1);
            any |= *v > 0;
        } else {
            guint8 *v = (guint8 *)r->keep.data + i;

            *v = 255 - *v;
            any |= *v;
        }
    if (!any) { /* all of it is selected */
        free(r->keep.data);
        r->keep.data = NULL;
    }
    return TRUE;
}

enum nst_status nst_gimp_region_read(struct nst_gimp_region *r, gint32 image,
                                     gint32 drawable, struct nst_err *err)
{
    GeglRectangle *at = &r->area;
    GeglBuffer *buffer;

    *r = (struct nst_gimp_region){.image = image, .drawable = drawable};
    if (gimp_item_is_group(drawable))
        return nst_err_set(
            err, NST_ERR_ARG,
            "a layer group has no pixels of its own; select a layer in it");
    if (!gimp_drawable_is_rgb(drawable) && !gimp_drawable_is_gray(drawable))
        return nst_err_set(err, NST_ERR_ARG,
                           "the image is indexed; convert it to RGB (Image > Mode)");
    if (!gimp_drawable_mask_intersect(drawable, &at->x, &at->y, &at->width,
                                      &at->height))
        return nst_err_set(
            err, NST_ERR_ARG,
            "the selection contains no pixel of the layer; select a part of "
            "it, or nothing for the whole layer");
    widen(&at->x, &at->width, gimp_drawable_width(drawable));
    widen(&at->y, &at->height, gimp_drawable_height(drawable));
    r->profile = has_other_profile(image, drawable);
    choose_format(r);
    r->picture.width = at->width;
    r->picture.height = at->height;
    r->picture.data = g_try_malloc_n((gsize)at->width * (gsize)at->height,
                                     (gsize)babl_format_get_bytes_per_pixel(r->format));
    if (!r->picture.data || (!gimp_selection_is_empty(image) && !read_selection(r)))
        return nst_err_set(err, NST_ERR_MEM, "out of memory: the region is too large");
    buffer = gimp_drawable_get_buffer(drawable);
    gegl_buffer_get(buffer, at, 1, r->format, r->picture.data, GEGL_AUTO_ROWSTRIDE,
                    GEGL_ABYSS_NONE);
    g_object_unref(buffer);
    if (r->profile)
        nst_gimp_region_convert(r, r->picture.data, FALSE);
    return NST_OK;
}

void nst_gimp_region_clear(struct nst_gimp_region *r)
{
    g_free(r->picture.data);
    free(r->keep.data);
    r->picture.data = r->keep.data = NULL;
}

void nst_gimp_region_scaled(const struct nst_gimp_region *r, gboolean keep,
                            const GeglRectangle *at, double scale,
                            struct nst_samples *out)
{
    const struct nst_samples *from = keep ? &r->keep : &r->picture;
    const GeglRectangle all = {0, 0, from->width, from->height};
    const Babl *format = nst_gimp_region_format(r);
    GeglBuffer *buffer;

    if (keep)
        format = babl_format(from->type == NST_SAMPLE_U8 ? "Y u8" : "Y float");
    *out = (struct nst_samples){.width = at->width,
                                .height = at->height,
                                .channels = keep ? 1 : 3,
                                .type = NST_SAMPLE_U8};
    out->data = g_malloc_n((gsize)at->width * (gsize)at->height, keep ? 1 : 3);
    buffer = gegl_buffer_linear_new_from_data(from->data, format, &all,
                                              GEGL_AUTO_ROWSTRIDE, NULL, NULL);
    gegl_buffer_get(buffer, at, scale, babl_format(keep ? "Y u8" : "R'G'B' u8"),
                    out->data, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_CLAMP);
    g_object_unref(buffer);
}
