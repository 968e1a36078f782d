/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/decode.h"

#include <math.h>
#include <string.h>

#include "image/colour.h"
#include "image/input.h"
#include "image/size.h"

/* Decoded pixels per pixel of the picture, at least, in both directions. A JPEG is
 * shrunk in the domain of frequencies, which aliases less than averages of blocks do.
 */
#define LANCZOS_PIXELS 4
#define LANCZOS_PIXELS_JPEG 1.9
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

enum nst_status nst_picture_damaged(const struct nst_input *in, struct nst_err *err)
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

int nst_picture_shrink_factor(const struct nst_input *in,
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

int nst_picture_count_frames(VipsImage *header)
{
    return loaded_by(header, "gif") || loaded_by(header, "webp")
               ? vips_image_get_n_pages(header)
               : 1;
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

enum nst_status nst_picture_open_affordable(VipsImage **out, size_t *bytes,
                                            struct nst_input *in,
                                            const struct nst_picture_size *size,
                                            struct nst_err *err)
{
    enum nst_status status = open_checked(out, in, size, err);

    if (status != NST_OK)
        return status;
    upright_size(*out, &in->width, &in->height);
    in->shrinkable = is_shrinkable(*out);
    in->jpeg = loaded_by(*out, "jpeg");
    in->shrink = in->shrinkable ? nst_picture_shrink_factor(in, size) : 1;
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
        status = nst_picture_damaged(in, err);
    if (status != NST_OK)
        return status;
    *out = copy_rows(blocks > 1 ? small : *header);
    g_clear_object(&small);
    return *out ? NST_OK : nst_picture_damaged(in, err);
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
    return failed ? nst_picture_damaged(in, err) : NST_OK;
}

enum nst_status nst_picture_open_frames(VipsImage **out, size_t *bytes,
                                        struct nst_input *in,
                                        const struct nst_picture_size *size,
                                        struct nst_err *err)
{
    enum nst_status status = nst_picture_open_affordable(out, bytes, in, size, err);
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
        return nst_picture_damaged(in, err);
    failed = in->shrink > 1 && shrink_blocks(frame, in->shrink, &small);
    if (!failed)
        *out = copy_rows(small ? small : frame);
    g_clear_object(&small);
    g_object_unref(frame);
    return *out ? NST_OK : nst_picture_damaged(in, err);
}

enum nst_status nst_picture_decode(VipsImage **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err)
{
    enum nst_status status;
    VipsImage *header;
    size_t bytes;

    *out = NULL;
    status = nst_picture_open_affordable(&header, &bytes, in, size, err);
    if (status != NST_OK)
        return status;
    status = decode_shrunk(out, &header, in, err);
    if (status == NST_OK)
        copy_metadata(*out);
    g_clear_object(&header);
    return status;
}
