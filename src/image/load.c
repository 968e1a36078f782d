/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/load_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/colour.h"
#include "image/decode.h"
#include "image/input.h"
#include "image/pixels.h"
#include "image/size.h"
#include "image/source_info.h"

/* A small picture is decoded again if this many more pixels were decoded than it needs,
 * in both directions. */
#define TOO_MANY_PIXELS 4

/* The sample value that means white (or opaque) in image. */
static double full_scale(VipsImage *image)
{
    int bits, max;

    /* libvips does not scale the samples of a PNM. */
    if (vips_band_format_isint(image->BandFmt) &&
        vips_image_get_typeof(image, "ppm-max-value") &&
        !vips_image_get_int(image, "ppm-max-value", &max) && max > 0)
        return max;
    switch (image->BandFmt) {
    case VIPS_FORMAT_UCHAR:
        return 255;
    case VIPS_FORMAT_CHAR:
        return 127;
    case VIPS_FORMAT_USHORT:
        /* libvips shifts HEIF's 10 and 12 bits up, so white is slightly below 65535. */
        if (vips_image_get_typeof(image, "heif-bitdepth") &&
            !vips_image_get_int(image, "heif-bitdepth", &bits) && bits > 8 && bits < 16)
            return ((1 << bits) - 1) << (16 - bits);
        return 65535;
    case VIPS_FORMAT_SHORT:
        return 32767;
    case VIPS_FORMAT_UINT:
        return 4294967295.0;
    case VIPS_FORMAT_INT:
        return 2147483647;
    default:
        /* Floats above 1 are highlights, or overshoot of a filter: they do not change
         * the scale. */
        return 1;
    }
}

static int colour_bands(const VipsImage *image)
{
    switch (image->Type) {
    case VIPS_INTERPRETATION_CMYK:
        return 4;
    case VIPS_INTERPRETATION_B_W:
    case VIPS_INTERPRETATION_GREY16:
        return 1;
    default:
        return image->Bands >= 3 ? 3 : 1;
    }
}

/* The bands of a decoded picture; all members are owned. */
struct decoded_parts {
    VipsImage *meta, *colour, *alpha;
    VipsImage *own;       /* the colour bands before their conversion to sRGB */
    double white, opaque; /* full scale of colour and of alpha */
    enum nst_profile profile;
    int depth;
};

static void decoded_parts_free(struct decoded_parts *p)
{
    g_clear_object(&p->meta);
    g_clear_object(&p->colour);
    g_clear_object(&p->alpha);
    g_clear_object(&p->own);
}

/* Copy one pixel with the metadata of in, so that the picture itself can be freed. */
static int extract_metadata(VipsImage *in, VipsImage **out)
{
    VipsImage *pixel;

    if (vips_extract_area(in, &pixel, 0, 0, 1, 1, NULL))
        return -1;
    *out = vips_image_copy_memory(pixel);
    g_object_unref(pixel);
    return *out ? 0 : -1;
}

static int split_bands(VipsImage *in, struct decoded_parts *p)
{
    VipsObject *scope = VIPS_OBJECT(vips_image_new());
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 4);
    int failed = -1, alpha, colours;

    if (vips_autorot(in, &t[0], NULL) || extract_metadata(t[0], &p->meta) ||
        vips_image_decode(t[0], &t[1]) ||
        vips_copy(t[1], &t[2], "interpretation", vips_image_guess_interpretation(t[1]),
                  NULL))
        goto out;
    alpha = nst_input_alpha_band(t[2]);
    colours = colour_bands(t[2]);
    if (alpha > 0 && alpha < colours) /* grey, alpha and further bands */
        colours = 1;
    if (vips_extract_band(t[2], &t[3], 0, "n", colours, NULL) ||
        (alpha > 0 && vips_extract_band(t[2], &p->alpha, alpha, NULL)))
        goto out;
    p->depth = t[2]->BandFmt == VIPS_FORMAT_UCHAR || t[2]->BandFmt == VIPS_FORMAT_CHAR
                   ? 8
                   : 16;
    p->profile = nst_colour_profile(t[3]);
    p->own = g_object_ref(t[3]);
    if (nst_colour_to_srgb(t[3], p->profile, full_scale(t[3]), &p->colour))
        goto out;
    p->white = full_scale(p->colour);
    p->opaque = p->alpha ? full_scale(p->alpha) : 1;
    failed = 0;
out:
    g_object_unref(scope);
    return failed;
}

/* Lanczos 3, in float. Colours are premultiplied by alpha, so that colours under
 * transparent pixels do not bleed into visible neighbours. */
static int resize(VipsImage *in, VipsImage **out, int w, int h, double opaque,
                  bool has_alpha)
{
    VipsObject *scope = VIPS_OBJECT(vips_image_new());
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 3);
    int failed = -1;

    if (has_alpha ? vips_premultiply(in, &t[0], "max_alpha", opaque, NULL)
                  : vips_copy(in, &t[0], NULL))
        goto out;
    /* gap 0: no box filter before the kernel */
    if (vips_resize(t[0], &t[1], (double)w / in->Xsize, "vscale", (double)h / in->Ysize,
                    "kernel", VIPS_KERNEL_LANCZOS3, "gap", 0.0, NULL))
        goto out;
    if (has_alpha ? vips_unpremultiply(t[1], &t[2], "max_alpha", opaque, NULL)
                  : vips_copy(t[1], &t[2], NULL))
        goto out;
    *out = vips_image_copy_memory(t[2]);
    failed = *out ? 0 : -1;
out:
    g_object_unref(scope);
    return failed;
}

static float to_unit(float value, float full)
{
    value /= full;
    return value > 0 ? value < 1 ? value : 1 : 0; /* NaN becomes 0 */
}

/* Split the rows of in (1 or 3 float bands, then alpha if the picture has it) into the
 * planes of rgb and alpha. */
static int deinterleave(VipsImage *in, const struct decoded_parts *p, float *rgb,
                        float *alpha)
{
    size_t plane = (size_t)in->Xsize * (size_t)in->Ysize;
    int colours = in->Bands - (p->alpha ? 1 : 0), third = colours - 1;
    float white = (float)p->white, opaque = (float)p->opaque;
    VipsRegion *region = vips_region_new(in);

    for (int y = 0; y < in->Ysize; y++) {
        VipsRect row = {0, y, in->Xsize, 1};
        size_t at = (size_t)y * (size_t)in->Xsize;
        const float *v;

        if (vips_region_prepare(region, &row)) {
            g_object_unref(region);
            return -1;
        }
        v = (const float *)(void *)VIPS_REGION_ADDR(region, 0, y);
        for (int x = 0; x < in->Xsize; x++, at++, v += in->Bands) {
            rgb[at] = to_unit(v[0], white);
            rgb[plane + at] = to_unit(v[third / 2], white);
            rgb[2 * plane + at] = to_unit(v[third], white);
            if (p->alpha)
                alpha[at] = to_unit(v[colours], opaque);
        }
    }
    g_object_unref(region);
    return 0;
}

/* Join colour and alpha as floats, resampled to w x h if the size differs. */
static int join_bands(const struct decoded_parts *p, int w, int h, VipsImage **out)
{
    VipsObject *scope = VIPS_OBJECT(vips_image_new());
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 3);
    int failed = -1;

    if (vips_cast(p->colour, &t[0], VIPS_FORMAT_FLOAT, NULL))
        goto out;
    if (p->alpha ? vips_cast(p->alpha, &t[1], VIPS_FORMAT_FLOAT, NULL) ||
                       vips_bandjoin2(t[0], t[1], &t[2], NULL)
                 : vips_copy(t[0], &t[2], NULL))
        goto out;
    if (w == t[2]->Xsize && h == t[2]->Ysize)
        failed = vips_copy(t[2], out, NULL);
    else
        failed = resize(t[2], out, w, h, p->opaque, p->alpha != NULL);
out:
    g_object_unref(scope);
    return failed;
}

/* Keep the colours that sRGB cannot hold, for parts of the result that stay as they
 * are. */
static enum nst_status build_beyond(struct nst_picture *pic,
                                    const struct decoded_parts *p,
                                    const struct nst_input *in, struct nst_err *err)
{
    const struct decoded_parts own = {.colour = p->own,
                                      .alpha = p->alpha,
                                      .white = full_scale(p->own),
                                      .opaque = p->opaque};
    struct nst_source_info *info = pic->source_info;
    size_t n = 3 * (size_t)pic->width * (size_t)pic->height;
    VipsImage *joined = NULL;
    float *converted = NULL;
    enum nst_status status = nst_floats_new(&info->beyond, n, 1, 1, err);

    if (status == NST_OK)
        status = nst_floats_new(&converted, n, 1, 1, err);
    if (status != NST_OK)
        nst_err_prefix(err, in->label);
    else if (join_bands(&own, pic->width, pic->height, &joined) ||
             deinterleave(joined, &own, info->beyond, info->alpha))
        status = nst_picture_damaged(in, err);
    if (status == NST_OK) {
        memcpy(converted, pic->rgb, n * sizeof *converted);
        nst_colour_from_srgb(converted, n / 3, p->meta);
        for (size_t i = 0; i < n; i++)
            info->beyond[i] -= converted[i];
    }
    g_clear_object(&joined);
    free(converted);
    return status;
}

static enum nst_status build_picture(struct nst_picture *pic, struct decoded_parts *p,
                                     const struct nst_picture_size *size,
                                     const struct nst_input *in, struct nst_err *err)
{
    enum nst_status status;
    VipsImage *joined = NULL;
    size_t w, h;

    pic->read_width = in->shrink > 1 ? in->width : p->colour->Xsize;
    pic->read_height = in->shrink > 1 ? in->height : p->colour->Ysize;
    pic->width = pic->read_width;
    pic->height = pic->read_height;
    nst_picture_target_size(size, &pic->width, &pic->height);
    w = (size_t)pic->width;
    h = (size_t)pic->height;
    status = nst_floats_new(&pic->rgb, 3, h, w, err);
    if (status == NST_OK && p->alpha)
        status = nst_floats_new(&pic->source_info->alpha, 1, h, w, err);
    if (status != NST_OK) {
        nst_err_prefix(err, in->label);
        return status;
    }
    if (join_bands(p, pic->width, pic->height, &joined) ||
        deinterleave(joined, p, pic->rgb, pic->source_info->alpha))
        status = nst_picture_damaged(in, err);
    g_clear_object(&joined);
    if (status == NST_OK && p->profile == NST_PROFILE_RGB && !size->for_view)
        status = build_beyond(pic, p, in, err);
    pic->source_info->depth = p->depth;
    pic->source_info->profile = p->profile;
    pic->source_info->meta = p->meta;
    p->meta = NULL;
    return status;
}

static enum nst_status make_picture(struct nst_picture **out, VipsImage *decoded,
                                    const struct nst_input *in,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    struct nst_picture *pic = nst_xcalloc(1, sizeof *pic);
    struct decoded_parts parts = {0};
    enum nst_status status;

    pic->source_info = nst_xcalloc(1, sizeof *pic->source_info);
    status = split_bands(decoded, &parts) == 0
                 ? build_picture(pic, &parts, size, in, err)
                 : nst_picture_damaged(in, err);
    decoded_parts_free(&parts);
    if (status != NST_OK) {
        nst_picture_free(pic);
        pic = NULL;
    }
    *out = pic;
    return status;
}

/* Resize the samples of a decoded picture to the size, as the file has them. */
static enum nst_status resize_samples(VipsImage **image, const struct nst_input *in,
                                      const struct nst_picture_size *size,
                                      struct nst_err *err)
{
    bool swap = vips_image_get_orientation_swap(*image);
    int w = in->width, h = in->height, failed;
    VipsObject *scope;
    VipsImage **t;

    nst_picture_target_size(size, &w, &h);
    if (!in->shrinkable || (swap ? h : w) >= (*image)->Xsize ||
        (swap ? w : h) >= (*image)->Ysize)
        return NST_OK;
    scope = VIPS_OBJECT(vips_image_new());
    t = (VipsImage **)vips_object_local_array(scope, 4);
    t[0] = *image;
    *image = NULL;
    failed = resize(t[0], &t[1], swap ? h : w, swap ? w : h, full_scale(t[0]),
                    vips_image_hasalpha(t[0])) ||
             vips_rint(t[1], &t[2], NULL) ||
             vips_cast(t[2], &t[3], t[0]->BandFmt, NULL);
    if (!failed)
        *image = vips_image_copy_memory(t[3]);
    g_object_unref(scope);
    return *image ? NST_OK : nst_picture_damaged(in, err);
}

/* Make pic->small, if pic gets one: from decoded, or from in if that holds more pixels
 * than were decoded. */
static enum nst_status add_small(struct nst_picture *pic, VipsImage *decoded,
                                 struct nst_input *in,
                                 const struct nst_picture_size *size,
                                 struct nst_err *err)
{
    struct nst_picture_size small = {.longest = NST_PICTURE_SMALL_SIDE,
                                     .square = size->square,
                                     .max_pixels = size->max_pixels,
                                     .max_bytes = size->max_bytes};
    int w = pic->read_width, h = pic->read_height;
    struct nst_picture *made = NULL;
    VipsImage *again = NULL;
    enum nst_status status = NST_OK;

    nst_picture_target_size(&small, &w, &h);
    if (pic->source_info->alpha || w >= pic->width || h >= pic->height ||
        w < NST_PICTURE_MIN_SIDE || h < NST_PICTURE_MIN_SIDE)
        return NST_OK;
    if (in->shrinkable && !in->animated &&
        nst_picture_shrink_factor(in, &small) >= TOO_MANY_PIXELS * in->shrink)
        status = nst_picture_decode(&again, in, &small, err);
    if (status == NST_OK)
        status = make_picture(&made, again ? again : decoded, in, &small, err);
    if (status == NST_OK) {
        pic->small.width = made->width;
        pic->small.height = made->height;
        pic->small.rgb = made->rgb;
        made->rgb = NULL;
    }
    nst_picture_free(made);
    g_clear_object(&again);
    return status;
}

enum nst_status nst_picture_from_image(struct nst_picture **out, VipsImage *decoded,
                                       struct nst_input *in,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err)
{
    enum nst_status status = make_picture(out, decoded, in, size, err);

    if (status == NST_OK && !size->for_view)
        status = add_small(*out, decoded, in, size, err);
    if (status != NST_OK) {
        nst_picture_free(*out);
        *out = NULL;
    }
    return status;
}

/* Make a picture that has a size but no pixels. */
static enum nst_status read_header(struct nst_picture **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err)
{
    VipsImage *header;
    size_t bytes;
    enum nst_status status =
        nst_picture_open_affordable(&header, &bytes, in, size, err);

    if (status != NST_OK)
        return status;
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->width = in->width;
    (*out)->height = in->height;
    (*out)->read_bytes = bytes;
    (*out)->frames = nst_picture_count_frames(header);
    nst_picture_target_size(size, &(*out)->width, &(*out)->height);
    (*out)->source_info = nst_xcalloc(1, sizeof *(*out)->source_info);
    (*out)->source_info->transparent =
        header->Coding == VIPS_CODING_NONE && nst_input_alpha_band(header) > 0;
    g_object_unref(header);
    return NST_OK;
}

enum nst_status nst_picture_load(struct nst_picture **out, const char *path,
                                 const struct nst_picture_size *size,
                                 struct nst_err *err)
{
    VipsImage *decoded = NULL;
    struct nst_input in;
    enum nst_status status;

    *out = NULL;
    status = nst_input_open(&in, path, err);
    in.animated = size->all_frames;
    if (status == NST_OK && size->header_only)
        status = read_header(out, &in, size, err);
    else if (status == NST_OK)
        status = nst_picture_decode(&decoded, &in, size, err);
    if (decoded && size->for_view)
        status = resize_samples(&decoded, &in, size, err);
    if (decoded)
        status = nst_picture_from_image(out, decoded, &in, size, err);
    g_clear_object(&decoded);
    nst_input_close(&in);
    return status;
}
