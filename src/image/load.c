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

/* Decoded pixels per pixel of the picture, at least, in both directions. A JPEG is
 * shrunk in the domain of frequencies, which aliases less than averages of blocks do.
 */
#define LANCZOS_PIXELS 4
#define LANCZOS_PIXELS_JPEG 1.9
/* A small picture is decoded again if this many more pixels were decoded than it needs,
 * in both directions. */
#define TOO_MANY_PIXELS 4
/* Files with fewer pixels are decoded whole. */
#define SMALL_FILE_PIXELS 1e6
/* Small allocations of the decoder, and buffers of threads. */
#define READ_BYTES ((size_t)6 << 20)
/* Rows of floats that libvips 8.14 holds, measured. To resize, each thread holds at
 * least RESIZE_ROWS, and KERNEL_ROWS for each row of the source per row of the picture.
 */
#define SHRINK_ROWS 400
#define RESIZE_ROWS 300
#define KERNEL_ROWS 40

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
    if (h > vips_image_get_page_height(*out)) { /* all frames of an animation */
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

static bool loaded_by(const VipsImage *image, const char *format)
{
    const char *loader;

    return vips_image_get_typeof(image, VIPS_META_LOADER) &&
           !vips_image_get_string(image, VIPS_META_LOADER, &loader) &&
           g_str_has_prefix(loader, format);
}

/* The size of a picture, or of one frame, when it stands upright. */
static void upright_size(VipsImage *image, int *w, int *h)
{
    bool swap = vips_image_get_orientation_swap(image);

    *w = swap ? vips_image_get_page_height(image) : image->Xsize;
    *h = swap ? image->Xsize : vips_image_get_page_height(image);
}

/* Whether image is decoded smaller if a small picture is asked for. Floats are not:
 * they must be clipped before they are averaged. */
static bool is_shrinkable(VipsImage *image)
{
    int alpha = nst_input_alpha_band(image);

    return image->Coding == VIPS_CODING_NONE &&
           !vips_band_format_isfloat(image->BandFmt) &&
           (vips_image_hasalpha(image) ? alpha == image->Bands - 1 : alpha < 0);
}

/* Pixels of the file in per decoded pixel, in both directions. Enough
 * decoded pixels per pixel of the picture remain for the Lanczos kernel, and small
 * files, unless they have many frames, are decoded whole. */
static int shrink_factor(const struct nst_input *in,
                         const struct nst_picture_size *size)
{
    double least = in->jpeg ? LANCZOS_PIXELS_JPEG : LANCZOS_PIXELS;
    int to_w = in->width, to_h = in->height, k;

    nst_picture_target_size(size, &to_w, &to_h);
    k = (int)fmin(in->width / (to_w * least), in->height / (to_h * least));
    if (in->jpeg) /* the loader's factors, and multiples of the largest */
        k = k >= 8 ? k / 8 * 8 : k >= 4 ? 4 : k >= 2 ? 2 : 1;
    return k > 1 && (in->animated || (double)in->width * in->height > SMALL_FILE_PIXELS)
               ? k
               : 1;
}

static bool has_frames(VipsImage *image)
{
    return image->Ysize > vips_image_get_page_height(image);
}

/* The part of the factor that the loader applies while it decodes. */
static int loader_shrink(VipsImage *image, int shrink)
{
    if (has_frames(image))
        return 1;
    if (loaded_by(image, "webp"))
        return shrink;
    if (loaded_by(image, "jpeg"))
        return shrink > 8 ? 8 : shrink;
    return 1;
}

/* Bytes per pixel of the file that a decoder holds if it decodes all rows at once and
 * shrinks them, measured with libvips 8.14. */
static double decoder_bytes(VipsImage *image, int shrink)
{
    static const struct {
        const char *format;
        double per_band;
    } formats[] = {{"webp", 2}, {"heif", 3},   {"jxl", 4},
                   {"jp2k", 4}, {"magick", 4}, {"openexr", 4}};
    int scans = 0;

    if (vips_image_get_typeof(image, "jpeg-multiscan") &&
        !vips_image_get_int(image, "jpeg-multiscan", &scans) && scans)
        return 2.0 * image->Bands; /* the coefficients, all of them */
    if (loaded_by(image, "png") && vips_image_get_typeof(image, "interlaced"))
        return (double)VIPS_IMAGE_SIZEOF_PEL(image);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (loaded_by(image, formats[i].format))
            return formats[i].per_band * image->Bands / shrink;
    return 0;
}

/* Memory that reading takes at its peak, of an animation for one frame: the decoder's,
 * the decoded image, the planes of the picture, and rows of floats that libvips holds
 * to shrink and to resize. */
static size_t read_bytes(VipsImage *header, const struct nst_input *in,
                         const struct nst_picture_size *size)
{
    double area = (double)header->Xsize * vips_image_get_page_height(header);
    double row = 4.0 * header->Xsize * header->Bands;
    int by_loader = loader_shrink(header, in->shrink);
    double bytes =
        area / in->shrink / in->shrink * (double)VIPS_IMAGE_SIZEOF_PEL(header);
    int w = in->width, h = in->height, rows;

    nst_picture_target_size(size, &w, &h);
    bytes += decoder_bytes(header, by_loader) * area;
    if (has_frames(header)) /* two frames, one drawn over the other */
        bytes += 2 * 4 * area;
    bytes += 4.0 * w * h * (header->Bands < 3 ? 4 : header->Bands);
    if (in->shrink > by_loader)
        bytes += row / by_loader * SHRINK_ROWS;
    rows = KERNEL_ROWS * (in->height / in->shrink / h + 1);
    if (rows < RESIZE_ROWS)
        rows = RESIZE_ROWS;
    if (w != in->width || h != in->height)
        bytes += 4.0 * w * h * header->Bands +
                 row / in->shrink * rows * (vips_concurrency_get() + 1);
    return (size_t)bytes + READ_BYTES;
}

/* Open in, note its size and the factor to shrink by, and refuse what takes too much
 * memory. */
static enum nst_status open_affordable(VipsImage **out, struct nst_input *in,
                                       size_t *bytes,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err)
{
    enum nst_status status = open_checked(out, in, size, err);

    if (status != NST_OK)
        return status;
    upright_size(*out, &in->width, &in->height);
    in->shrinkable = is_shrinkable(*out);
    in->jpeg = loaded_by(*out, "jpeg");
    in->shrink = in->shrinkable ? shrink_factor(in, size) : 1;
    *bytes = read_bytes(*out, in, size);
    if (!size->max_bytes || *bytes <= size->max_bytes)
        return NST_OK;
    status = nst_err_set(
        err, NST_ERR_MEM,
        "%s: out of memory: to read %dx%d pixels takes %zu MiB, and %zu MiB are left "
        "(--max-memory)",
        in->label, (*out)->Xsize, vips_image_get_page_height(*out), (*bytes >> 20) + 1,
        size->max_bytes >> 20);
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
        status = damaged_error(in, err);
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
                 : damaged_error(in, err);
    decoded_parts_free(&parts);
    if (status != NST_OK) {
        nst_picture_free(pic);
        pic = NULL;
    }
    *out = pic;
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

/* Average blocks of k x k pixels; colours weighted by alpha. In float, because libvips
 * rounds the averages of integers up. */
static int shrink_blocks(VipsImage *in, int k, VipsImage **out)
{
    VipsObject *scope = VIPS_OBJECT(vips_image_new());
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 4);
    bool alpha = vips_image_hasalpha(in);
    int failed = (alpha ? vips_premultiply(in, &t[0], NULL)
                        : vips_cast(in, &t[0], VIPS_FORMAT_FLOAT, NULL)) ||
                 vips_shrink(t[0], &t[1], k, k, NULL) ||
                 (alpha ? vips_unpremultiply(t[1], &t[2], NULL)
                        : vips_copy(t[1], &t[2], NULL)) ||
                 vips_rint(t[2], &t[3], NULL) ||
                 vips_cast(t[3], out, in->BandFmt, NULL);

    g_object_unref(scope);
    return failed ? -1 : 0;
}

/* Decode header, or the same image reopened at a smaller scale, and shrink it. */
static enum nst_status decode_shrunk(VipsImage **out, VipsImage **header,
                                     struct nst_input *in, struct nst_err *err)
{
    int by_loader = loader_shrink(*header, in->shrink), blocks = in->shrink / by_loader;
    VipsImage *small = NULL;
    enum nst_status status = NST_OK;
    bool vector;

    if (by_loader > 1) {
        g_clear_object(header);
        status = nst_input_read_header(header, &vector, in, 1. / by_loader, err);
    }
    if (status == NST_OK && blocks > 1 && shrink_blocks(*header, blocks, &small))
        status = damaged_error(in, err);
    if (status != NST_OK)
        return status;
    *out = copy_rows(blocks > 1 ? small : *header);
    g_clear_object(&small);
    return *out ? NST_OK : damaged_error(in, err);
}

/* Decode all rows and keep none. */
static enum nst_status check_rows(VipsImage *image, const struct nst_input *in,
                                  struct nst_err *err)
{
    VipsRegion *region = vips_region_new(image);
    int failed = 0;

    for (int y = 0; !failed && y < image->Ysize; y++) {
        VipsRect row = {0, y, image->Xsize, 1};

        failed = vips_region_prepare(region, &row);
    }
    g_object_unref(region);
    return failed ? damaged_error(in, err) : NST_OK;
}

enum nst_status nst_picture_open_frames(VipsImage **out, size_t *bytes,
                                        struct nst_input *in,
                                        const struct nst_picture_size *size,
                                        struct nst_err *err)
{
    enum nst_status status = open_affordable(out, in, bytes, size, err);
    bool vector;

    if (status != NST_OK || !has_frames(*out))
        return status;
    status = check_rows(*out, in, err);
    g_clear_object(out);
    if (status == NST_OK) /* rows are read once, in order */
        status = nst_input_read_header(out, &vector, in, 1, err);
    return status;
}

enum nst_status nst_picture_decode_frame(VipsImage **out, VipsImage *frames, int number,
                                         const struct nst_input *in,
                                         struct nst_err *err)
{
    int h = vips_image_get_page_height(frames);
    VipsImage *frame, *small = NULL;
    bool failed;

    *out = NULL;
    if (vips_extract_area(frames, &frame, 0, number * h, frames->Xsize, h, NULL))
        return damaged_error(in, err);
    failed = in->shrink > 1 && shrink_blocks(frame, in->shrink, &small);
    if (!failed)
        *out = copy_rows(small ? small : frame);
    g_clear_object(&small);
    g_object_unref(frame);
    return *out ? NST_OK : damaged_error(in, err);
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
    return *image ? NST_OK : damaged_error(in, err);
}

enum nst_status nst_picture_decode(VipsImage **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err)
{
    enum nst_status status;
    VipsImage *header;
    size_t bytes;

    *out = NULL;
    status = open_affordable(&header, in, &bytes, size, err);
    if (status != NST_OK)
        return status;
    status = decode_shrunk(out, &header, in, err);
    if (status == NST_OK)
        copy_metadata(*out);
    if (status == NST_OK && size->for_view)
        status = resize_samples(out, in, size, err);
    g_clear_object(&header);
    return status;
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
        shrink_factor(in, &small) >= TOO_MANY_PIXELS * in->shrink)
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
    enum nst_status status = open_affordable(&header, in, &bytes, size, err);

    if (status != NST_OK)
        return status;
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->width = in->width;
    (*out)->height = in->height;
    (*out)->read_bytes = bytes;
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
    if (decoded)
        status = nst_picture_from_image(out, decoded, &in, size, err);
    g_clear_object(&decoded);
    nst_input_close(&in);
    return status;
}
