/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/load_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/colour.h"
#include "image/input.h"
#include "image/pixels.h"
#include "image/size.h"
#include "image/source_info.h"

static enum nst_status damaged_error(const struct nst_input *in, struct nst_err *err)
{
    char reason[256];

    nst_vips_error(reason, sizeof reason);
    if (strstr(reason, "out of memory"))
        return nst_err_set(err, NST_ERR_MEM, "%s: %s", in->label, reason);
    return nst_err_set(err, NST_ERR_FORMAT, "%s: is damaged or cut short: %s",
                       in->label, reason);
}

/* Scale factor for rendering a vector image. A square needs the full length on the
 * shorter side too, unless a very oblong image would then exceed max_pixels. */
static double drawing_scale(const struct nst_picture_size *size, int w, int h)
{
    double n = size->longest;
    double by_long = n / (w > h ? w : h), by_short = n / (w > h ? h : w);

    if (!size->square || (size->max_pixels > 0 && (double)w * h * by_short * by_short >
                                                      (double)size->max_pixels))
        return by_long;
    return by_short;
}

/* Open a picture and check its header; a vector image is opened at its final size. */
static enum nst_status open_checked(VipsImage **out, struct nst_input *in,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    enum nst_status status;
    bool vector;
    int w, h;

    in->max_pixels = size->max_pixels;
    status = nst_input_read_header(out, &vector, in, 1, err);
    if (status == NST_OK && vector && size->longest > 0) {
        double scale = drawing_scale(size, (*out)->Xsize, (*out)->Ysize);

        g_clear_object(out);
        status = nst_input_read_header(out, &vector, in, scale, err);
    }
    if (status != NST_OK)
        return status;
    w = (*out)->Xsize;
    h = (*out)->Ysize;
    if (h > vips_image_get_page_height(*out)) { /* an animation is decoded as a whole */
        status =
            nst_picture_check_dimensions(in->label, w, h, size->max_pixels, "", err);
        h = vips_image_get_page_height(*out);
    }
    if (status == NST_OK)
        status = nst_picture_check_size(in->label, w, h, size, err);
    if (status == NST_OK && vips_image_get_typeof(*out, NST_SIZE_ONLY))
        status =
            nst_err_set(err, NST_ERR_FORMAT, "%s: is damaged or cut short", in->label);
    if (status != NST_OK)
        g_clear_object(out);
    return status;
}

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

/* Make pic->small, if pic gets one. */
static enum nst_status build_small(struct nst_picture *pic,
                                   const struct decoded_parts *p,
                                   const struct nst_picture_size *size,
                                   const struct nst_input *in, struct nst_err *err)
{
    struct nst_picture_size small = {NST_PICTURE_SMALL_SIDE, size->square, 0, false};
    int w = p->colour->Xsize, h = p->colour->Ysize;
    VipsImage *joined = NULL;
    enum nst_status status;

    nst_picture_target_size(&small, &w, &h);
    if (p->alpha || w >= pic->width || h >= pic->height || w < NST_PICTURE_MIN_SIDE ||
        h < NST_PICTURE_MIN_SIDE)
        return NST_OK;
    status = nst_floats_new(&pic->small.rgb, 3, (size_t)h, (size_t)w, err);
    if (status != NST_OK) {
        nst_err_prefix(err, in->label);
        return status;
    }
    pic->small.width = w;
    pic->small.height = h;
    if (join_bands(p, w, h, &joined) || deinterleave(joined, p, pic->small.rgb, NULL))
        status = damaged_error(in, err);
    g_clear_object(&joined);
    return status;
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
        status = damaged_error(in, err);
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

    pic->width = pic->read_width = p->colour->Xsize;
    pic->height = pic->read_height = p->colour->Ysize;
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
        status = damaged_error(in, err);
    g_clear_object(&joined);
    if (status == NST_OK)
        status = build_small(pic, p, size, in, err);
    if (status == NST_OK && p->profile == NST_PROFILE_RGB)
        status = build_beyond(pic, p, in, err);
    pic->source_info->depth = p->depth;
    pic->source_info->profile = p->profile;
    pic->source_info->meta = p->meta;
    p->meta = NULL;
    return status;
}

/* The HEIF loader of libvips 8.14 frees metadata to which copies of the image still
 * point, so each decoded picture gets its own copy. */
static void copy_metadata(VipsImage *image)
{
    static const char *const names[] = {VIPS_META_ICC_NAME, VIPS_META_EXIF_NAME,
                                        VIPS_META_XMP_NAME, VIPS_META_IPTC_NAME};
    int orientation = vips_image_get_orientation(image);
    const void *data;
    size_t size;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (vips_image_get_typeof(image, names[i]) &&
            !vips_image_get_blob(image, names[i], &data, &size))
            vips_image_set_blob_copy(image, names[i], data, size);
    /* Setting EXIF restores the orientation, which a loader may have applied. */
    vips_image_set_int(image, VIPS_META_ORIENTATION, orientation);
}

/* Decode the whole picture into memory, row by row on this thread. The threads of
 * vips_image_copy_memory() sometimes lose the error of a truncated file (libvips 8.14:
 * 3 times in 40 for one small PNG), and half a picture would be accepted. */
static VipsImage *copy_rows(VipsImage *in)
{
    VipsImage *out = vips_image_new_memory();
    VipsRegion *region = vips_region_new(in);
    /* vips_image_write_line() does not report that the pixels cannot be allocated. */
    int failed = vips_image_pipelinev(out, VIPS_DEMAND_STYLE_THINSTRIP, in, NULL) ||
                 vips_image_write_prepare(out);

    for (int y = 0; !failed && y < in->Ysize; y++) {
        VipsRect row = {0, y, in->Xsize, 1};

        failed = vips_region_prepare(region, &row) ||
                 vips_image_write_line(out, y, VIPS_REGION_ADDR(region, 0, y));
    }
    g_object_unref(region);
    if (failed)
        g_clear_object(&out);
    return out;
}

enum nst_status nst_picture_decode(VipsImage **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err)
{
    enum nst_status status;
    VipsImage *header;

    *out = NULL;
    status = open_checked(&header, in, size, err);
    if (status != NST_OK)
        return status;
    *out = copy_rows(header);
    if (*out)
        copy_metadata(*out);
    else
        status = damaged_error(in, err);
    g_object_unref(header);
    return status;
}

enum nst_status nst_picture_from_image(struct nst_picture **out, VipsImage *decoded,
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
                 : damaged_error(in, err);
    decoded_parts_free(&parts);
    if (status != NST_OK) {
        nst_picture_free(pic);
        pic = NULL;
    }
    *out = pic;
    return status;
}

/* Make a picture that has a size but no pixels. */
static enum nst_status read_header(struct nst_picture **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err)
{
    VipsImage *header;
    enum nst_status status = open_checked(&header, in, size, err);
    bool rotated;

    if (status != NST_OK)
        return status;
    rotated = vips_image_get_orientation_swap(header);
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->width = rotated ? header->Ysize : header->Xsize;
    (*out)->height = rotated ? header->Xsize : header->Ysize;
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
    if (status == NST_OK && size->header_only)
        status = read_header(out, &in, size, err);
    else if (status == NST_OK)
        status = nst_picture_decode(&decoded, &in, size, err);
    if (decoded)
        status = nst_picture_from_image(out, decoded, &in, size, err);
    g_clear_object(&decoded);
    nst_input_close(&in);
    return status;
}
